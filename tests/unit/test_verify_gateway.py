"""The verifier against a gateway double on loopback: each broken behaviour turns exactly its own checks red."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from roles.verify import Verdict, verify
from roles.verify.cooldown import outlast_cooldown
from roles.verify.gateway import WRONG_KEY
from roles.verify.generation import Deployment, Gateway, Generation, Mode, Probe, Provider, Route, Scope, Service
from roles.verify.proof import CannotCheck, Resting
from roles.verify.staged import verify_staged
from roles.verify.systemd import UnitState

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


class Double(ThreadingHTTPServer):
    """A gateway whose manners a test can spoil.

    Attributes:
        manners: how it answers, by model.
        names: the models that it offers.
        refusals: status by key; 200 = served like the right key.
        bodies: the requests that it answered.
        cache: status and error of its cache.
    """

    request_queue_size = 64
    """The default of 5 makes the kernel drop connections of a client that asks everything at once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manners: dict[str, Manner] = {}
        self.names: Sequence[str] = NAMES
        self.refusals: dict[str | None, int] = {None: 401, WRONG_KEY: 400}
        self.bodies: list[dict[str, Any]] = []
        self.cache = (200, "")

    def spoil(self, *names: str, **manner: Any) -> None:
        for name in names:
            self.manners[name] = Manner(**manner)


class _Handler(BaseHTTPRequestHandler):
    server: Double

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

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
            self._json(200, self._whole(manner, body), self._origin(model, manner))

    def _refused(self) -> bool:
        key = self.headers.get("authorization", "").removeprefix("Bearer ") or None
        status = 200 if key == KEY else self.server.refusals[key]
        if status != 200:
            self._json(status, {"error": {"message": "No connected db."}})
        return status != 200

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


@pytest.fixture
def double() -> Iterator[Double]:
    server = Double()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def generation(double: Double, tmp_path: Path) -> Generation:
    key_file = tmp_path / "key.env"
    key_file.write_text(f'LITELLM_MASTER_KEY="{KEY}"\n')
    unit_file = tmp_path / "unit.service"
    unit_file.write_text(f"[Service]\nEnvironment=AI_BACKEND_DIGEST={DIGEST}\n")
    url = f"http://127.0.0.1:{double.server_port}"
    service = Service(UNIT, "127.0.0.1", double.server_port, f"{url}/ready", 5, unit_file)
    folder = tmp_path / GENERATION
    folder.mkdir()
    (folder / "providers.yaml").touch()
    (folder / "providers.yaml").chmod(0o644)
    return Generation(
        folder=folder,
        config=folder,
        state=tmp_path / "state",
        scope="system",
        gateway=Gateway(service, url, key_file, "LITELLM_MASTER_KEY", cooldown=0),
        providers=(),
        routes=(_route("qwen", "chat", "gpt-4o"), _route("text", "completion"), _route("vector", "embedding")),
    )


def _route(name: str, mode: Mode, *aliases: str) -> Route:
    # With a slash at its end: LiteLLM and the inventory may spell an address either way.
    deployment = Deployment(f"{name}@backend", f"{BASE}/", "backend")
    return Route(name, aliases, mode, (deployment,), Probe("Who are you?", None, 64, timeout=10.0))


