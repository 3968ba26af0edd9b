"""The check that the file systems that the stack writes to have room."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.sizes import size

_BYTES, _SHARE = 2e9, 0.05
"""What must be free: this many bytes, or on a small file system this share of it."""
_SHARE_OF_FILES = 0.01


def disk_check(folders: Sequence[Path]) -> Coroutine[Any, Any, Check]:
    """The check, to be awaited. `folders` on the same file system are reported once."""
    claim = Claim("host/disk", "host", "has disk left", f"{size(_BYTES)} or {_SHARE:.0%} free")
    return claim.check(asyncio.to_thread(_disks, folders))


def _disks(folders: Sequence[Path]) -> str:
    well, lacking = [], []
    try:
        room = [(folder, os.statvfs(folder)) for folder in _one_a_file_system(folders)]
    except OSError as error:
        raise CannotCheck(f"{error.filename}: {error.strerror}") from None
    for folder, found in room:
        total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        shown = f"{folder}: {size(free)} of {size(total)} free"
        # Some file systems (btrfs) allocate inodes on demand, and report 0 of them.
        if found.f_favail < _SHARE_OF_FILES * found.f_files:
            lacking.append(f"{shown}, room for {found.f_favail} more files (`df -i`)")
        elif free < min(_BYTES, _SHARE * total):
            lacking.append(shown)
        else:
            well.append(shown)
    if lacking:
        raise CheckFailed("disk-full", "; ".join(lacking))
    return "; ".join(well)


def _one_a_file_system(folders: Sequence[Path]) -> Collection[Path]:
    """A folder that does not exist yet will be created in its parent."""
    found: dict[int, Path] = {}
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        found.setdefault(there.stat().st_dev, there)
    return found.values()
