"""Requests to a lab host's gateway, many and side by side: what each was answered, by whom, and in what time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from roles.verify.probe.answers import chat_answer, streamed_answer
from roles.verify.probe.api import Api
from roles.verify.verdict.claim import CheckFailed
from tests.labhost import LabHost

LIMIT = 60.0
"""Seconds that one answer may take, to its end."""
_KEY = "cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env"


@dataclass(frozen=True)
class Answer:
    """What became of one chat.

    Attributes:
        status: 0 = there was no answer.
        problem: why it is no whole, good answer: an error's message, a stream that was cut. None = it is one.
        origin: id of the deployment that has answered.
        headers: all of the answer's headers.
        began: seconds on the monotonic clock.
        seconds: to the end of the answer.
    """

    status: int
    words: str
    problem: str | None
    origin: str | None
    began: float
    seconds: float
    headers: Mapping[str, str] = field(repr=False)


class Gateway:
    """A lab host's gateway, asked from the machine that the lab runs on; without a key, with its own, which was made on
    the host. With `https`, whatever its certificate is."""

    def __init__(self, host: LabHost, *, port: int = 4000, scheme: str = "http", key: str | None = None) -> None:
        self._url = f"{scheme}://{host.address}:{port}"
        self._key = key or host.run(_KEY).stdout.strip()

    def client(self) -> httpx.AsyncClient:
        """A client that makes no request wait for another one."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(trust_env=False, verify=False, limits=limits, timeout=httpx.Timeout(None, connect=10))

    async def ask(self, client: httpx.AsyncClient, model: str, *, stream: bool = False, **body: object) -> Answer:
        """One chat; `body` is what else, or instead, the request says."""
        api = Api(client, self._url, self._key)
        content = {
            "model": model,
            "messages": [{"role": "user", "content": "Who are you?"}],
            "max_tokens": 64,
            "temperature": 0,
            **body,
        }
        began = time.monotonic()
        status, words, headers, problem = 0, "", httpx.Headers(), None
        try:
            if stream:
                streamed = await api.stream("/v1/chat/completions", content, LIMIT)
                status, headers = streamed.status, streamed.headers
                answer, problems = streamed_answer(streamed)
                words, problem = answer.words, "; ".join(map(str, problems)) or None
            else:
                reply = await api.post("/v1/chat/completions", content, LIMIT)
                status, headers = reply.status, reply.headers
                words = chat_answer(reply).words
        except CheckFailed as failed:
            problem = str(failed)
        return Answer(
            status, words, problem, headers.get("x-litellm-model-id"), began, time.monotonic() - began, headers
        )

    async def post(self, client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
        """Any request; its answer, read to the end."""
        async with self.stream(client, path, body) as reply:
            await reply.aread()
        return reply

    def stream(
        self, client: httpx.AsyncClient, path: str, body: bytes
    ) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        """Any request; its answer, not read yet."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        return client.stream("POST", self._url + path, content=body, headers=headers, timeout=LIMIT)


def send(
    host: LabHost, model: str, count: int = 1, concurrency: int = 1, stream: bool = False, **body: object
) -> list[Answer]:
    """Ask the host's gateway `count` times, `concurrency` at the same time; `body` is what else each request says."""
    gateway = Gateway(host)

    async def all_of_them() -> list[Answer]:
        at_once = asyncio.Semaphore(concurrency)

        async def one() -> Answer:
            async with at_once:
                return await gateway.ask(client, model, stream=stream, **body)

        async with gateway.client() as client:
            return await asyncio.gather(*(one() for _ in range(count)))

    return asyncio.run(all_of_them())
