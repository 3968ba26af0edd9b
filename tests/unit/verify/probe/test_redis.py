"""What a Redis, or what answers in its place, says of itself to the verifier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from roles.verify.checks import units
from roles.verify.probe.redis import RedisRefuses, ask_redis
from roles.verify.verdict.claim import CheckFailed

T = TypeVar("T")


def _answered(answer: bytes | None, ask: Callable[[str], Awaitable[T]]) -> T:
    """What is made of a server that gives that answer to whatever it is asked, and ends the connection; None = it is
    silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    async def run() -> T:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await ask(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    return asyncio.run(run())


async def _ready(url: str) -> tuple[bool, str]:
    code, seen = await units._ask_redis(url)
    return code is None, seen


@pytest.mark.parametrize(
    ("answer", "ready", "seen"),
    [
        pytest.param(b"+PONG\r\n", True, "PONG", id="well"),
        pytest.param(b"-NOAUTH Authentication required.\r\n", True, "NOAUTH", id="wants a password"),
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n", False, "LOADING", id="loading"),
        pytest.param(b"-ERR max number of clients reached\r\n", False, "ERR", id="full"),
        pytest.param(b"-MISCONF Redis is configured to save\r\n", False, "MISCONF", id="unknown to the library"),
        pytest.param(b"+OK\r\n", False, "another answer than PONG", id="another answer"),
        pytest.param(
            b"HTTP/1.1 400 Bad\r\n", False, "no answer: Protocol Error: b'HTTP/1.1 400 Bad'", id="another server"
        ),
        pytest.param(b"", False, "no answer", id="ends"),
        pytest.param(None, False, "a connection, and no answer within 0 s", id="silent"),
    ],
)
def test_a_redis_is_ready_that_says_pong_or_wants_a_password(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None, ready: bool, seen: str
) -> None:
    monkeypatch.setattr(units, "_READY_ANSWER", 0.4 if answer is None else 10)
    assert _answered(answer, _ready) == (ready, seen)


def test_where_nobody_listens_it_is_not_ready() -> None:
    ready, seen = asyncio.run(_ready("redis://127.0.0.1:1"))
    assert not ready
    assert seen.startswith("no answer: Error 111 connecting to 127.0.0.1:1.")


@pytest.mark.parametrize("text", ["WRONGPASS invalid username-password pair", "MISCONF no disk"])
def test_what_it_refuses_is_reported_in_its_own_words(text: str) -> None:
    def ask(url: str) -> Awaitable[int]:
        return ask_redis(url, lambda redis: redis.exists("key"), 10)

    with pytest.raises(RedisRefuses) as refusal:
        _answered(f"-{text}\r\n".encode(), ask)
    assert (str(refusal.value), refusal.value.code) == (f"-{text}", text.split()[0])


def test_nothing_is_sent_twice() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(CheckFailed):
                await ask_redis(url, lambda redis: redis.ping(), 10)

    asyncio.run(run())
    assert asked == [b"*1\r\n$4\r\nPING\r\n"]
