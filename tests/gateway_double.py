"""A LiteLLM gateway on loopback, as the verifier sees one, whose manners a test can spoil; and a verifier to ask it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from roles.contract.abilities import UNKNOWN, Abilities
from roles.contract.modes import MODES, Mode
from roles.verify import Verdict, verify
from roles.verify.checks.gateway import WRONG_KEY
from roles.verify.checks.speed import Measuring
from roles.verify.generation import Generation, Scope
from roles.verify.probe.systemd import UnitState
from tests.labhost.http_server import QuietHandler, ThreadedServer

KEY = "sk-0123456789abcdef"
UNIT = "litellm.service"
DIGEST = "0123456789abcdef"
PID = 4242
_FILES = {"files": {"providers.yaml": [hashlib.sha256(b"").hexdigest(), 0o644]}, "links": {}}
GENERATION = hashlib.sha256(json.dumps(_FILES, separators=(",", ":")).encode()).hexdigest()[:16]
"""The name of a generation with one empty file."""
BASE = "http://127.0.0.1:8001/v1"
_MODES: Mapping[str, Mode] = {"text": "completion", "vector": "embedding", "order": "rerank"}
NAMES = ("qwen", "gpt-4o", "text", "vector")
"""What the double offers: a chat route with an alias, a completion route, an embedding route."""
CHATS = {"route/qwen/chat", "route/gpt-4o/chat"}
STREAMS = {"route/qwen/stream", "route/gpt-4o/stream"}
_LONG = 64
"""Tokens of an answer beyond those of the probes."""
OVER_LIMIT = "litellm.RateLimitError: Model rate limit exceeded. RPM limit=12, current usage=17.0"
"""How LiteLLM 1.106.2 words it."""


@dataclass(frozen=True)
class Manner:
    """How the double answers one model's requests. The default is how LiteLLM 1.106.2 answers a healthy route.

    Attributes:
        ignores: fields of requests that have no effect.
        answers: by path, another answer than the right one.
        pause: seconds after each event of a stream.
        goes_on: seconds for which a long answer keeps it busy, whether or not anybody waits for it.
        mistakes: how it answers wrong requests; none = it refuses them, with the cause.
    """

    status: int = 200
    error: str = ""
    words: str = "I am Qwen, a model."
    thinking: str = ""
    origin: str | None = None
    base: str = BASE
    fallbacks: str | None = "0"
    chunks: int = 3
    end: str = "data: [DONE]\n\n"
    kind: str = "text/event-stream; charset=utf-8"
    stream_error: bool = False
    abort: bool = False
    delay: float = 0.0
    pause: float = 0.0
    vector: Sequence[float] = (0.1, 0.2)
    order: Sequence[int] = (1, 0)
    tool: str | None = "report_weather"
    tool_arguments: str = '{"city": "Paris"}'
    structured: str = '{"capital": "Paris"}'
    origins: Sequence[str] = ()
    ignores: Sequence[str] = ()
    answers: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    mistakes: Manner | None = None
    goes_on: float = 0.0
    times: int | None = None
    then: Manner | None = None


class Double(ThreadedServer):
    """A gateway whose manners a test can spoil.

    Attributes:
        manners: how it answers, by model.
        names: the models that it offers.
        refusals: status by key; 200 = served like the right key.
        bodies: the requests that it answered.
        cache: status and error of its cache.
        abilities: what the models can do; wrong requests are refused by it.
        forgets: how many answers its cache loses before it keeps one.
    """

    request_queue_size = 64
    """The default of 5 makes the kernel drop connections of a client that asks everything at once."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", _Handler)
        self.manners: dict[str, Manner] = {}
        self.names: Sequence[str] = NAMES
        self.refusals: dict[str | None, int] = {None: 401, WRONG_KEY: 401}
        self.bodies: list[dict[str, Any]] = []
        self.cache = (200, "")
        self.forgets: float = 0
        self.abilities: Mapping[str, Abilities] = {}
        self.busy_until = 0.0
        self.kept: list[dict[str, Any]] = []

    def spoil(self, *names: str, **manner: Any) -> None:
        for name in names:
            self.manners[name] = Manner(**manner)


