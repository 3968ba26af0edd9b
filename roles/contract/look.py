"""The look of an install's files: the attributes of each that are seen without reading it, and a digest over all.

It is recorded when an install is made. All programs that compare it must see the same, so the way of taking it is part
of the format.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK


def look_of(folder: Path) -> dict[str, str]:
    """Path → size, time in nanoseconds and mode of a file, or the target of a link; sorted by name."""
    return dict(_seen(folder, ""))


def digest_of(look: Mapping[str, str]) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(json.dumps(look).encode()).hexdigest()


def _seen(folder: Path, inner: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{inner}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _seen(Path(entry.path), f"{path}/")
        elif stat.S_ISLNK(status.st_mode):
            yield path, f"-> {Path(entry.path).readlink()}"
        elif path not in (INSTALL_MARK, INSTALL_FILES):
            yield path, f"{status.st_size} {status.st_mtime_ns} {stat.S_IMODE(status.st_mode):o}"
