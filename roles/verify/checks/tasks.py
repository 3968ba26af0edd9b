"""Checks of the tasks: units that do something and end, such as fetching models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from roles.contract.verdict import Check
from roles.verify.checks.units import require_active, require_enabled
from roles.verify.context import VerificationContext
from roles.verify.generation import Task
from roles.verify.probe.commands import CommandFailed, output_of
from roles.verify.verdict.claim import CheckFailed, Claim
from roles.verify.verdict.quoting import read_foreign

_LONGEST_ANSWER = 10.0
"""Seconds."""
_EFFECT = "finds what it has brought about as it left it"
_PAUSE = 0.5
"""Seconds between two checks of a task that is running."""


def task_checks(task: Task, context: VerificationContext) -> list[Coroutine[Any, Any, Check]]:
    """The checks of one task, to be awaited. A running task is waited for."""
    unit = task.unit

    def claim(name: str, text: str, expected: str) -> Claim:
        return Claim(f"unit/{unit}/{name}", unit, text, expected)

    return [
        claim("enabled", "starts at boot", "enabled").check(_enabled(unit, context)),
        claim("done", "has done its work, as deployed", "done").check(_done(task, context)),
        *([claim("effect", _EFFECT, "as it left it").check(_effect(task, context))] if task.effect_command else []),
    ]


def timer_checks(unit: str, context: VerificationContext) -> list[Coroutine[Any, Any, Check]]:
    """The checks of a unit that starts another one: the verification's timer, or the watch over files."""
    return [
        Claim(f"unit/{unit}/enabled", unit, "starts at boot", "enabled").check(_enabled(unit, context)),
        Claim(f"unit/{unit}/active", unit, "runs", "active").check(_active(unit, context)),
    ]


async def _active(unit: str, context: VerificationContext) -> str:
    return require_active(await context.state(unit))


async def _enabled(unit: str, context: VerificationContext) -> str:
    return require_enabled(await context.state(unit))


async def _done(task: Task, context: VerificationContext) -> str:
    deadline = time.monotonic() + task.start_timeout
    while (state := await context.state(task.unit)).sub != "exited":
        if not state.may_become_ready or time.monotonic() > deadline:
            raise CheckFailed("process-crashed" if state.has_crashed else "task-failed", str(state))
        await asyncio.sleep(_PAUSE)
    record = context.runtime / task.done_file
    try:
        found = read_foreign(record)
    except OSError as error:
        raise CheckFailed("task-record-missing", f"{record}: {error.strerror}") from None
    if found != task.wanted_digest():
        raise CheckFailed("task-outdated", f"what was done is that of digest {found}")
    return "done"


async def _effect(task: Task, context: VerificationContext) -> str:
    await _done(task, context)
    held, command = (context.runtime / task.done_file).with_name("held"), " ".join(task.effect_command)
    try:
        printed = await output_of(command, list(task.effect_command), _LONGEST_ANSWER)
        wanted = held.read_text()
    except CommandFailed as failed:
        # nft's message when there is no such table.
        if "No such file" in failed.errors:
            raise CheckFailed("task-undone", str(failed)) from None
        raise
    except OSError as error:
        raise CheckFailed("task-record-missing", f"{held}: {error.strerror}") from None
    if printed != wanted:
        raise CheckFailed("task-undone", f"`{command}` prints something else than {held} contains")
    return "as it left it"
