"""Whether the generation's files are still as written: their digest is the name of their folder."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import escaped

_DIGITS = 16
"""Hexadecimal digits of a digest in a folder's name."""
_WRITING_SECONDS = 60
"""How far apart the files of a generation are written. Later changes were made by someone else."""


def files_check(folder: Path) -> Coroutine[Any, Any, Check]:
    """The check that no file was edited, added or removed, and no mode changed.

    Args:
        folder: the generation's, named by its digest.
    """
    claim = Claim("generation/files", "generation", "is as it was written", f"digest {folder.name}")
    return claim.check(asyncio.to_thread(_compare, folder))


def _compare(folder: Path) -> str:
    files: dict[str, list[object]] = {}
    links: dict[str, str] = {}
    changed: dict[str, float] = {}
    try:
        for parent, folders, names in os.walk(folder):
            for name in [*names, *(each for each in folders if Path(parent, each).is_symlink())]:
                path = Path(parent, name)
                inner = str(path.relative_to(folder))
                changed[inner] = path.lstat().st_ctime
                if path.is_symlink():
                    links[inner] = str(path.readlink())
                else:
                    files[inner] = [hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode & 0o7777]
    except OSError as error:
        raise CannotCheck(f"{error.filename}: {error.strerror}") from None
    text = json.dumps({"files": files, "links": links}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    if digest == folder.name:
        return f"{len(files)} files, {len(links)} links"
    written = min(changed.values(), default=0.0)
    later = sorted(name for name, moment in changed.items() if moment > written + _WRITING_SECONDS)
    what = f"changed since: {escaped(', '.join(later))}" if later else "files were added or removed"
    raise CheckFailed("files-changed", f"digest {digest}; {what}")
