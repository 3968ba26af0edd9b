"""Kept verdicts: one file a run in a folder of the host, no more than a bound, the oldest dropped first."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from roles.contract.verdict import Verdict
from roles.verify.verdict.kept_files import in_order, next_name, text_of
from roles.verify.verdict.reading import read_verdict
from roles.verify.verdict.writing import write_whole

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
    write_whole(f"{verdict.to_json()}\n", folder / next_name(folder, verdict.time))
    for old in in_order(folder)[:-KEPT_VERDICTS]:
        with contextlib.suppress(OSError):  # somebody else's folder, maybe
            old.unlink()
    for left in folder.glob(".*.json*"):
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
