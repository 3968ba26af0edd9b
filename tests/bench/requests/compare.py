"""The gateway of an earlier commit and that of this folder, asked in turn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.requests.clients import Answer, Load, ask, percentile
from tests.bench.requests.gateway import Gateway, stand_in
from tests.bench.requests.sources import litellm_environment, tree_of
from tests.labhost.paths import REPOSITORY, LabFolders

MOST = 1.05
"""By how much a request may cost more than before."""

_ROUNDS = 16
_WARM_ROUNDS = 2
_PORTS = (15100, 15200)
_SERVER_PORT = 15900
_IDLE_SECONDS = 30

LOADS = (
    Load("plain, one after another", answers=75, at_once=1),
    Load("plain, 8 at once", answers=192, at_once=8),
    Load("stream of 100 chunks, one after another", answers=20, at_once=1, streamed=True, tokens=100),
    Load("stream of 100 chunks, 10 ms apart, 8 at once", answers=8, at_once=8, streamed=True, tokens=100, pause=10),
)


@dataclass(frozen=True)
class Written:
    """What a gateway's processes wrote."""

    lines: int
    size: int

    def __sub__(self, other: Written) -> Written:
        return Written(self.lines - other.lines, self.size - other.size)


@dataclass(frozen=True)
class Round:
    """One load asked of one gateway.

    Attributes:
        litellm: CPU seconds of LiteLLM's process,
        front: and of HAProxy's.
    """

    litellm: float
    front: float
    answers: tuple[Answer, ...]
    written: Written

    @property
    def cpu(self) -> float:
        return self.litellm + self.front

    @property
    def waits(self) -> list[float]:
        """Seconds that clients waited: for each whole answer or, where the server pauses, from chunk to chunk."""
        between = [seconds for answer in self.answers for seconds in answer.between]
        return between or [answer.whole for answer in self.answers]

    @property
    def p50(self) -> float:
        return percentile(self.waits, 50)

    @property
    def first_p50(self) -> float:
        """Until an answer began."""
        return percentile([answer.first for answer in self.answers], 50)


@dataclass(frozen=True)
class Compared:
    """A load's rounds, before and after: those of the same place were asked one right after the other."""

    load: Load
    before: tuple[Round, ...]
    after: tuple[Round, ...]

    def ratio(self, figure: Callable[[Round], float]) -> float:
        """After ÷ before: the median of the pairs, as the machine's speed changes from one to the next."""
        return statistics.median(
            figure(after) / figure(before) for before, after in zip(self.before, self.after, strict=True)
        )

    @property
    def p99_ratio(self) -> float:
        """Of all rounds together: a single one has too few answers for it."""
        return p99(self.after) / p99(self.before)


@dataclass(frozen=True)
class Comparison:
    """Attributes:
    idle: what each gateway wrote in a minute without requests.
    """

    before: str
    loads: tuple[Compared, ...]
    idle: tuple[Written, Written]


def p99(rounds: Sequence[Round]) -> float:
    return percentile([seconds for each in rounds for seconds in each.waits], 99)


def compare(before: str, say: Callable[[str], None]) -> Comparison:
    """Start both gateways and ask them.

    Args:
        before: the earlier commit.

    Raises:
        BenchError: one does not start, or does not answer.
    """
    environment = litellm_environment(LabFolders.from_environment())
    # The processes of LiteLLM have a core of their own, where there are two.
    cores = sorted(os.sched_getaffinity(0))
    own, others = {cores[0]}, set(cores[1:]) or {cores[0]}
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="ai-backend-bench-")))
        ends.enter_context(stand_in(_SERVER_PORT, folder, others))
        gateways = []
        for name, tree, port in zip(
            ("before", "after"), (tree_of(before, folder / "tree"), REPOSITORY), _PORTS, strict=True
        ):
            gateway = Gateway(tree, folder / name, port, _SERVER_PORT, environment)
            ends.callback(gateway.end)
            gateway.start(cores=own, front_cores=others)
            gateways.append(gateway)
        os.sched_setaffinity(0, others)
        ends.callback(os.sched_setaffinity, 0, set(cores))
        loads = [_compare_load(gateways, load, say) for load in LOADS]
        idle = [_written(gateway) for gateway in gateways]
        time.sleep(_IDLE_SECONDS)
        idle = [_written(gateway) - earlier for gateway, earlier in zip(gateways, idle, strict=True)]
    minutes = _IDLE_SECONDS / 60
    first, second = (Written(round(each.lines / minutes), round(each.size / minutes)) for each in idle)
    return Comparison(before, tuple(loads), (first, second))


def _compare_load(gateways: Sequence[Gateway], load: Load, say: Callable[[str], None]) -> Compared:
    rounds: list[list[Round]] = [[], []]
    for number in range(-_WARM_ROUNDS, _ROUNDS):
        # Whoever comes second may find it warmer.
        for place in (0, 1) if number % 2 else (1, 0):
            measured = _measure(gateways[place], load)
            if number >= 0:
                rounds[place].append(measured)
    found = Compared(load, tuple(rounds[0]), tuple(rounds[1]))
    say(f"{load.name}: CPU {found.ratio(_cpu):.3f} times that of before, p50 {found.ratio(_p50):.3f} times")
    return found


def _cpu(each: Round) -> float:
    return each.cpu


def _p50(each: Round) -> float:
    return each.p50


def _measure(gateway: Gateway, load: Load) -> Round:
    processes = gateway.processes()
    written, cpu = _written(gateway), [process.cpu_seconds() for process in processes]
    answers = asyncio.run(ask(gateway.port, gateway.key, load))
    litellm, front = (process.cpu_seconds() - earlier for process, earlier in zip(processes, cpu, strict=True))
    return Round(litellm, front, tuple(answers), _written(gateway) - written)


def _written(gateway: Gateway) -> Written:
    texts = [log.read_bytes() for log in gateway.logs()]
    return Written(sum(text.count(b"\n") for text in texts), sum(map(len, texts)))


def broken_promises(comparison: Comparison) -> list[str]:
    """What costs more than it may. Empty = all is well."""
    found = []
    for each in comparison.loads:
        ratios = {
            "CPU": each.ratio(_cpu),
            "p50": each.ratio(_p50),
            "p99": each.p99_ratio,
        }
        found += [
            f"{each.load.name}: {name} is {ratio:.3f} times that of before, more than {MOST}"
            for name, ratio in ratios.items()
            if ratio > MOST
        ]
    return found
