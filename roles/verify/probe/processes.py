"""Which processes belong to which unit, by their cgroups in /proc."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from roles.verify.verdict.quoting import read_foreign


def units_of(process: Path) -> tuple[str, ...]:
    """The units that a process (a folder of /proc) belongs to, innermost last.

    Only cgroups made by a service manager of ours count. Below a delegated unit, such as each user's manager, its owner
    names the cgroups, and may use the name of a unit of the stack.

    Raises:
        OSError: it has ended.
    """
    # One line per hierarchy (several under cgroup v1), each `id:controllers:/path/of/groups`.
    lines = (line.split(":", 2) for line in read_foreign(process / "cgroup").split("\n"))
    return tuple(dict.fromkeys(unit for parts in lines if len(parts) == 3 for unit in _managed(parts[2])))


def _managed(path: str) -> Iterator[str]:
    """The unit of the system's manager; if that is our own user manager, also the unit in it."""
    units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
    return iter(units[:2] if units[:1] == [f"user@{os.getuid()}.service"] else units[:1])


def processes_of(units: Collection[str], proc: Path = Path("/proc")) -> Mapping[str, frozenset[int]]:
    """Unit → its process IDs, for each of `units`."""
    found: dict[str, set[int]] = {unit: set() for unit in units}
    for process in proc.glob("[0-9]*"):
        try:
            names = units_of(process)
        except OSError:
            continue
        for unit in found.keys() & set(names):
            found[unit].add(int(process.name))
    return {unit: frozenset(numbers) for unit, numbers in found.items()}
