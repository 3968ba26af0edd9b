"""What is measured, and in which order."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.bench.host import BenchHost, Run, new_host
from tests.bench.playbook import render_for_ansible
from tests.labhost import Lab

ROUND_TRIPS = (0, 40)
"""Milliseconds added to each round trip: a host next door, and one on the same continent."""
MOST_CHANNELS_OF_A_NO_OP = 4
"""Three for facts, one for the verifier."""

_FLOORS, _NO_OPS, _PLAYS = 5, 5, 3
_CONTEXT_SIZES = {0: (1024, 768), 40: (640, 896)}
"""Milliseconds → new context sizes, one after the other; each is a change."""


class What(StrEnum):
    FLOOR = "floor: `ssh host true`"
    NO_OP = "no-op"
    PLAYBOOK = "no-op, as an Ansible playbook"
    CHANGE = "one option changed"
    FIRST = "first run"


@dataclass(frozen=True)
class Row:
    """The repetitions of one thing over one link."""

    what: What
    round_trip: int
    runs: tuple[Run, ...]

    @property
    def seconds(self) -> str:
        """Median, and the range where there is one."""
        values = [run.seconds for run in self.runs]
        median = f"{statistics.median(values):.2f}"
        return median if len(values) == 1 else f"{median} ({min(values):.2f}-{max(values):.2f})"

    @property
    def channels(self) -> str:
        return _range([run.channels for run in self.runs])

    @property
    def changed(self) -> str:
        return _range([run.changed for run in self.runs])


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def measure(lab: Lab, say: Callable[[str], None]) -> list[Row]:
    """Make the hosts and measure every row.

    Raises:
        BenchError: a run failed.
        LabError: a host could not be made.
    """
    rows: list[Row] = []

    def add(what: What, round_trip: int, *runs: Run) -> None:
        rows.append(row := Row(what, round_trip, runs))
        say(f"{what}, +{round_trip} ms: {row.channels} channels, {row.seconds} s, {row.changed} changed")

    with new_host(lab, "steady") as host:
        say(f"filling the caches with a first run that does not count, on {host.release()}")
        host.deploy()
        with tempfile.TemporaryDirectory(prefix="ai-backend-bench-") as folder:  # made with mode 0700
            host.prepare_for_ansible()
            variables = render_for_ansible(host.host, Path(folder))
            host.play(variables)  # not counted: Python has yet to compile Ansible
            for round_trip in ROUND_TRIPS:
                host.set_round_trip(round_trip)
                add(What.FLOOR, round_trip, *(host.connect() for _ in range(_FLOORS)))
                add(What.NO_OP, round_trip, *(host.deploy() for _ in range(_NO_OPS)))
                add(What.PLAYBOOK, round_trip, *(host.play(variables) for _ in range(_PLAYS)))
        for round_trip in ROUND_TRIPS:
            host.set_round_trip(round_trip)
            add(What.CHANGE, round_trip, *(_change(host, size) for size in _CONTEXT_SIZES[round_trip]))
    for round_trip in ROUND_TRIPS:
        with new_host(lab, f"first{round_trip}") as host:
            host.set_round_trip(round_trip)
            add(What.FIRST, round_trip, host.deploy())
    return sorted(rows, key=lambda row: (list(What).index(row.what), row.round_trip))


def _change(host: BenchHost, context_size: int) -> Run:
    return host.deploy("tests/bench/changed.py", BENCH_CONTEXT_SIZE=str(context_size))


def broken_promises(rows: list[Row]) -> list[str]:
    """What the figures show that may not be. Empty = all is well."""
    return [
        f"{row.what}, +{row.round_trip} ms: {problem}"
        for row in rows
        for run in row.runs
        if (problem := _problem(row.what, run)) is not None
    ]


def _problem(what: What, run: Run) -> str | None:
    match what:
        case What.FLOOR if run.channels != 1:
            return f"{run.channels} channels counted for one command: the count is wrong"
        case What.NO_OP | What.PLAYBOOK if run.changed:
            return f"it changed {run.changed} things"
        case What.NO_OP if run.channels > MOST_CHANNELS_OF_A_NO_OP:
            return f"it opened {run.channels} channels, more than {MOST_CHANNELS_OF_A_NO_OP}"
        case What.CHANGE if not run.changed:
            return "it changed nothing"
        case _:
            return None
