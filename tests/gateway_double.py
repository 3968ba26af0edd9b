"""A LiteLLM gateway on loopback, as the verifier sees one, whose manners a test can spoil; and a verifier to ask it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roles.verify import Verdict, verify
from roles.verify.checks.gateway import WRONG_KEY
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
NAMES = ("qwen", "gpt-4o", "text", "vector")
"""What the double offers: a chat route with an alias, a completion route, an embedding route."""
CHATS = {"route/qwen/chat", "route/gpt-4o/chat"}
STREAMS = {"route/qwen/stream", "route/gpt-4o/stream"}
OVER_LIMIT = "litellm.RateLimitError: Model rate limit exceeded. RPM limit=12, current usage=17.0"
"""How LiteLLM 1.106.2 words it."""


@dataclass(frozen=True)
class Manner:
    """How the double answers one model's requests. The default is how LiteLLM 1.106.2 answers a healthy route."""

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
    vector: Sequence[float] = (0.1, 0.2)
    order: Sequence[int] = (1, 0)
    tool: str | None = "report_weather"
    tool_arguments: str = '{"city": "Paris"}'
    structured: str = '{"capital": "Paris"}'
    origins: Sequence[str] = ()
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
        self.kept: list[dict[str, Any]] = []

    def spoil(self, *names: str, **manner: Any) -> None:
        for name in names:
            self.manners[name] = Manner(**manner)


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
        if manner.times is not None:
            # So often, and then no more.
            then = manner.then or Manner()
            self.server.manners[model] = replace(manner, times=manner.times - 1) if manner.times > 1 else then
        time.sleep(manner.delay)
        if manner.status != 200:
            self._json(manner.status, {"error": {"message": manner.error}})
        elif body.get("stream"):
            self._stream(model, manner)
        else:
            self._json(200, self._whole(manner, body), {**self._origin(model, manner), **self._kept(body)})

    def _refused(self) -> bool:
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or None
        status = 200 if key == KEY else self.server.refusals[key]
        if status != 200:
            self._json(status, {"error": {"message": "No connected db."}})
        return status != 200

    def _kept(self, body: dict[str, Any]) -> dict[str, str]:
        if body in self.server.kept:
            return {"x-litellm-cache-key": "gateway:1f0c"}
        if body["cache"].get("use-cache"):
            self.server.forgets -= 1
            if self.server.forgets < 0:
                self.server.kept.append(body)
        return {}

    def _whole(self, manner: Manner, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.path == "/v1/embeddings":
            return {"data": [{"embedding": list(manner.vector)}]}
        if self.path == "/v1/rerank":
            return {"results": [{"index": index, "relevance_score": 0.5} for index in manner.order]}
        if self.path == "/v1/completions":
            return {"choices": [{"text": manner.words}]}
        message: dict[str, Any] = {"content": manner.words or None, "reasoning_content": manner.thinking}
        if "tools" in body and manner.tool:
            function = {"name": manner.tool, "arguments": manner.tool_arguments}
            message = {"content": None, "tool_calls": [{"type": "function", "function": function}]}
        if "response_format" in body:
            message = {"content": manner.structured}
        return {"choices": [{"message": message}]}

    def _stream(self, model: str, manner: Manner) -> None:
        # Announced but never sent in full: the client sees the connection break off.
        more = {"content-length": "100000"} if manner.abort else {}
        self._head(200, manner.kind, {**self._origin(model, manner), **more})
        part = "reasoning_content" if manner.thinking else "content"
        text = manner.thinking or manner.words
        for number in range(manner.chunks):
            piece = text[number :: manner.chunks] if manner.thinking else (text if number == 0 else "")
            self._event({"choices": [{"delta": {part: piece}}]})
        if manner.stream_error:
            self._event({"error": {"message": "backend went away", "code": "500"}})
        if not manner.abort:
            self.wfile.write(manner.end.encode())

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

    def verdict(self, **changes: Any) -> Verdict:
        generation = replace(self.generation, **changes)
        return asyncio.run(verify(generation, read_states=_running, proc=self.proc))

    def red(self, **changes: Any) -> dict[str, str]:
        """What was seen, by id of each failed check. None is unknown."""
        verdict = self.verdict(**changes)
        assert all(check.ok is not None for check in verdict.checks)
        return {check.id: check.seen for check in verdict.checks if not check.ok}
