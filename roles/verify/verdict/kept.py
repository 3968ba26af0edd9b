"""Kept verdicts: one file a run in a folder of the host, no more than a bound, the oldest dropped first."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from roles.contract.verdict import Verdict
from roles.verify.verdict.kept_files import in_order, next_name, text_of
from roles.verify.verdict.reading import read_verdict

VERDICTS = "verdicts"
"""The folder, below the state folder."""

KEPT_VERDICTS = 100
"""A verdict is some 10 kB: 1 MB, and three months of a verification a day."""

_ABANDONED = 3600
"""Seconds after which the unfinished file of another run is one of a run that was killed; also of one whose clock was
ahead."""


def keep(verdict: Verdict, state: Path) -> None:
    """Write a verdict down, whole or not at all, and drop those beyond the bound.

    Raises:
        OSError: it could not be written, as on a full disk or by a user who may not. What was kept before is still
            there.
    """
    folder = state / VERDICTS
    folder.mkdir(mode=0o755, exist_ok=True)
    name = next_name(folder, verdict.time)
    unfinished = folder / f".{name}"
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # For others to read, whatever the umask.
            os.fchmod(descriptor, 0o644)
            file.write(f"{verdict.to_json()}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _sync(folder)
    for old in in_order(folder)[:-KEPT_VERDICTS]:
        with contextlib.suppress(OSError):  # somebody else's folder, maybe
            old.unlink()
    for left in folder.glob(".*.json"):
        with contextlib.suppress(OSError):
            if abs(left.stat().st_mtime - time.time()) > _ABANDONED:
                left.unlink()


def read_kept(state: Path, last: int) -> tuple[Verdict, ...]:
    """The last verdicts that were kept, the oldest first, but for those that cannot be read or have another schema."""
    verdicts: list[Verdict] = []
    for file in reversed(in_order(state / VERDICTS)):
        if len(verdicts) == last:
            break
        with contextlib.suppress(OSError, ValueError, RecursionError):
            verdicts.append(read_verdict(text_of(file)))
    return tuple(reversed(verdicts))


def _sync(folder: Path) -> None:
    """Puts the names in it on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
