"""Requests of which it is known what becomes of them, to any endpoint: for counters to agree with, and to grow by."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

NO_NAME = "-"
"""The client of a request that the front has refused."""
LONG = 400
"""Tokens of an answer that its client does not wait for."""
_AT_ONCE = 8
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Ask:
    """A chat.

    Attributes:
        client: whose key it has; `NO_NAME` = one that nobody has.
        cut: its client hangs up as soon as the answer begins.
        more: what else, or instead, its body says.
    """

    client: str
    model: str
    path: str = _CHAT
    cut: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        words = [{"role": "user", "content": "Who are you?"}]
        return {"model": self.model, "messages": words, "max_tokens": 8, "temperature": 0, **self.more}


@dataclass
class Seen:
    """What clients have seen.

    Attributes:
        statuses: client, status → how many.
        tokens_in, tokens_out: client → what the answers say of it.
    """

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    tokens_in: Counter[str] = field(default_factory=Counter)
    tokens_out: Counter[str] = field(default_factory=Counter)

    def add(self, ask: Ask, status: int, usage: Mapping[str, int] | None) -> None:
        self.statuses[ask.client, status] += 1
        if usage:
            self.tokens_in[ask.client] += usage["prompt_tokens"]
            self.tokens_out[ask.client] += usage["completion_tokens"]


def send(url: str, keys: Mapping[str, str], asks: Iterable[Ask], seen: Seen) -> None:
    """Some at the same time. An answer that does not come raises `httpx.HTTPError`.

    Args:
        keys: by client.
    """
    asyncio.run(_send(url, keys, asks, seen))


async def _send(url: str, keys: Mapping[str, str], asks: Iterable[Ask], seen: Seen) -> None:
    limits = httpx.Limits(max_connections=None)
    left = iter(asks)
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=120, limits=limits) as client:

        async def work() -> None:
            for ask in left:
                key = keys.get(ask.client, "sk-nobody-has-this-one")
                headers = {**ask.headers, "Authorization": f"Bearer {key}"}
                async with client.stream("POST", ask.path, json=ask.body(), headers=headers) as answer:
                    if ask.cut:
                        await anext(answer.aiter_raw())
                        seen.add(ask, answer.status_code, None)
                        continue
                    text = (await answer.aread()).decode()
                seen.add(ask, answer.status_code, _usage(text))

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def _usage(text: str) -> Mapping[str, int] | None:
    """Of an answer, or of the last event of a stream that has it."""
    parts = [line.removeprefix("data: ") for line in text.splitlines()] if text.startswith("data: ") else [text]
    found = [json.loads(part).get("usage") for part in parts if part.startswith("{")]
    return next((usage for usage in reversed(found) if usage), None)


_STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def with_all_servers(model: str) -> list[Ask]:
    """370 requests: 210 answers, 30 of them streamed; 10 whose client hangs up; 40 mistakes, 80 unknown names or
    paths, 30 without a key."""
    return [
        *([Ask("c00", model)] * 180),
        *([Ask("c01", model, more=_STREAM)] * 30),
        *([Ask("c00", model, more={"messages": "no list"})] * 40),
        *([Ask("c03", "no-such-model")] * 60),
        *([Ask(NO_NAME, model, path="/v1/nothing")] * 20),
        *([Ask(NO_NAME, model)] * 30),
        *([Ask("c05", model, cut=True, more={"stream": True, "max_tokens": LONG, "ignore_eos": True})] * 10),
    ]


def without_its_server(model: str) -> list[Ask]:
    """100 requests that a fallback answers."""
    return [Ask("c02", model)] * 100


def without_any(model: str) -> list[Ask]:
    """30 requests that nobody can answer."""
    return [Ask("c04", model)] * 30


_ODD = ('"', "\\", "\n", "é", '{x="y"}', "\N{GRINNING FACE}", "a" * 300, "other", "one ", "%s", "$1", "")
"""Names of models, or their beginnings."""


def odd_requests(count: int, clients: list[str], known: list[str], without_server: list[str]) -> Iterable[Ask]:
    """From each client in turn what could make a series of its own: names of models, users, tags, programs, addresses.

    Args:
        known: names of models that answer.
        without_server: of those that do not, or whose fallbacks do.
    """
    some = random.Random(7)
    for number in range(count):
        new = str(uuid.UUID(int=some.getrandbits(128)))
        kind = number // len(clients) % 20
        more: dict[str, Any] = {"max_tokens": 2, "user": new, "metadata": {"tags": [new], "user_id": new}}
        headers = {"User-Agent": f"program/{new}", "x-litellm-tags": new, "x-litellm-end-user-id": new}
        model = known[number % len(known)]
        if kind < 2:
            more |= {"stream": True}
        elif kind < 8:
            model = some.choice(_ODD) + new
        elif kind == 8:
            model = some.choice(_ODD[:-1])
        elif kind < 11:
            more |= {"messages": new}
        elif kind < 13:
            model = some.choice(without_server)
        yield Ask(clients[number % len(clients)], model, more=more, headers=headers)
