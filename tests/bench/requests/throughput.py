"""How many requests, and chunks of streams, several instances of this folder's gateway answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.requests.clients import Load, ask
from tests.bench.requests.gateway import Gateway, stand_in
from tests.bench.requests.sources import litellm_environment
from tests.labhost.paths import REPOSITORY, LabFolders

_INSTANCES = (1, 2, 4)
_ROUNDS = 3
_PORT = 15300
_SERVER_PORT = 15901

PLAIN = Load("plain", answers=300, at_once=32)
STREAMED = Load("stream of 100 chunks", answers=60, at_once=32, streamed=True, tokens=100)


@dataclass(frozen=True)
class Rates:
    """What so many instances answer.

    Attributes:
        plain: requests a second in each round.
        chunks: likewise, those of streams.
        plain_cores: processors that LiteLLM's processes took of the machine meanwhile: CPU seconds a second.
        chunk_cores: likewise.
    """

    instances: int
    plain: tuple[float, ...]
    chunks: tuple[float, ...]
    plain_cores: float
    chunk_cores: float


def measure_throughput(say: Callable[[str], None]) -> list[Rates]:
    """Ask the gateway with one instance, then with more.

    Raises:
        BenchError: one does not start, or does not answer.
    """
    environment = litellm_environment(LabFolders.from_environment())
    found = []
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="ai-backend-bench-")))
        ends.enter_context(stand_in(_SERVER_PORT, folder, os.sched_getaffinity(0)))
        gateway = Gateway(REPOSITORY, folder / "gateway", _PORT, _SERVER_PORT, environment, max(_INSTANCES))
        ends.callback(gateway.end)
        for instances in _INSTANCES:
            gateway.start(instances)
            for load in (PLAIN, STREAMED):
                _ask(gateway, load)  # not counted: the first requests of a process are slow
            plain = [_ask(gateway, PLAIN) for _ in range(_ROUNDS)]
            streamed = [_ask(gateway, STREAMED) for _ in range(_ROUNDS)]
            rates = Rates(
                instances,
                plain=tuple(rate for rate, _ in plain),
                chunks=tuple(rate for rate, _ in streamed),
                plain_cores=statistics.median(cores for _, cores in plain),
                chunk_cores=statistics.median(cores for _, cores in streamed),
            )
            say(
                f"{instances} instances: {statistics.median(rates.plain):.0f} requests, "
                f"{statistics.median(rates.chunks):.0f} chunks a second"
            )
            found.append(rates)
    return found


def _ask(gateway: Gateway, load: Load) -> tuple[float, float]:
    """Requests or chunks a second, and the processors that LiteLLM took meanwhile."""
    cpu = sum(process.cpu_seconds() for process in gateway.instances)
    began = time.monotonic()
    asyncio.run(ask(gateway.port, gateway.key, load))
    seconds = time.monotonic() - began
    return load.units / seconds, (sum(process.cpu_seconds() for process in gateway.instances) - cpu) / seconds