@pytest.fixture
def proc(double: Double, tmp_path: Path) -> Path:
    """A proc file system in which the double belongs to the gateway's unit."""
    proc = tmp_path / "proc"
    process = proc / str(PID)
    (process / "fd").mkdir(parents=True)
    for number in range(3, 23):
        (process / f"fd/{number}").touch()  # no link can be read there, as of one that is closed meanwhile
    (process / "fd/23").symlink_to("socket:[777]")
    (process / "comm").write_text("litellm\n")
    (process / "cgroup").write_text(f"0::/system.slice/{UNIT}\n")
    (process / "environ").write_text(f"PATH=/bin\0AI_BACKEND_DIGEST={DIGEST}\0")
    (proc / "net").mkdir()
    (proc / "net/tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        f"   0: 0100007F:{double.server_port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000"
        "     0        0 777 1 0000000000000000 100 0 0 10 0\n"
    )
    return proc


async def _running(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
    return {
        unit: UnitState(unit, "loaded", "active", "running", "success", "enabled", PID, time.monotonic() - 3600, False)
        for unit in units
    }


async def _no_systemd(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
    raise CannotCheck("systemctl can not be run: No such file or directory")


@pytest.fixture
def proven(generation: Generation, proc: Path) -> Proven:
    return Proven(generation, proc)


@dataclass(frozen=True)
class Proven:
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


CHATS = {"route/qwen/chat", "route/gpt-4o/chat"}
STREAMS = {"route/qwen/stream", "route/gpt-4o/stream"}


def test_a_healthy_host_passes_every_check(proven: Proven) -> None:
    verdict = proven.verdict()
    assert [check for check in verdict.checks if not check.ok] == []
    assert verdict.status == "pass"
    assert [check.id for check in verdict.checks] == [
        "generation/files",
        "unit/litellm.service/active",
        "unit/litellm.service/enabled",
        "unit/litellm.service/ready",
        "unit/litellm.service/digest",
        "unit/litellm.service/port",
        "gateway/models",
        "gateway/no-key",
        "gateway/wrong-key",
        "host/disk",
        "host/clock",
        "host/listeners",
        "unit/litellm.service/restarts",
        "unit/litellm.service/memory",
        "route/qwen/chat",
        "route/qwen/stream",
        "route/gpt-4o/chat",
        "route/gpt-4o/stream",
        "route/text/completion",
        "route/vector/embedding",
    ]


def test_probes_are_cold_bounded_and_by_pass_the_cache(proven: Proven, double: Double) -> None:
    proven.verdict()
    assert len(double.bodies) == 6
    assert all(body["cache"] == {"no-cache": True} for body in double.bodies)
    worded = [body for body in double.bodies if body["model"] != "vector"]
    assert all((body["temperature"], body["max_tokens"]) == (0, 64) for body in worded)


def test_a_proxy_of_the_environment_is_not_asked(proven: Proven, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert proven.red() == {}


def test_the_checks_run_side_by_side(proven: Proven, double: Double) -> None:
    double.spoil(*NAMES, delay=0.4)
    verdict = proven.verdict()
    assert verdict.status == "pass"
    assert sum(check.seconds for check in verdict.checks) > 2.4
    assert verdict.seconds < 2.0


def test_words_that_were_not_expected_fail_the_route(proven: Proven, double: Double) -> None:
    routes = tuple(replace(route, probe=replace(route.probe, expects="QWEN")) for route in proven.generation.routes)
    assert proven.red(routes=routes) == {}
    double.spoil("gpt-4o", words="I am Llama.")
    red = proven.red(routes=routes)
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert red["route/gpt-4o/chat"] == '"I am Llama." holds no "QWEN"'


@pytest.mark.parametrize("words", ["", "  \n"])
def test_an_answer_without_words_fails(proven: Proven, double: Double, words: str) -> None:
    double.spoil("qwen", "text", words=words)
    assert proven.red() == dict.fromkeys(("route/qwen/chat", "route/qwen/stream", "route/text/completion"), "no words")


def test_thinking_without_an_answer_says_to_raise_max_tokens(proven: Proven, double: Double) -> None:
    double.spoil("qwen", words="", thinking="Let me see.")
    red = proven.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    assert all("only thinking" in seen and "raise the probe's max_tokens (64)" in seen for seen in red.values())


def test_an_answer_from_another_deployment_fails(proven: Proven, double: Double) -> None:
    double.spoil("gpt-4o", origin="llama@ollama", base="http://127.0.0.1:11434")
    red = proven.red()
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert set(red.values()) == {'answered by "llama@ollama" at http://127.0.0.1:11434'}


def test_an_answer_from_another_address_fails(proven: Proven, double: Double) -> None:
    double.spoil("vector", base="https://api.example.com/v1")
    assert proven.red() == {
        "route/vector/embedding": f"vector@backend answered at https://api.example.com/v1, not {BASE}/"
    }


def test_an_answer_after_a_fallback_fails(proven: Proven, double: Double) -> None:
    double.spoil("text", "text@backend", fallbacks="1")
    assert proven.red() == {"route/text/completion": "attempted fallbacks: 1"}


def test_a_backend_that_only_rests_is_asked_again(proven: Proven, double: Double) -> None:
    """Its own id answers well, so the route is given the time of the cool-down."""
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("text", fallbacks="1")
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert proven.red() == {}
    recovery.join()


_OVER_LIMIT = "litellm.RateLimitError: Model rate limit exceeded. RPM limit=12, current usage=17.0"


def test_a_route_that_was_asked_as_often_as_it_may_is_asked_in_the_next_minute(proven: Proven, double: Double) -> None:
    double.spoil("qwen", "qwen@backend", "text", status=429, error=_OVER_LIMIT)
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert proven.red() == {}
    recovery.join()


def test_a_limit_that_lets_nobody_pass_is_red(proven: Proven, double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.verify.api._LIMIT_SECONDS", 0.0)
    double.spoil("text", status=429, error=_OVER_LIMIT)
    assert proven.red() == {"route/text/completion": f'429 "{_OVER_LIMIT}"'}


def test_a_backend_that_rests_and_is_broken_fails_at_once(proven: Proven, double: Double) -> None:
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("qwen@backend", status=500, error="kaput")
    verdict = proven.verdict()
    assert {check.id for check in verdict.checks if not check.ok} == CHATS | STREAMS
    assert verdict.seconds < 2


def test_a_gateway_that_does_not_count_fallbacks_is_taken_at_its_word(proven: Proven, double: Double) -> None:
    double.spoil(*NAMES, fallbacks=None)
    assert proven.red() == {}


def test_an_error_is_shown_by_status_and_message(proven: Proven, double: Double) -> None:
    double.spoil("qwen", status=500, error="connection\nrefused " + "x" * 300)
    red = proven.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    for seen in red.values():
        assert seen.startswith('500 "connection refused xxx')
        assert len(seen) == len('500 ""…') + 200


def test_an_error_that_holds_the_key_is_shown_without_it(proven: Proven, double: Double) -> None:
    double.spoil(*NAMES, status=500, error=" " * 8 + "x" * 190 + KEY)
    verdict = proven.verdict()
    assert verdict.count["fail"] == 6
    assert KEY[:6] not in verdict.to_json()


def test_a_late_answer_fails_after_the_time_out_of_the_probe(proven: Proven, double: Double) -> None:
    double.spoil("text", delay=1.3)
    chat, text, vector = proven.generation.routes
    routes = (chat, replace(text, probe=replace(text.probe, timeout=1.0)), vector)
    assert proven.red(routes=routes) == {"route/text/completion": "no end within 1 s"}


@pytest.mark.parametrize(
    ("manner", "seen"),
    [
        ({"end": ""}, "ended after 3 chunks without [DONE]"),
        ({"abort": True}, "broke off after 3 chunks: RemoteProtocolError"),
        ({"chunks": 1}, "came in 1 chunk, not as a stream"),
        ({"kind": "application/json"}, "content-type application/json, not text/event-stream"),
        ({"stream_error": True}, 'an error in the stream: "{"message": "backend went away"'),
        ({"end": "data: {oops\n\ndata: [DONE]\n\n"}, 'a chunk is no JSON: "{oops"'),
    ],
)
def test_a_spoilt_stream_fails_the_stream_alone(
    proven: Proven, double: Double, manner: dict[str, Any], seen: str
) -> None:
    double.spoil("gpt-4o", **manner)
    red = proven.red()
    assert red.keys() == {"route/gpt-4o/stream"}
    assert red["route/gpt-4o/stream"].startswith(seen)


def test_a_vector_must_hold_numbers(proven: Proven, double: Double) -> None:
    double.spoil("vector", vector=())
    assert proven.red() == {"route/vector/embedding": "an empty vector"}


def promising(generation: Generation) -> tuple[Route, ...]:
    """The generation's routes, of which the chat promises all that a chat can."""
    chat, *others = generation.routes
    return (replace(chat, tools=True, structured_outputs=True), *others)


def test_what_a_chat_promises_is_proved_by_each_of_its_names(proven: Proven) -> None:
    verdict = proven.verdict(routes=promising(proven.generation))
    assert verdict.status == "pass"
    for name in ("qwen", "gpt-4o"):
        assert {f"route/{name}/tools", f"route/{name}/schema"} <= {check.id for check in verdict.checks}


@pytest.mark.parametrize(
    ("manner", "kind", "seen"),
    [
        ({"tool": None}, "tools", "no tool call: 200 "),
        ({"tool_arguments": "Paris"}, "tools", "a tool call whose arguments are no JSON"),
        ({"tool": "something"}, "tools", "was called"),
        ({"structured": "Paris, of course."}, "schema", '"Paris, of course." is no JSON'),
        ({"structured": '{"capital": "Lyon"}'}, "schema", "is not by the schema"),
        ({"structured": ""}, "schema", "is no JSON"),
    ],
)
def test_a_promise_that_is_not_kept_is_told(
    proven: Proven, double: Double, manner: dict[str, Any], kind: str, seen: str
) -> None:
    double.spoil("qwen", **manner)
    found = proven.red(routes=promising(proven.generation))
    assert set(found) == {f"route/qwen/{kind}"}
    assert seen in found[f"route/qwen/{kind}"]


def shared(*weights: float, timeout: float = 10.0, **options: Any) -> Route:
    """A route over deployments `one`, `two`, …; the double answers for each by its id."""
    names = ("one", "two", "three")
    deployments = tuple(
        Deployment(f"{name}@backend", BASE, "backend", weight=weight)
        for name, weight in zip(names, weights, strict=False)
    )
    probe = Probe("Who are you?", "model", 64, timeout=timeout)
    return Route("shared", (), "chat", deployments, probe, **{"balance": True, **options})


def test_each_of_several_deployments_is_asked_alone_and_gets_its_share(proven: Proven, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origins=["one@backend", "two@backend"])
    verdict = proven.verdict(routes=(shared(1, 1),))
    assert [check.seen for check in verdict.checks if not check.ok] == []
    ids = {check.id for check in verdict.checks}
    assert {"route/one@backend/alone", "route/two@backend/alone", "route/shared/balance"} <= ids


def test_a_deployment_that_hides_behind_another_is_found(proven: Proven, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    double.spoil("two@backend", status=500, error="out of memory")
    checks = {check.id: check for check in proven.verdict(routes=(shared(1, 1),)).checks if not check.ok}
    assert set(checks) == {"route/two@backend/alone", "route/shared/balance"}
    assert "out of memory" in checks["route/two@backend/alone"].seen
    # One that does not answer gets nothing: that is no further fault.
    assert checks["route/shared/balance"].ok is None
    assert checks["route/shared/balance"].seen == "two@backend does not answer: see its own check"


def test_shares_are_seen_beyond_a_limit_that_is_longer_than_the_time_out(proven: Proven, double: Double) -> None:
    double.names = ("shared",)
    both = Manner(origins=["one@backend", "two@backend"])
    limited = Manner(status=429, error=_OVER_LIMIT, times=4, then=both)
    # The chat and the stream are answered, and have used up the limit.
    double.spoil("shared", origins=both.origins, times=2, then=limited)
    assert proven.red(routes=(shared(1, 1, timeout=0.5),)) == {}
    assert double.manners["shared"] is both


def test_shares_that_take_too_long_to_see_are_red(proven: Proven, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend", delay=0.3)
    found = proven.red(routes=(shared(1, 1, timeout=0.7),))
    assert found["route/shared/balance"] == "no end within 0.7 s, after 12 requests"


@pytest.mark.parametrize(("weights", "asked"), [((1, 1), 32), ((3, 1), 76)])
def test_a_share_is_missed_only_after_so_many_requests_that_chance_can_not_be_the_cause(
    proven: Proven, double: Double, weights: Sequence[float], asked: int
) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    found = proven.red(routes=(shared(*weights),))
    assert found["route/shared/balance"] == f"of {asked} requests none went to two@backend"


def test_a_gateway_that_has_just_started_is_asked_something_first(
    proven: Proven, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven.verdict()
    usual = len(double.bodies)
    monkeypatch.setattr("roles.verify.run._COLD_SECONDS", 7200)
    double.bodies.clear()
    proven.verdict()
    assert [body["model"] for body in double.bodies[:2]] == ["qwen@backend"] * 2
    assert len(double.bodies) == usual + 2


def test_a_route_whose_requests_are_not_shared_out_by_weight_is_not_asked_for_it(
    proven: Proven, double: Double
) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    assert proven.red(routes=(shared(1, 1, balance=False),)) == {}


RERANKER = Route(
    name="order",
    aliases=(),
    mode="rerank",
    deployments=(Deployment("order@backend", BASE, "backend"),),
    probe=Probe("Which?", "best", 64, timeout=10.0, documents=("the worst", "the BEST")),
)


@pytest.mark.parametrize(
    ("order", "seen"),
    [
        ((1, 0), None),
        ((0, 1), '"the worst" holds no "best"'),
        ((7,), "document 7 of 2"),
        ((), "no order of documents: 200"),
    ],
)
def test_a_reranker_must_put_the_best_document_first(
    proven: Proven, double: Double, order: Sequence[int], seen: str | None
) -> None:
    double.names = ["order"]
    double.spoil("order", order=order)
    red = proven.red(routes=(RERANKER,))
    assert list(red) == ([] if seen is None else ["route/order/rerank"])
    assert red.get("route/order/rerank", "").startswith(seen or "")
    assert double.bodies[-1]["documents"] == ["the worst", "the BEST"]


def test_a_gateway_that_does_not_reach_its_cache_fails(proven: Proven, double: Double, generation: Generation) -> None:
    assert generation.gateway
    cache = generation.gateway.service
    assert proven.red(cache=cache) == {}
    double.cache = (503, "Service Unhealthy")
    assert proven.red(cache=cache) == {"gateway/cache": '503 "Service Unhealthy"'}
    assert proven.red(cache=None) == {}


def test_a_missing_and_an_unknown_model_are_both_named(proven: Proven, double: Double) -> None:
    double.names = ("qwen", "text", "vector", "stray")
    assert proven.red() == {"gateway/models": "missing: gpt-4o; too much: stray"}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(("key", "check"), [(None, "gateway/no-key"), (WRONG_KEY, "gateway/wrong-key")])
def test_only_a_refusal_is_a_refusal(proven: Proven, double: Double, key: str | None, check: str, status: int) -> None:
    double.refusals[key] = status
    red = proven.red()
    assert red.keys() == {check}
    assert red[check].startswith(f"models: {status} ")


def test_a_foreign_digest_and_a_foreign_socket_fail(proven: Proven) -> None:
    process = proven.proc / str(PID)
    (process / "environ").write_text("AI_BACKEND_DIGEST=fedcba9876543210\0")
    (process / "cgroup").write_text("1:name=systemd:/system.slice/other.service\n")
    red = proven.red()
    assert red.keys() == {f"unit/{UNIT}/digest", f"unit/{UNIT}/port", f"unit/{UNIT}/memory"}
    assert red[f"unit/{UNIT}/memory"] == "no process runs"
    assert red[f"unit/{UNIT}/digest"] == "fedcba9876543210"
    assert red[f"unit/{UNIT}/port"].endswith(f"process {PID} (litellm) of other.service")


def test_an_unreadable_key_leaves_unknown_what_needs_it(proven: Proven, generation: Generation) -> None:
    assert generation.gateway
    verdict = proven.verdict(gateway=replace(generation.gateway, key_file=Path("/nowhere/key.env")))
    unknown = [check for check in verdict.checks if check.ok is None]
    assert {check.group for check in unknown} == {"gateway", "route"}
    assert {check.id for check in unknown if check.group == "gateway"} == {"gateway/models"}
    assert {check.seen for check in unknown} == {"/nowhere/key.env: No such file or directory"}
    assert (verdict.status, verdict.exit_status) == ("unknown", 2)


def test_without_a_gateway_no_route_can_be_proved(proven: Proven) -> None:
    verdict = proven.verdict(gateway=None)
    assert {check.ok for check in verdict.checks if check.group == "route"} == {None}
    assert verdict.exit_status == 2


def test_without_systemd_the_rest_is_checked_all_the_same(generation: Generation, proc: Path) -> None:
    verdict = asyncio.run(verify(generation, read_states=_no_systemd, proc=proc))
    unknown = {check.id for check in verdict.checks if check.ok is None}
    assert unknown == {f"unit/{UNIT}/{name}" for name in ("active", "enabled", "digest", "restarts", "memory")}
    assert verdict.exit_status == 2


def test_a_gateway_that_is_down_fails_every_check_and_hides_none(
    proven: Proven, double: Double, generation: Generation
) -> None:
    assert generation.gateway
    double.socket.close()
    gateway = replace(generation.gateway, service=replace(generation.gateway.service, start_timeout=0))
    red = proven.red(gateway=gateway)
    routes = CHATS | STREAMS | {"route/text/completion", "route/vector/embedding"}
    assert red.keys() >= routes | {"gateway/models", "gateway/no-key", "gateway/wrong-key", f"unit/{UNIT}/ready"}
    assert all("ConnectError" in red[route] for route in routes)


def staged_checks(generation: Generation, double: Double, stale: Sequence[str] = ()) -> Mapping[str, bool | None]:
    url = f"http://127.0.0.1:{double.server_port}"
    verdict = asyncio.run(verify_staged(generation, url, stale))
    return {check.id: check.ok for check in verdict.checks}


@pytest.fixture
def elsewhere(generation: Generation) -> Generation:
    """A generation that the host does not run: nothing answers at the address of its gateway."""
    assert generation.gateway
    service = Service("backend.service", "127.0.0.1", 1, "http://127.0.0.1:9/", 1, Path("/nowhere"))
    return replace(
        generation,
        gateway=replace(generation.gateway, url="http://127.0.0.1:9"),
        providers=(Provider("backend", service, ("models.service",)),),
    )


def test_a_staged_gateway_is_asked_each_deployment_once_by_its_id(elsewhere: Generation, double: Double) -> None:
    found = staged_checks(elsewhere, double)
    assert set(found.values()) == {True}
    assert {id for id in found if id.startswith("route/")} == {
        f"route/{name}@backend/staged" for name in ("qwen", "text", "vector")
    }
    asked = [body["model"] for body in double.bodies]
    assert sorted(asked) == ["qwen@backend", "text@backend", "vector@backend"]


@pytest.mark.parametrize("stale", ["backend.service", "models.service"])
def test_what_does_not_run_yet_is_not_asked(elsewhere: Generation, double: Double, stale: str) -> None:
    found = staged_checks(elsewhere, double, [stale])
    assert set(found) == {"gateway/models", "gateway/no-key", "gateway/wrong-key"}


def test_a_staged_gateway_may_be_slow_once(elsewhere: Generation, double: Double) -> None:
    double.spoil("qwen@backend", status=408, error="litellm.Timeout", times=1)
    assert set(staged_checks(elsewhere, double).values()) == {True}
    double.spoil("qwen@backend", status=408, error="litellm.Timeout", times=2)
    assert staged_checks(elsewhere, double)["route/qwen@backend/staged"] is False


def test_a_staged_gateway_that_offers_too_much_or_says_nothing_is_found_out(
    elsewhere: Generation, double: Double
) -> None:
    double.names = (*NAMES, "another")
    double.spoil("qwen@backend", words="")
    found = staged_checks(elsewhere, double)
    assert {id for id, ok in found.items() if ok is not True} == {"gateway/models", "route/qwen@backend/staged"}


def test_a_slow_first_answer_leaves_the_whole_cool_down_to_be_outlasted() -> None:
    """A gateway that has just started is slow, and may have put to rest what it did not wait for long enough."""
    tries = []

    async def ask() -> str:
        tries.append(time.monotonic())
        if len(tries) == 1:
            await asyncio.sleep(3.2)  # longer than the margin, and a cool-down of nothing
        if len(tries) < 3:
            raise Resting("attempted fallbacks: 1")
        return "words"

    async def is_well() -> bool:
        return True

    assert asyncio.run(outlast_cooldown(ask, is_well, 0)) == "words"
