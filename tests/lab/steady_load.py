"""A steady load on a lab host's gateway while something is done to it: plain, streamed and long streamed requests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import httpx

from tests.lab.traffic import Answer, Gateway

RATE = {False: 6, True: 20}
"""Requests a second, half of them streamed: in `make test`, where other hosts use the same processors, and in
`make soak`. Where answers take too long, connections add up to more than the front allows one address."""
LEAST_SECONDS = 60
_LONG_TOKENS = 400
"""Of a long stream, of which one is always under way: some seconds' worth."""


@dataclass
class Load:
    """What became of the requests; complete once the load has ended."""

    says: Mapping[str, str]
    answers: list[Answer] = field(default_factory=list)
    long: list[Answer] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """The requests that failed or were cut short, each with when and why."""
        first = min(answer.began for answer in self.answers)
        wrong = [answer for answer in self.answers if answer.problem or answer.words not in self.says.values()]
        wrong += [answer for answer in self.long if answer.problem or len(answer.words) < _LONG_TOKENS]
        return [
            f"at {answer.began - first:.1f} s: {answer.status} {answer.problem or answer.words!r} after "
            f"{answer.seconds:.1f} s"
            for answer in wrong
        ]

    @property
    def gap(self) -> float:
        """The longest time, in seconds, in which no answer came to its end."""
        ends = sorted(answer.began + answer.seconds for answer in self.answers if not answer.problem)
        return max(after - before for before, after in pairwise(ends))

    def __str__(self) -> str:
        seconds = sorted(answer.seconds for answer in self.answers)
        span = max(a.began for a in self.answers) - min(a.began for a in self.answers)
        return (
            f"{len(self.answers)} requests in {span:.0f} s and {len(self.long)} long streams of "
            f"{max((a.seconds for a in self.long), default=0):.1f} s at most: {len(self.broken)} broken; longest time "
            f"without an answer {self.gap:.2f} s; seconds to the end of an answer: median "
            f"{seconds[len(seconds) // 2]:.2f}, 99th {seconds[int(len(seconds) * 0.99)]:.2f}, most {seconds[-1]:.2f}"
        )


@contextmanager
def steady_load(gateway: Gateway, says: Mapping[str, str], rate: float) -> Iterator[Load]:
    """Load the gateway while the block runs, and for a minute at least.

    Args:
        says: model → the words of its whole answer.
        rate: requests a second.
    """
    load, enough = Load(says), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(gateway, load, rate, enough)), daemon=True)
    began = time.monotonic()
    thread.start()
    try:
        yield load
        time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
    finally:
        enough.set()
        thread.join()


async def _run(gateway: Gateway, load: Load, rate: float, enough: threading.Event) -> None:
    models = list(load.says)
    async with gateway.client() as client:
        long = asyncio.create_task(_long_streams(gateway, client, load, models[0], rate, enough))
        began, number = time.monotonic(), 0
        requests: list[asyncio.Task[None]] = []
        while not enough.is_set():
            requests.append(asyncio.create_task(_one(gateway, client, load, models, number)))
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        await asyncio.gather(long, *requests)


async def _one(gateway: Gateway, client: httpx.AsyncClient, load: Load, models: Sequence[str], number: int) -> None:
    model = models[number // 2 % len(models)]
    load.answers.append(await gateway.ask(client, model, stream=number % 2 == 1))


async def _long_streams(
    gateway: Gateway, client: httpx.AsyncClient, load: Load, model: str, rate: float, enough: threading.Event
) -> None:
    while not enough.is_set():
        body = {"max_tokens": _LONG_TOKENS, "ignore_eos": True}
        load.long.append(await gateway.ask(client, model, stream=True, **body))
        await asyncio.sleep(1 / rate)
