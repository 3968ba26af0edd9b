"""The check of a service's memory: nothing was killed for lack of it, and usage is not near the limit.

Only memory that the kernel cannot reclaim counts: a server that maps its model's file fills its limit with pages of
that file, and is well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.checks.units import Settled
from roles.verify.generation import Service
from roles.verify.probe.systemd import UnitState
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import read_foreign
from roles.verify.verdict.sizes import size

CONTROL_GROUPS = Path("/sys/fs/cgroup")

_NEAR = 0.95
"""Share of the limit above which the next request may be the one that ends the service."""
_RECLAIMABLE = ("active_file", "inactive_file", "slab_reclaimable")
_RESIDENT = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)


def memory_check(
    service: Service,
    settled: Settled,
    processes: Collection[int] | CannotCheck,
    proc: Path,
    control_groups: Path = CONTROL_GROUPS,
) -> Coroutine[Any, Any, Check]:
    """The check of one service, to be awaited.

    Args:
        processes: those that belong to it, or why they are not known.
        control_groups: where the cgroup hierarchy is mounted.
    """
    unit = service.unit
    claim = Claim(f"unit/{unit}/memory", unit, "has memory left", f"no process killed, under {_NEAR:.0%} of its bound")
    return claim.check(asyncio.to_thread(_memory, unit, settled, processes, proc, control_groups))


def _memory(
    unit: str, settled: Settled, processes: Collection[int] | CannotCheck, proc: Path, control_groups: Path
) -> str:
    state = settled.state(unit)
    if isinstance(processes, CannotCheck):
        raise CannotCheck(str(processes))
    if not processes:
        raise CheckFailed("no-process", "no process runs")
    group = control_groups / state.control_group.lstrip("/")
    if not state.control_group or not (group / "memory.current").exists():
        return _not_counted(state, processes, proc)
    try:
        killed = _figures(group / "memory.events").get("oom_kill", 0)
        taken = _number(group / "memory.current")
        taken -= sum(_figures(group / "memory.stat").get(name, 0) for name in _RECLAIMABLE)
    except OSError as error:
        raise CannotCheck(f"{error.filename}: {error.strerror}") from None
    seen = (
        f"{size(max(taken, 0))} of {size(state.memory_max)}" if state.memory_max else f"{size(max(taken, 0))}, no bound"
    )
    if killed:
        message = f"{seen}; the kernel has killed {killed} of its processes for lack of memory since it started"
        raise CheckFailed("memory-exhausted", message)
    if state.memory_max and taken >= _NEAR * state.memory_max:
        raise CheckFailed("memory-near-limit", seen)
    return seen


def _not_counted(state: UnitState, processes: Collection[int], proc: Path) -> str:
    """Without the memory controller (cgroup v1, many containers) the kernel does not account a unit's memory."""
    taken = 0
    for process in processes:
        try:
            taken += sum(int(number) for number in _RESIDENT.findall(read_foreign(proc / str(process) / "status")))
        except OSError:
            continue  # it has ended
    bound = f"{size(state.memory_max)} is declared and not enforced" if state.memory_max else "no bound"
    return f"{size(taken * 1024)}; {bound}, as this host does not count the memory of units"


def _figures(file: Path) -> dict[str, int]:
    """Parses lines of a name and a number."""
    pairs = (line.split() for line in file.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _number(file: Path) -> int:
    return int(file.read_text())
