"""Checks of the tasks: units that do something and end, such as bringing models."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.checks.units import ReadStates
from roles.verify.generation import Scope, Task
from roles.verify.probe.commands import output_of
from roles.verify.probe.systemd import UnitState
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import read_foreign

_LONGEST_ANSWER = 10.0
"""Seconds."""
_HOLDS = "finds what it has brought about as it left it"
_PAUSE = 0.5
"""Seconds between two looks at a task that is at work."""


def runtime_folder(scope: Scope) -> Path:
    """Where the manager of a scope makes each unit's `RuntimeDirectory=`."""
    return Path("/run" if scope == "system" else os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))


def task_checks(task: Task, scope: Scope, read_states: ReadStates, runtime: Path) -> list[Coroutine[Any, Any, Check]]:
    """The checks of one task, to be awaited. A task that is at work is waited for."""
    unit = task.unit

    def claim(name: str, text: str, expected: str) -> Claim:
        return Claim(f"unit/{unit}/{name}", unit, text, expected)

    return [
        claim("enabled", "starts at boot", "enabled").check(_enabled(unit, scope, read_states)),
        claim("done", "has done its work, as deployed", "done").check(_done(task, scope, read_states, runtime)),
        *(
            [claim("holds", _HOLDS, "as it left it").check(_holds(task, scope, read_states, runtime))]
            if task.holds
            else []
        ),
    ]


def timer_checks(unit: str, scope: Scope, read_states: ReadStates) -> list[Coroutine[Any, Any, Check]]:
    """The checks of the timer by which the host verifies itself."""
    return [
        Claim(f"unit/{unit}/enabled", unit, "starts at boot", "enabled").check(_enabled(unit, scope, read_states)),
        Claim(f"unit/{unit}/active", unit, "runs", "active").check(_active(unit, scope, read_states)),
    ]


async def _active(unit: str, scope: Scope, read_states: ReadStates) -> str:
    state = await _state(unit, scope, read_states)
    if state.active != "active":
        raise CheckFailed(str(state))
    return str(state)


async def _state(unit: str, scope: Scope, read_states: ReadStates) -> UnitState:
    states = await read_states([unit], scope)
    if unit not in states:
        raise CannotCheck("systemd said nothing about it")
    return states[unit]


async def _enabled(unit: str, scope: Scope, read_states: ReadStates) -> str:
    enabled = (await _state(unit, scope, read_states)).enabled
    if enabled != "enabled":
        raise CheckFailed(enabled or "no unit file")
    return enabled


async def _done(task: Task, scope: Scope, read_states: ReadStates, runtime: Path) -> str:
    deadline = time.monotonic() + task.start_timeout
    while (state := await _state(task.unit, scope, read_states)).sub != "exited":
        if not state.may_become_ready or time.monotonic() > deadline:
            raise CheckFailed(str(state))
        await asyncio.sleep(_PAUSE)
    try:
        found = read_foreign(runtime / task.done_file)
    except OSError as error:
        raise CheckFailed(f"{runtime / task.done_file}: {error.strerror}") from None
    if found != task.wanted_digest():
        raise CheckFailed(f"what was done is that of digest {found}")
    return "done"


async def _holds(task: Task, scope: Scope, read_states: ReadStates, runtime: Path) -> str:
    await _done(task, scope, read_states, runtime)
    held, command = (runtime / task.done_file).with_name("held"), " ".join(task.holds)
    try:
        printed = await output_of(command, list(task.holds), _LONGEST_ANSWER)
        wanted = held.read_text()
    except CannotCheck as reason:
        if "No such file" in str(reason):
            raise CheckFailed(str(reason)) from None
        raise
    except OSError as error:
        raise CheckFailed(f"{held}: {error.strerror}") from None
    if printed != wanted:
        raise CheckFailed(f"`{command}` prints something else than {held} holds")
    return "as it left it"
