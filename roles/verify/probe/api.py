"""The gateway's HTTP interface, as one client with one key sees it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from roles.verify.probe.queues import Queues
from roles.verify.verdict.claim import CheckFailed, CoolingDown
from roles.verify.verdict.codes import Code
from roles.verify.verdict.quoting import quoted

_PASSING = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT)
"""LiteLLM's answers when every deployment of a name is in its cooldown, and when it has waited for one for as long as
it may: one that has just started may be slow enough to cause that."""

_NO_SUCH_KEY = "No connected db"
"""From LiteLLM 1.106.2's refusal of a key, with status 400: it has no database to look it up in."""
_UNREACHABLE = re.compile("[Cc]onnection error|Cannot connect|APIConnectionError|cannot be reached")
_TIMED_OUT = re.compile("Timeout|timed out|did not answer in time")
"""From messages of the gateway's request checks, and of LiteLLM 1.106.2 and its HTTP clients."""

_OVER_LIMIT = re.compile(r"[RT]PM limit=", re.IGNORECASE)
"""From LiteLLM 1.106.2's refusal by a deployment's own `rpm` or `tpm`, which it counts per clock minute."""
_LIMIT_SECONDS = 60.0
_LIMIT_PAUSE = 2.0


@dataclass(frozen=True)
class Reply:
    """A whole answer. `text` never contains the key; `seconds` are those from the request to the answer's end, without
    any wait before it was sent."""

    status: int
    headers: httpx.Headers
    text: str
    seconds: float

    @property
    def brief(self) -> str:
        """Status and the main part of the body, for people: for an error only the message."""
        return f"{self.status} {quoted(self.message)}"

    @property
    def message(self) -> str:
        """The message of an error; for anything else the whole body."""
        try:
            return str(json.loads(self.text)["error"]["message"])
        except (ValueError, LookupError, TypeError):
            return self.text

    @property
    def over_limit(self) -> bool:
        """It was refused only because the rate limit is used up, by other clients or by the verifier."""
        return self.status == httpx.codes.TOO_MANY_REQUESTS and bool(_OVER_LIMIT.search(self.text))

    @property
    def error_code(self) -> Code:
        """What kind of failure a bad answer is: by its status, and by LiteLLM's own words."""
        words = quoted(self.message)
        if self.status == httpx.codes.SERVICE_UNAVAILABLE:
            return "gateway-unavailable"
        if self.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN) or _NO_SUCH_KEY in words:
            return "key-refused"
        return error_code(words) or ("cooling-down" if self.status in _PASSING else "request-failed")

    def require_ok(self) -> None:
        if self.status in _PASSING:
            raise CoolingDown(self.error_code, self.brief)
        if self.status != httpx.codes.OK:
            raise CheckFailed(self.error_code, self.brief)

    def json(self) -> Any:
        """The body of a good answer.

        Raises:
            CheckFailed: for any status but 200, and if the body is not JSON.
        """
        self.require_ok()
        try:
            return json.loads(self.text)
        except ValueError:
            raise CheckFailed("malformed-answer", f"no JSON: {self.brief}") from None


@dataclass(frozen=True)
class StreamReply(Reply):
    """A streamed answer.

    Attributes:
        events: the `data:` of each server-sent event, in order. Empty unless the status is 200.
        broken: why the stream ended early; None = it ended normally.
        times: when the request was sent, and when each event came, in seconds on the monotonic clock.
    """

    events: tuple[str, ...] = ()
    broken: str | None = None
    times: tuple[float, ...] = ()


_ANTHROPIC_VERSION = "2023-06-01"

_MOST_AT_ONCE = 16
"""Concurrent requests to the gateway. Each takes it some 10 ms of a processor: with many more, the verification itself
would slow down a small host."""