def mistake(path: str, body: Mapping[str, Any], able: Abilities) -> str:
    """What is wrong with a request, as the gateway's own checks would say; empty = nothing."""
    fields = {"/v1/chat/completions": "messages", "/v1/completions": "prompt", "/v1/embeddings": "input"}
    model, text = body["model"], body.get(fields.get(path, ""), "")
    if MODES[_MODES.get(model.removesuffix("@backend"), "chat")].path != path.removeprefix("/v1") and path in fields:
        return f'"{model}" is not served there'
    if isinstance(text, dict) or (path == "/v1/chat/completions" and isinstance(text, str)):
        return "a value of a wrong type"
    if isinstance(body.get("documents", []), str):
        return "a value of a wrong type"
    kinds = {
        part["type"]
        for each in body.get("messages", ())
        if isinstance(each["content"], list)
        for part in each["content"]
    }
    length = sum(len(each["content"].split()) for each in body.get("messages", ()) if isinstance(each["content"], str))
    wrong = {
        "takes no images": "image_url" in kinds and not able.images,
        "takes no audio": "input_audio" in kinds and not able.audio,
        "calls no tools": isinstance(body.get("tool_choice"), dict) and not able.tools,
        "cannot answer by a JSON schema": "response_format" in body and not able.structured_outputs,
        "gives no `logprobs`": "logprobs" in body and not able.logprobs,
        "gives one answer: `n` must be 1": body.get("n", 1) > 1 and not able.several,
        "takes fewer tokens": length > (able.context_size or length),
    }
    return next((cause for cause, is_so in wrong.items() if is_so), "")


