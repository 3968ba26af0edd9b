"""Kept verdicts: one file a run in a folder of the host, no more than a bound, the oldest dropped first."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from roles.verify.verdict import Verdict

VERDICTS = "verdicts"
"""The folder, below the state folder."""

KEPT_VERDICTS = 100
"""A verdict is some 10 kB: 1 MB, and three months of a proof a day."""

_ABANDONED = 3600
"""Seconds after which the unfinished file of another run is one of a run that was killed."""


def keep(verdict: Verdict, state: Path) -> None:
    """Write a verdict down, whole or not at all, and drop those beyond the bound.

    Raises:
        OSError: it could not be written, as on a full disk or by a user who may not. What was kept before is still
            there.
    """
    folder = state / VERDICTS
    folder.mkdir(mode=0o755, exist_ok=True)
    # Names sort by time; two runs of one second differ in the rest.
    name = f"{verdict.time.partition('+')[0].replace(':', '')}Z-{secrets.token_hex(2)}.json"
    unfinished = folder / f".{name}"
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{verdict.to_json()}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _sync(folder)
    for old in _files(folder)[:-KEPT_VERDICTS]:
        old.unlink(missing_ok=True)
    for left in folder.glob(".*.json"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - _ABANDONED:
                left.unlink()


def read_kept(state: Path, last: int) -> tuple[Verdict, ...]:
    """The last verdicts that were kept, the oldest first, but for those that can not be read or have another schema."""
    verdicts = []
    for file in _files(state / VERDICTS)[-last:]:
        with contextlib.suppress(OSError, ValueError):
            verdicts.append(Verdict.from_json(file.read_text(encoding="utf-8")))
    return tuple(verdicts)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _sync(folder: Path) -> None:
    """Puts the names in it on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
