"""The state of units, as systemd reports it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import Signals

from roles.verify.generation import Scope
from roles.verify.probe.commands import output_of

_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "UnitFileState",
    "MainPID",
    "Job",
    "ActiveEnterTimestampMonotonic",
    "InactiveExitTimestampMonotonic",
    "NRestarts",
    "ControlGroup",
    "MemoryMax",
)
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")
"""Signals that end a process because of a defect of its own."""
_KILLED, _DUMPED = "2", "3"
"""The value of `ExecMainCode` for a process that a signal has ended: CLD_KILLED, CLD_DUMPED of waitid(2)."""
_LONGEST_ANSWER = 20.0
"""Seconds. A systemd that takes longer (it reloads, it hangs) counts as not available."""


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd reports it.

    Attributes:
        active, sub: e.g. `active` and `running`, `activating` and `auto-restart`.
        result: why it last stopped, e.g. `exit-code`; `success` otherwise.
        signal: what last ended its main process; empty = not a signal, or it is running.
        enabled: systemd's `UnitFileState`; empty if there is no such unit file.
        main_pid: 0 when no process is running.
        active_since: when it last became active, on the clock of `time.monotonic`; 0 = never in this boot.
        has_job: systemd has a start or stop job queued for it, as right after boot.
        restarts: how often systemd has restarted it automatically since its last explicit start.
        began: when its last start began, on the same clock.
        control_group: its path below the cgroup hierarchy; empty when no process of it is running.
        memory_max: bytes that its processes may use; None = no limit is declared.
    """

    name: str
    loaded: str
    active: str
    sub: str
    result: str
    enabled: str
    main_pid: int
    active_since: float
    has_job: bool
    restarts: int = 0
    began: float = 0
    control_group: str = ""
    memory_max: int | None = None
    signal: str = ""

    def __str__(self) -> str:
        if self.loaded != "loaded":
            return self.loaded
        cause = "" if self.result in ("success", "") else f", result {self.result}"
        cause += f", ended by {self.signal}" if cause and self.signal else ""
        return f"{self.active} ({self.sub}{cause})"

    @property
    def has_crashed(self) -> bool:
        """A defect of its own last ended its main process."""
        return self.result not in ("success", "") and self.signal in CRASHES

    @property
    def may_become_ready(self) -> bool:
        """It is running or about to start: waiting for it makes sense."""
        return self.has_job or self.active in ("active", "activating", "reloading")


async def read_unit_states(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
    """The states of all `units`, in one call.

    Raises:
        CannotCheck: systemd cannot be asked.
    """
    command = ["systemctl", *(["--user"] if scope == "user" else []), "show", "--no-pager"]
    command += [f"--property={','.join(_PROPERTIES)}", "--", *units]
    environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ, "LC_ALL": "C"}
    return parse_show(await output_of("systemctl show", command, _LONGEST_ANSWER, environment))


def parse_show(output: str) -> dict[str, UnitState]:
    """Unit name → state, from the output of `systemctl show`: one paragraph of `Property=value` lines per unit."""
    states = {}
    for paragraph in output.strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in paragraph.splitlines() if "=" in line)
        if "Id" in properties:
            state = _state(properties)
            states[state.name] = state
    return states


def _state(properties: Mapping[str, str]) -> UnitState:
    return UnitState(
        name=properties["Id"],
        loaded=properties.get("LoadState", ""),
        active=properties.get("ActiveState", ""),
        sub=properties.get("SubState", ""),
        result=properties.get("Result", ""),
        enabled=properties.get("UnitFileState", ""),
        main_pid=_number(properties, "MainPID"),
        # CLOCK_MONOTONIC in microseconds; Python's time.monotonic() reads the same clock on Linux.
        active_since=_number(properties, "ActiveEnterTimestampMonotonic") / 1e6,
        has_job=(properties.get("Job") or "0") != "0",
        restarts=_number(properties, "NRestarts"),
        began=_number(properties, "InactiveExitTimestampMonotonic") / 1e6,
        control_group=properties.get("ControlGroup", ""),
        memory_max=_number(properties, "MemoryMax") or None,
        signal=(
            signal_name(properties.get("ExecMainStatus", ""))
            if properties.get("ExecMainCode") in (_KILLED, _DUMPED)
            else ""
        ),
    )


def signal_name(number: str) -> str:
    """`11` → `SIGSEGV`; the number itself if it is not a signal's."""
    try:
        return Signals(int(number)).name
    except ValueError:
        return f"signal {number}"


def _number(properties: Mapping[str, str], name: str) -> int:
    """0 for a property that is missing or not a number: `infinity`, `[not set]`."""
    value = properties.get(name, "")
    return int(value) if value.isdecimal() else 0
