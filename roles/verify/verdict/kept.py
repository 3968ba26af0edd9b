"""Kept verdicts: one file per run in a folder of the host, up to a limit; the oldest are dropped first."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path

from roles.contract.verdict import Verdict
from roles.verify.verdict.kept_apis import keep_apis
from roles.verify.verdict.kept_files import in_order, next_name, text_of
from roles.verify.verdict.kept_speeds import keep_speeds
from roles.verify.verdict.reading import read_verdict
from roles.verify.verdict.writing import write_whole

VERDICTS = "verdicts"
"""The folder, below the state folder."""

KEPT_VERDICTS = 100
"""A verdict is some 10 kB: 1 MB, or three months of daily verification."""

_ABANDONED = 3600
"""Seconds after which another run's unfinished file counts as left by a killed run; also if its time is in the future
by as much."""


def keep(verdict: Verdict, state: Path) -> None:
    """Writes a verdict, whole or not at all, and drops those beyond the limit; keeps the speeds that it measured,
    and what client programs would not get.

    Raises:
        OSError: it could not be written: the disk is full, or the user may not. Verdicts kept before are still there.
    """
    folder = state / VERDICTS
    folder.mkdir(mode=0o755, exist_ok=True)
    # All users may read it: who sent how many requests is left out. Prometheus keeps what it has measured.
    kept = replace(verdict, usage=None, last_day=None)
    write_whole(f"{kept.to_json()}\n", folder / next_name(folder, verdict.time))
    if verdict.speeds:
        keep_speeds(verdict, state)
    keep_apis(verdict, state)
    for old in in_order(folder)[:-KEPT_VERDICTS]:
        with contextlib.suppress(OSError):  # the folder may belong to another user
            old.unlink()
    for left in folder.glob(".*.json*"):
        with contextlib.suppress(OSError):
            if abs(left.stat().st_mtime - time.time()) > _ABANDONED:
                left.unlink()


def read_kept(state: Path, last: int) -> tuple[Verdict, ...]:
    """The last kept verdicts, oldest first, without those that cannot be read or have another schema."""
    verdicts: list[Verdict] = []
    for file in reversed(in_order(state / VERDICTS)):
        if len(verdicts) == last:
            break
        with contextlib.suppress(OSError, ValueError, RecursionError):
            verdicts.append(read_verdict(text_of(file)))
    return tuple(reversed(verdicts))
