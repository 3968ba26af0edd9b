"""Which processes belong to which unit, by their control groups in /proc."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path


def units_of(process: Path) -> tuple[str, ...]:
    """The units on the control group's path of a process (a folder of /proc), innermost last.

    Raises:
        OSError: it has ended.
    """
    # One line a hierarchy (several under cgroup v1), each `id:controllers:/path/of/groups`.
    paths = [line.split(":", 2)[2] for line in (process / "cgroup").read_text().splitlines()]
    return tuple(
        dict.fromkeys(part for path in paths for part in path.split("/") if part.endswith((".service", ".scope")))
    )


def processes_of(units: Collection[str], proc: Path = Path("/proc")) -> Mapping[str, frozenset[int]]:
    """Unit → the numbers of its processes, for each of `units`."""
    found: dict[str, set[int]] = {unit: set() for unit in units}
    for process in proc.glob("[0-9]*"):
        try:
            names = units_of(process)
        except OSError:
            continue
        for unit in found.keys() & set(names):
            found[unit].add(int(process.name))
    return {unit: frozenset(numbers) for unit, numbers in found.items()}
