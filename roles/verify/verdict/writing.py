"""Files that others may read at any moment: they see the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(text: str, file: Path) -> None:
    """Writes a file that all may read, whatever the umask. Its content, and then its name, are on the disk afterwards.

    A run that is killed meanwhile leaves an unfinished file beside it, whose name begins with a dot.

    Raises:
        OSError: it could not be written: the disk is full, or the user may not. The old one is still there.
    """
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            os.fchmod(descriptor, 0o644)
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """Syncs the names in it to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
