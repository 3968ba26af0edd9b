"""The verifier's requests, made side by side, are never more than a server lets wait."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

import httpx
import pytest

from roles.ollama.plan import TRAITS
from roles.verify.generation import Deployment, Generation, Probe, Provider, Route, Service
from roles.verify.probe.api import Api
from roles.verify.probe.queues import Queues
from tests.deployed import deployed, route
from tests.labhost.http_server import QuietHandler, ThreadedServer

ASKED = 12
PROBE = Probe("Who are you?", None, 8, timeout=10)


class _Slow(QuietHandler):
    """Counts the requests that it has at once, by their model."""

    lock = threading.Lock()
    now: dict[str, int]
    most: dict[str, int]

    def do_POST(self) -> None:
        model = str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"])
        with self.lock:
            self.now[model] = self.now.get(model, 0) + 1
            self.most[model] = max(self.most.get(model, 0), self.now[model])
        time.sleep(0.05)
        with self.lock:
            self.now[model] -= 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class _Server(ThreadedServer):
    request_queue_size = 64
    """Connections that the kernel keeps until they are accepted: all of a test's."""


def provider(name: str, queue: int | None) -> Provider:
    service = Service(f"{name}.service", "127.0.0.1", 1, "http://127.0.0.1:1", 1, Path(name))
    return Provider(name, service, (), traits=TRAITS, queue=queue)


def to(name: str, *servers: str, **options: object) -> Route:
    return route(name, tuple(Deployment(f"{name}@{server}", "", server) for server in servers), PROBE, **options)


def generation(*routes: Route, **queues: int | None) -> Generation:
    providers = tuple(provider(name, queue) for name, queue in queues.items())
    return deployed(Path("generation"), providers=providers, routes=routes)


def most_at_once(wanted: Generation, *models: str) -> dict[str, int]:
    """How many requests for each model came at once, when `ASKED` are sent for each."""

    class _Handler(_Slow):
        now, most = {}, {}

    async def run(url: str) -> None:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:
            api = Api(client, url, None, queues=Queues.of(wanted))
            await asyncio.gather(*(api.post("/", {"model": model}, 10) for model in models for _ in range(ASKED)))

    with _Server("127.0.0.1", _Handler) as server:
        asyncio.run(run(server.url))
    return _Handler.most


def test_a_server_gets_as_many_requests_at_once_as_it_lets_wait() -> None:
    found = most_at_once(generation(to("small", "ollama"), to("other", "vllm"), ollama=2, vllm=None), "small", "other")
    assert found["small"] == 2
    assert found["other"] > 2


@pytest.mark.parametrize("asked", ["alias", "small@ollama"])
def test_other_names_of_a_route_lead_to_the_same_queue(asked: str) -> None:
    assert most_at_once(generation(to("small", "ollama", aliases=("alias",)), ollama=1), asked) == {asked: 1}


def test_a_request_that_may_fall_back_to_a_server_waits_for_it_too() -> None:
    routes = (to("big", "vllm", fallbacks=("small",)), to("small", "ollama"))
    assert most_at_once(generation(*routes, ollama=1, vllm=8), "big") == {"big": 1}


def test_requests_that_need_the_same_two_servers_do_not_wait_for_each_other_for_ever() -> None:
    routes = (to("one", "a", fallbacks=("two",)), to("two", "b", fallbacks=("one",)))
    assert set(most_at_once(generation(*routes, a=1, b=1), "one", "two")) == {"one", "two"}


def test_what_names_no_route_waits_for_nobody() -> None:
    assert most_at_once(generation(to("small", "ollama"), ollama=1), "unknown")["unknown"] > 1
