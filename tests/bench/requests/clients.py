"""Clients that ask an endpoint: each keeps its connection, and asks again once it has the whole answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.bench.errors import BenchError
from tests.bench.requests.stand_in import question

_LONGEST_ANSWER = 60.0
_CHUNK = b"data: {"
"""Begins each chunk of a stream but the last, `[DONE]`."""


@dataclass(frozen=True)
class Load:
    """What is asked, how often, and by how many clients at once.

    Attributes:
        tokens: those of each answer; in a stream, each is a chunk.
        pause: milliseconds that the server waits between two.
    """

    name: str
    answers: int
    at_once: int
    streamed: bool = False
    tokens: int = 8
    pause: int = 0

    @property
    def unit(self) -> str:
        """What its costs are given for."""
        return "chunk" if self.streamed else "request"

    @property
    def units(self) -> int:
        return self.answers * (self.tokens if self.streamed else 1)


@dataclass(frozen=True)
class Answer:
    """Seconds from the request to the first byte of the answer's body and to its end and, where the server pauses,
    between the chunks of a stream; 0 where several arrive at once."""

    first: float
    whole: float
    between: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Received:
    """A whole answer with its head, and when its body began and each chunk arrived, on the monotonic clock."""

    answer: bytes
    first: float
    chunks: Sequence[float]


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._answer = bytearray()
        self._first = 0.0
        self._chunks: list[float] = []
        self._done: asyncio.Future[_Received] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[_Received]:
        self._answer.clear()
        self._first, self._chunks = 0.0, []
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._answer += data
        self._chunks += [now] * data.count(_CHUNK)
        head = self._answer.find(b"\r\n\r\n")
        if self._first == 0.0 and 0 <= head < len(self._answer) - 4:
            self._first = now
        if self._done and not self._done.done() and _is_whole(self._answer, head):
            self._done.set_result(_Received(bytes(self._answer), self._first, self._chunks))

    def connection_lost(self, error: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(BenchError(f"the endpoint closed a connection: {bytes(self._answer[:500])!r}"))


def _is_whole(answer: bytearray, head: int) -> bool:
    if head < 0:
        return False
    lower = bytes(answer[:head]).lower()
    if b"transfer-encoding: chunked" in lower:
        return answer.endswith(b"\r\n0\r\n\r\n")
    _, _, length = lower.partition(b"content-length:")
    return len(answer) - head - 4 >= int(length.split(b"\r\n")[0])


async def ask(port: int, key: str, load: Load) -> list[Answer]:
    """Ask the endpoint on this host's port.

    Raises:
        BenchError: an answer was not 200, or not whole.
    """
    body = {
        "model": "n",
        "messages": [{"role": "user", "content": question(load.tokens, load.pause)}],
        "max_tokens": load.tokens,
        "stream": load.streamed,
    }
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    left = iter(range(load.answers))
    answers: list[Answer] = []

    async def client() -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
        for _ in left:
            began = time.monotonic()
            async with asyncio.timeout(_LONGEST_ANSWER):
                received = await connection.ask(head.encode() + content)
            between = tuple(later - earlier for earlier, later in pairwise(received.chunks)) if load.pause else ()
            answers.append(Answer(received.first - began, time.monotonic() - began, between))
            _check(received.answer, load)
        connection.transport.close()

    try:
        async with asyncio.TaskGroup() as clients:
            for _ in range(load.at_once):
                clients.create_task(client())
    except* (BenchError, OSError, TimeoutError) as errors:
        raise BenchError(f"{load.name}: {errors.exceptions[0] or 'an answer took too long'}") from None
    return answers


def _check(said: bytes, load: Load) -> None:
    if not said.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"a request was refused: {said[-1000:]!r}")
    if load.streamed and said.count(_CHUNK) < load.tokens:
        raise BenchError(f"of {load.tokens} chunks {said.count(b'data: {')} came: {said[-1000:]!r}")


def percentile(values: Sequence[float], share: int) -> float:
    """The value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]
