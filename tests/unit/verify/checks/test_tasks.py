"""The verifier's claims about units that do something and end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from roles.contract.verdict import Check
from roles.verify.checks.tasks import task_checks
from roles.verify.generation import Scope, Task
from roles.verify.probe.systemd import UnitState, parse_show
from tests.deployed import context, deployed

UNIT = "ollama-models.service"


def shown(active: str, sub: str, enabled: str = "enabled") -> UnitState:
    lines = [f"Id={UNIT}", "LoadState=loaded", f"ActiveState={active}", f"SubState={sub}", f"UnitFileState={enabled}"]
    return parse_show("\n".join(lines))[UNIT]


def verify(
    tmp_path: Path,
    *states: UnitState,
    done: str | None = "abc",
    timeout: float = 5,
    effect_command: tuple[str, ...] = (),
) -> dict[str, tuple[bool, str]]:
    """Check → (passes, what was seen) of each of the `checks`."""
    found = checks(tmp_path, *states, done=done, timeout=timeout, effect_command=effect_command)
    return {id: (check.ok is True, check.seen) for id, check in found.items()}


def checks(
    tmp_path: Path,
    *states: UnitState,
    done: str | None = "abc",
    timeout: float = 5,
    effect_command: tuple[str, ...] = (),
) -> dict[str, Check]:
    """The checks by their ids, with a systemd that shows these states one after the other."""
    unit_file = tmp_path / UNIT
    unit_file.write_text("[Service]\nEnvironment=AI_BACKEND_DIGEST=abc\n")
    if done is not None:
        (tmp_path / "done").write_text(done)
    left = list(states)

    async def read_states(units: Sequence[str], scope: Scope) -> Mapping[str, UnitState]:
        return {UNIT: left.pop(0) if len(left) > 1 else left[0]}

    async def run() -> dict[str, Check]:
        task = Task(
            unit=UNIT, done_file="done", start_timeout=timeout, unit_file=unit_file, effect_command=effect_command
        )
        async with httpx.AsyncClient() as client:
            checked = context(deployed(tmp_path), client, read_states=read_states)
            found = await asyncio.gather(*task_checks(task, checked))
        return {check.id: check for check in found}

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.verify.checks.tasks._PAUSE", 0.01)


def test_a_task_that_has_done_its_work_holds(tmp_path: Path) -> None:
    found = verify(tmp_path, shown("active", "exited"))
    assert found == {f"unit/{UNIT}/enabled": (True, "enabled"), f"unit/{UNIT}/done": (True, "done")}


def test_a_task_that_is_at_work_is_waited_for(tmp_path: Path) -> None:
    running = shown("active", "running")
    assert verify(tmp_path, running, running, running, shown("active", "exited"))[f"unit/{UNIT}/done"] == (True, "done")


@pytest.mark.parametrize(
    ("state", "done", "code", "seen"),
    [
        pytest.param(shown("failed", "failed"), "abc", "task-failed", "failed (failed)", id="it failed"),
        pytest.param(shown("inactive", "dead"), "abc", "task-failed", "inactive (dead)", id="it never ran"),
        pytest.param(
            shown("active", "exited"),
            "older",
            "task-outdated",
            "what was done is that of digest older",
            id="another digest",
        ),
        pytest.param(shown("active", "exited"), None, "task-record-missing", "No such file", id="no record"),
        pytest.param(shown("active", "running"), None, "task-failed", "active (running)", id="it runs still"),
    ],
)
def test_what_is_not_done_does_not_pass(
    tmp_path: Path, state: UnitState, done: str | None, code: str, seen: str
) -> None:
    found = checks(tmp_path, state, done=done, timeout=0.1)[f"unit/{UNIT}/done"]
    assert (found.ok, found.code) == (False, code)
    assert seen in found.seen


def test_a_task_that_does_not_start_at_boot_does_not_pass(tmp_path: Path) -> None:
    assert verify(tmp_path, shown("active", "exited", "disabled"))[f"unit/{UNIT}/enabled"] == (False, "disabled")


@pytest.mark.parametrize(
    ("effect_command", "held", "ok", "seen"),
    [
        pytest.param(("echo", "rules"), "rules\n", True, "as it left it", id="the same"),
        pytest.param(
            ("echo", "other rules"), "rules\n", False, "`echo other rules` prints something else than", id="changed"
        ),
        pytest.param(("ls", "/no/such/table"), "rules\n", False, "No such file", id="gone"),
        pytest.param(("echo", "rules"), None, False, "held: No such file", id="nothing to compare with"),
        pytest.param(("false",), "", False, "exit status 1", id="a command that fails"),
    ],
)
def test_what_a_task_has_brought_about_must_be_as_it_left_it(
    tmp_path: Path, effect_command: tuple[str, ...], held: str | None, ok: bool, seen: str
) -> None:
    if held is not None:
        (tmp_path / "held").write_text(held)
    found = verify(tmp_path, shown("active", "exited"), effect_command=effect_command)[f"unit/{UNIT}/effect"]
    assert found[0] is ok
    assert seen in found[1]
