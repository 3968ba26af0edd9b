"""What an install held when it was made: each file with its size, time and mode, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK


def take(folder: Path) -> tuple[str, dict[str, list[Any]]]:
    """The digest of what is seen of an install's files, and the contents of `INSTALL_FILES`."""
    seen = dict(_seen(folder))
    return _digest(seen), {path: [look, _sha256(folder / path)] for path, look in seen.items()}


def is_damaged(folder: Path) -> bool:
    """Whether an install does not look as it did. One of a version that kept no manifest does."""
    try:
        wanted = json.loads((folder / INSTALL_MARK).read_bytes()).get("tree")
    except (OSError, ValueError, AttributeError):
        return False  # no install, or one that is not whole, which is told by its mark
    try:
        return wanted is not None and wanted != _digest(dict(_seen(folder)))
    except OSError:
        return True


def _seen(folder: Path, inner: str = "") -> Iterator[tuple[str, str]]:
    """Path → what is seen of a file or link without reading it; in the order of their names."""
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


def _digest(seen: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _sha256(file: Path) -> str | None:
    """None of a link."""
    if file.is_symlink():
        return None
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