class _Handler(QuietHandler):
    server: Double

    def do_GET(self) -> None:
        if self.path == "/ready":
            self._json(200, {})
        elif self._refused():
            pass
        elif self.path == "/cache/ping":
            status, error = self.server.cache
            self._json(status, {"error": {"message": error}} if error else {"status": "healthy"})
        else:
            self._json(200, {"data": [{"id": name} for name in self.server.names]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._refused():
            return
        self.server.bodies.append(body)
        model = body["model"]
        manner = self.server.manners.get(model, Manner())
        if cause := mistake(self.path, body, self.server.abilities.get(model, UNKNOWN)):
            if manner.mistakes is None:
                self._json(400, {"error": {"message": cause}})
                return
            manner = manner.mistakes
        if manner.times is not None:
            # So often, and then no more.
            then = manner.then or Manner()
            self.server.manners[model] = replace(manner, times=manner.times - 1) if manner.times > 1 else then
        if body.get("max_tokens", 0) > _LONG:
            self.server.busy_until = time.monotonic() + manner.goes_on
        else:
            time.sleep(max(manner.delay, self.server.busy_until - time.monotonic()))
        if manner.status != 200:
            self._json(manner.status, {"error": {"message": manner.error}})
        elif body.get("stream"):
            self._stream(model, manner, body)
        elif self.path == "/v1/messages/count_tokens":
            self._json(200, manner.answers.get(self.path, {"input_tokens": 7}))
        else:
            whole = manner.answers.get(self.path) or self._whole(manner, body)
            self._json(200, whole, {**self._origin(model, manner), **self._kept(body)})

    def _refused(self) -> bool:
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("x-api-key")
        status = 200 if key == KEY else self.server.refusals[key]
        if status != 200:
            self._json(status, {"error": {"message": "No connected db."}})
        return status != 200

    def _kept(self, body: dict[str, Any]) -> dict[str, str]:
        if body in self.server.kept:
            return {"x-litellm-cache-key": "gateway:1f0c"}
        if body.get("cache", {}).get("use-cache"):
            self.server.forgets -= 1
            if self.server.forgets < 0:
                self.server.kept.append(body)
        return {}

    def _whole(self, manner: Manner, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.path == "/v1/embeddings":
            vector = base64.b64encode(array("f", manner.vector).tobytes()).decode()
            text = "encoding_format" in body and "encoding_format" not in manner.ignores
            each: dict[str, Any] = {"embedding": vector if text else list(manner.vector)}
            return {"data": [each for _ in (body["input"] if isinstance(body["input"], list) else [""])]}
        if self.path.endswith("/rerank"):
            order = manner.order if "top_n" in manner.ignores else manner.order[: body.get("top_n")]
            return {"results": [{"index": index, "relevance_score": 0.5} for index in order]}
        if self.path == "/v1/completions":
            likely = {"logprobs": {"token_logprobs": [-0.1]}} if self._asks(manner, body, "logprobs") else {}
            return {"choices": [{"text": self._stopped(manner, body), **likely}]}
        if self.path == "/v1/responses":
            part = {"type": "output_text", "text": manner.words}
            called = {"type": "function_call", "name": manner.tool, "arguments": manner.tool_arguments}
            return {"output": [called if "tools" in body else {"type": "message", "content": [part]}]}
        if self.path == "/v1/messages":
            called = {"type": "tool_use", "name": manner.tool, "input": json.loads(manner.tool_arguments)}
            return {"content": [called if "tools" in body else {"type": "text", "text": manner.words}]}
        message: dict[str, Any] = {"content": self._stopped(manner, body) or None, "reasoning_content": manner.thinking}
        if "tools" in body and manner.tool:
            message = {"content": None, "tool_calls": [self._call(manner, body)]}
        if "response_format" in body:
            message = {"content": manner.structured}
        choice: dict[str, Any] = {"message": message}
        if self._asks(manner, body, "logprobs"):
            choice["logprobs"] = {"content": [{"logprob": -0.1}]}
        return {"choices": [choice for _ in range(body["n"] if self._asks(manner, body, "n") else 1)]}

    def _stopped(self, manner: Manner, body: Mapping[str, Any]) -> str:
        return manner.words.partition(body["stop"][0])[0] if self._asks(manner, body, "stop") else manner.words

    def _asks(self, manner: Manner, body: Mapping[str, Any], name: str) -> bool:
        return bool(body.get(name)) and name not in manner.ignores

    def _call(self, manner: Manner, body: Mapping[str, Any]) -> dict[str, Any]:
        forced = body.get("tool_choice")
        named = isinstance(forced, dict) and "tool_choice" not in manner.ignores
        name = forced["function"]["name"] if named else manner.tool  # type: ignore[index]
        return {"type": "function", "function": {"name": name, "arguments": manner.tool_arguments}}

    def _stream(self, model: str, manner: Manner, body: Mapping[str, Any]) -> None:
        # Announced but never sent in full: the client sees the connection break off.
        more = {"content-length": "100000"} if manner.abort else {}
        self._head(200, manner.kind, {**self._origin(model, manner), **more})
        for event in self._events(manner, body):
            self._event(event)
            time.sleep(manner.pause)
        if manner.stream_error:
            self._event({"error": {"message": "backend went away", "code": "500"}})
        if not manner.abort and not self.path.endswith(("/messages", "/responses")):
            self.wfile.write(manner.end.encode())

    def _events(self, manner: Manner, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        text = manner.thinking or manner.words
        if self.path == "/v1/responses":
            yield {"type": "response.created"}
            yield {"type": "response.output_text.delta", "delta": text}
            if manner.end:
                yield {"type": "response.completed"}
        elif self.path == "/v1/messages":
            yield {"type": "message_start"}
            yield {"type": "content_block_delta", "delta": {"text": text}}
            if manner.end:
                yield {"type": "message_stop"}
        elif self.path == "/v1/completions":
            yield from ({"choices": [{"text": text if number == 0 else ""}]} for number in range(manner.chunks))
            yield from self._usage(manner, body)
        elif "tools" in body:
            yield from self._call_parts(manner, body)
        else:
            part = "reasoning_content" if manner.thinking else "content"
            text = manner.structured if "response_format" in body else text
            for number in range(manner.chunks):
                piece = text[number :: manner.chunks] if manner.thinking else (text if number == 0 else "")
                yield {"choices": [{"delta": {part: piece}}]}
            yield from self._usage(manner, body)

    def _usage(self, manner: Manner, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self._asks(manner, body, "stream_options"):
            yield {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}

    def _call_parts(self, manner: Manner, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The name at once, the arguments in two pieces."""
        function = self._call(manner, body)["function"]
        half = len(function["arguments"]) // 2
        pieces = [{**function, "arguments": ""}]
        pieces += [{"arguments": function["arguments"][:half]}, {"arguments": function["arguments"][half:]}]
        for piece in pieces if manner.tool else ():
            yield {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": piece}]}}]}
        yield {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}

    def _event(self, content: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()

    def _origin(self, model: str, manner: Manner) -> dict[str, str]:
        # A request may name a deployment by its id: then just that one answers.
        deployment = f"{'qwen' if model == 'gpt-4o' else model.removesuffix('@backend')}@backend"
        if manner.origins:
            # As many were asked for so far, so far it has come round.
            deployment = manner.origins[len(self.server.bodies) % len(manner.origins)]
        origin = {"x-litellm-model-id": manner.origin or deployment}
        origin["x-litellm-model-api-base"] = manner.base
        if manner.fallbacks is not None:
            origin["x-litellm-attempted-fallbacks"] = manner.fallbacks
        return origin

    def _head(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _json(self, status: int, content: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._head(status, "application/json", headers or {})
        self.wfile.write(json.dumps(content).encode())


async def _running(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
    return {
        unit: UnitState(unit, "loaded", "active", "running", "success", "enabled", PID, time.monotonic() - 3600, False)
        for unit in units
    }


@dataclass(frozen=True)
class Verified:
    """Runs the verifier and tells what is not green."""

    generation: Generation
    proc: Path

    def verdict(
        self,
        *,
        apis: bool = False,
        apis_seconds: float = math.inf,
        speed: Measuring | None = None,
        last: Verdict | None = None,
        sparing: bool = False,
        **changes: Any,
    ) -> Verdict:
        generation = replace(self.generation, **changes)
        options: dict[str, Any] = {"apis": apis, "apis_seconds": apis_seconds, "speed": speed}
        options |= {"last": last, "sparing": sparing}
        return asyncio.run(verify(generation, read_states=_running, proc=self.proc, **options))

    def red(self, *, apis: bool = False, **changes: Any) -> dict[str, str]:
        """What was seen, by id of each failed check. None is unknown."""
        verdict = self.verdict(apis=apis, **changes)
        assert all(check.ok is not None for check in verdict.checks)
        return {check.id: check.seen for check in verdict.checks if not check.ok}
