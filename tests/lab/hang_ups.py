"""Clients that go away: how soon llama-server's one slot is free for the next."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import httpx

from tests.lab.mistakes import GOOD
from tests.lab.traffic import Gateway
from tests.labhost import LabHost

When: TypeAlias = Literal["at once", "later"]
"""Before the answer's first word is made, and after."""
KINDS: tuple[tuple[bool, When], ...] = ((False, "at once"), (False, "later"), (True, "at once"), (True, "later"))
"""Streamed or not, and when."""

_CHAT = "/v1/chat/completions"
_LONG: Mapping[str, object] = {**GOOD, "model": "tiny-native", "max_tokens": 1900, "ignore_eos": True}
_SHORT: Mapping[str, object] = {**GOOD, "model": "tiny-native", "max_tokens": 8}
_PID = "$(systemctl show -P MainPID llama-server@native.service)"
_SLOW = f"pid={_PID}; while kill -STOP $pid; do sleep 0.1; kill -CONT $pid; sleep 0.006; done"

_AT_ONCE, _LATER = 0.1, 1.0
"""Seconds after the request for which a client waits."""


@contextlib.contextmanager
def slow_server(host: LabHost) -> Iterator[None]:
    """Meanwhile a long answer of the tiny model takes some 10 seconds, and not half of one: its server is stopped most
    of the time."""
    host.run(f"systemd-run --quiet --unit=slow-server sh -c '{_SLOW}'")
    try:
        yield
    finally:
        host.run(f"systemctl stop slow-server; kill -CONT {_PID}")


async def long_answer(gateway: Gateway) -> float:
    """Seconds of the answer that hung-up clients do not wait for."""
    async with gateway.client() as client:
        return await _ask(gateway, client, _LONG)


async def seconds_until_free(gateway: Gateway, stream: bool, when: When) -> float:
    """Hang up, then ask for a few words, which are made once the slot is free: how long that takes."""
    async with gateway.client() as client:
        task = asyncio.create_task(_begin(gateway, client, stream, when))
        await asyncio.wait([task], timeout=_AT_ONCE if when == "at once" else 30 if stream else _LATER)
        assert stream or not task.done(), "the answer was whole before the client hung up"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return await _ask(gateway, client, _SHORT)


async def _begin(gateway: Gateway, client: httpx.AsyncClient, stream: bool, when: When) -> None:
    """Returns in the middle of a stream, which ends its connection."""
    async with gateway.stream(client, _CHAT, json.dumps({**_LONG, "stream": stream}).encode()) as reply:
        assert reply.status_code == httpx.codes.OK, (await reply.aread()).decode()
        if stream and when == "later":
            async for line in reply.aiter_lines():
                if line.startswith("data:") and json.loads(line.removeprefix("data:"))["choices"][0]["delta"]:
                    return
        await reply.aread()


async def _ask(gateway: Gateway, client: httpx.AsyncClient, body: Mapping[str, object]) -> float:
    began = time.monotonic()
    reply = await gateway.post(client, _CHAT, json.dumps(body).encode())
    assert reply.headers.get("x-litellm-model-id") == "tiny-native@native", reply.text[:300]
    return time.monotonic() - began
