"""The check of the clock: it is not behind the generation's files, and an enabled time service has set it.

A host without a time service (a container, an air gap) may still be right: that is reported, but is not a failure.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.probe.commands import output_of
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim

_PATIENCE = 900.0
"""Seconds after boot in which a time service may still be looking for its servers."""
_LONGEST_ANSWER = 20.0
_MARGIN = 60.0
"""Seconds by which a clock may have been set back to correct it."""


def clock_check(written: Path, proc: Path) -> Coroutine[Any, Any, Check]:
    """The check, to be awaited.

    Args:
        written: a file of the generation.
    """
    return Claim("host/clock", "host", "has the right time", "set by a time service, where one is on").check(
        _clock(written, proc)
    )


async def _clock(written: Path, proc: Path) -> str:
    now = time.time()
    try:
        earliest = written.stat().st_mtime
    except OSError as error:
        raise CannotCheck(f"{written}: {error.strerror}") from None
    if now < earliest - _MARGIN:
        message = f"{_shown(now)}, before the generation was written ({_shown(earliest)})"
        raise CheckFailed("clock-behind", message)
    try:
        output = await output_of(
            "timedatectl show", ["timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized"], _LONGEST_ANSWER
        )
    except CannotCheck as reason:
        return f"{_shown(now)}; whether anything sets it is not known: {reason}"
    shown = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    if shown.get("NTPSynchronized") == "yes":
        return f"{_shown(now)}, synchronised"
    if shown.get("NTP") != "yes":
        return f"{_shown(now)}; no time service is on"
    up = _uptime(proc)
    if up < _PATIENCE:
        return f"{_shown(now)}; the time service looks for its servers since the boot {up:.0f} s ago"
    raise CheckFailed(
        "clock-not-set",
        f"{_shown(now)}, and the time service that is on has not set it: `timedatectl timesync-status` may say why; "
        "`timedatectl set-ntp false` where there is no server to be had",
    )


def _uptime(proc: Path) -> float:
    """Seconds since boot."""
    try:
        return float((proc / "uptime").read_text().split()[0])
    except OSError as error:
        raise CannotCheck(f"{proc}/uptime: {error.strerror}") from None


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