class Api:
    """Sends requests to the gateway, with or without a key. The number of concurrent ones is limited; others wait.

    Every method raises `CheckFailed` if no answer comes within `timeout` seconds in all. A request that is refused
    because its deployment's limit for this minute is used up is sent again in the next one.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        key: str | None,
        *,
        queues: Queues | None = None,
        anthropic: bool = False,
    ) -> None:
        """
        Args:
            queues: those of the servers behind it.
            anthropic: the key is sent as that company's programs send it.
        """
        self._client = client
        self._url = url
        self._key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if anthropic and key:
            self._headers = {"x-api-key": key, "anthropic-version": _ANTHROPIC_VERSION}
        self._queues = queues or Queues()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def get(self, path: str, timeout: float) -> Reply:
        request = self._client.build_request("GET", self._url + path, headers=self._headers)
        return await self._whole(request, None, timeout)

    async def post(self, path: str, body: Mapping[str, object], timeout: float) -> Reply:
        return await _within_limits(lambda: self._whole(self._post_request(path, body), body.get("model"), timeout))

    async def stream(self, path: str, body: Mapping[str, object], timeout: float) -> StreamReply:
        """Like `post`, reading server-sent events. A stream that breaks off after it has begun is an answer too."""
        return await _within_limits(lambda: self.stream_now(path, body, timeout))

    async def stream_now(self, path: str, body: Mapping[str, object], timeout: float) -> StreamReply:
        """The same without waiting for the next minute if a limit is used up."""
        return await self._streamed(path, {**body, "stream": True}, timeout)

    async def hang_up(self, path: str, body: Mapping[str, object], *, after: float) -> None:
        """Sends a request and goes away: at the first part of its answer, or after so many seconds without one."""
        request = self._post_request(path, body)
        try:
            async with self._queues.turn(body.get("model")), self._turns, asyncio.timeout(after):
                response = await self._client.send(request, stream=True)
                try:
                    async for _ in response.aiter_raw():
                        break
                finally:
                    await response.aclose()
        except TimeoutError:
            pass  # that is when it goes
        except httpx.HTTPError as error:
            raise _failed(error, after) from None

    async def _streamed(self, path: str, body: Mapping[str, object], timeout: float) -> StreamReply:
        request = self._post_request(path, body)
        events: list[str] = []
        times: list[float] = []
        response: httpx.Response | None = None
        broken: str | None = None
        try:
            async with self._queues.turn(body.get("model")), self._turns, asyncio.timeout(timeout):
                began = time.monotonic()
                times.append(began)
                response = await self._client.send(request, stream=True)
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    return StreamReply(
                        response.status_code, response.headers, self._without_key(response.text), _since(began)
                    )
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        times.append(time.monotonic())
                        events.append(self._without_key(line.removeprefix("data:").strip()))
        except (httpx.HTTPError, TimeoutError) as error:
            failed = _failed(error, timeout)
            broken = str(failed)
            if response is None:
                raise failed from None
        finally:
            if response is not None:
                await response.aclose()
        return StreamReply(
            response.status_code, response.headers, "", _since(began), tuple(events), broken, tuple(times)
        )

    async def _whole(self, request: httpx.Request, model: object, timeout: float) -> Reply:
        try:
            async with self._queues.turn(model), self._turns, asyncio.timeout(timeout):
                began = time.monotonic()
                response = await self._client.send(request)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _failed(error, timeout) from None
        return Reply(response.status_code, response.headers, self._without_key(response.text), _since(began))

    def _post_request(self, path: str, body: Mapping[str, object]) -> httpx.Request:
        return self._client.build_request("POST", self._url + path, headers=self._headers, json=body)

    def _without_key(self, text: str) -> str:
        """Applied before a text is cut: half a key is a leak too."""
        return text.replace(self._key, "[the key]") if self._key else text


_AnyReply = TypeVar("_AnyReply", bound=Reply)


async def _within_limits(ask: Callable[[], Awaitable[_AnyReply]]) -> _AnyReply:
    """The answer, after waiting for the next minute of the gateway's clock if a limit is used up."""
    deadline = time.monotonic() + _LIMIT_SECONDS + _LIMIT_PAUSE
    while (reply := await ask()).over_limit and time.monotonic() < deadline:
        await asyncio.sleep(_LIMIT_PAUSE)
    return reply


def _since(began: float) -> float:
    return time.monotonic() - began


def _failed(error: Exception, timeout: float) -> CheckFailed:
    if isinstance(error, TimeoutError):
        return CheckFailed("answer-timeout", f"no end within {timeout:g} s")
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    code: Code = "connect-timeout" if isinstance(error, httpx.TimeoutException) else "connection-failed"
    return CheckFailed(code, message)


def error_code(words: str) -> Code | None:
    """The kind of failure that an error message of LiteLLM is about; None = not a known one."""
    if _UNREACHABLE.search(words):
        return "backend-unreachable"
    if _TIMED_OUT.search(words):
        return "backend-timeout"
    return "over-limit" if _OVER_LIMIT.search(words) else None
