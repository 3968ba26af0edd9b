"""The check that a service does not keep dying: one automatic restart, after which it keeps running, is fine.

systemd counts its automatic restarts since the last explicit start. When each happened, and why, is only in the
journal. If this user cannot read it, the count is used for the last hour too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from roles.contract.verdict import Check
from roles.verify.checks.units import Settled
from roles.verify.generation import Scope, Service
from roles.verify.probe.commands import output_of
from roles.verify.probe.systemd import CRASHES, signal_name
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.sizes import ago

WINDOW = 3600.0
"""Seconds. Earlier restarts are reported but no longer a failure: the problem has passed."""
_TOO_MANY = 2
"""Restarts within the window. A single one is what `Restart=` is for: it costs seconds, and there is nothing to fix."""
_FATAL = "Fatal Python error: "
"""The first words of a report of Python's fault handler."""
_BACKTRACE_LINES = 8
_LONGEST_ANSWER = 20.0
"""Seconds for a query of the journal."""

_SCHEDULED = "5eb03494b6584870a536b337290809b3"
_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
"""Message IDs of systemd in the journal: a restart is scheduled; a process has exited; the unit has failed.
Source: sd-messages.h of systemd 252."""


def restart_check(service: Service, settled: Settled, scope: Scope) -> Coroutine[Any, Any, Check]:
    """The check of one service, to be awaited."""
    unit = service.unit
    claim = Claim(f"unit/{unit}/restarts", unit, "does not keep dying", f"under {_TOO_MANY} restarts in an hour")
    return claim.check(_restarts(unit, settled, scope))


async def _restarts(unit: str, settled: Settled, scope: Scope) -> str:
    state = settled.state(unit)
    if not state.restarts:
        return "none"
    runs, since = state.active == "active", time.monotonic() - state.began
    counted = f"{'once' if state.restarts == 1 else f'{state.restarts} times'} since somebody started it"
    if runs and since > WINDOW:
        return f"{counted}, last {ago(since)} ago"
    journal = await _ask_journal(unit, scope)
    lately = min(journal.restarts, state.restarts) or state.restarts
    seen = f"{counted}, {lately} of them in the last hour, last {ago(since)} ago{journal.cause}"
    if lately >= _TOO_MANY or not runs:
        raise CheckFailed("process-crashed" if journal.crashed else "restarts-often", seen)
    return seen


@dataclass(frozen=True)
class _Journal:
    """What the journal has about a unit in the window: the number of restarts, the cause of the last exit, and whether
    that was a crash."""

    restarts: int = 0
    cause: str = ""
    crashed: bool = False


async def _ask_journal(unit: str, scope: Scope) -> _Journal:
    field = "UNIT" if scope == "system" else "USER_UNIT"
    names = [f"MESSAGE_ID={name}" for name in (_SCHEDULED, _EXITED, _FAILED)]
    # Any process may log such lines; the journal sets these fields itself.
    sender = "_PID=1" if scope == "system" else f"_UID={os.getuid()}"
    command = ["journalctl", "--no-pager", "--quiet", "--boot", f"--since=-{WINDOW:.0f}s", "--output=json"]
    try:
        output = await output_of("journalctl", [*command, f"{field}={unit}", sender, *names], _LONGEST_ANSWER)
    except CannotCheck:
        return _Journal()
    restarts, cause, crashed = 0, "", False
    for entry in _entries(output):
        if entry.get("MESSAGE_ID") == _SCHEDULED:
            restarts += 1
        elif entry.get("MESSAGE_ID") == _EXITED:
            cause, crashed = _ended(str(entry.get("EXIT_CODE")), str(entry.get("EXIT_STATUS")))
        elif entry.get("UNIT_RESULT") == "oom-kill":
            cause, crashed = ": killed by the kernel for lack of memory", False
    if crashed:
        cause += await _last_words(unit, scope)
    return _Journal(restarts, cause, crashed)


def _ended(code: str, status: str) -> tuple[str, bool]:
    """How a process exited, and whether it crashed."""
    if code not in ("killed", "dumped"):
        return f": {code}, status {status}", False
    signal = signal_name(status)
    return f": ended by {signal}", signal in CRASHES


async def _last_words(unit: str, scope: Scope) -> str:
    """Where a crashed process was, from what Python's fault handler wrote into the log; empty if it did not."""
    flag = "--user-unit" if scope == "user" else "--unit"
    command = ["journalctl", "--no-pager", "--quiet", "--boot", f"--since=-{WINDOW:.0f}s", "--output=cat"]
    try:
        output = await output_of("journalctl", [*command, "--lines=1000", f"{flag}={unit}"], _LONGEST_ANSWER)
    except CannotCheck:
        return ""
    _, mark, after = output.rpartition(_FATAL)
    lines = [" ".join(line.split()) for line in f"{mark}{after}".splitlines() if line.strip()]
    return f"; it said last: {' | '.join(lines[:_BACKTRACE_LINES])}" if mark else ""


def _entries(output: str) -> Iterator[dict[str, Any]]:
    """The journal's entries, one JSON object a line; other lines are skipped."""
    for line in output.split("\n"):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry
