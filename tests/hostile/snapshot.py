"""What a folder holds, to the last name, mode and byte: to see that nothing of it has changed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def snapshot(folder: Path, but_for: Path | None = None) -> dict[str, tuple[object, ...]]:
    """Path → what it is, its mode, its names and its content. `but_for`: what may change, with all below it."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(folder):
        if but_for is not None and Path(parent, "x").is_relative_to(but_for):
            folders.clear()
            continue
        for path in (Path(parent, name) for name in (*folders, *files)):
            status = path.lstat()
            content = ""
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            # A folder changes with what is in it, which has lines of its own.
            names, changed = (0, 0) if stat.S_ISDIR(status.st_mode) else (status.st_nlink, status.st_mtime_ns)
            found[str(path)] = (status.st_mode, names, changed, content)
    if but_for is not None:
        found.pop(str(but_for), None)
    return found
