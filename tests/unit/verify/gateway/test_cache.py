"""The verifier's check of the gateway's cache."""

from __future__ import annotations

import math
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract.verdict import Check, Verdict
from roles.verify.generation import Cache, Generation
from tests.gateway_double import UNIT, Double, Verified


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.verify.checks.cache._PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr("roles.verify.checks.cooldown._PAUSE", 0.01)
    monkeypatch.setattr("roles.verify.checks.cooldown._MARGIN", 0.2)


class RedisDouble(socketserver.ThreadingTCPServer):
    """A Redis with or without a password, that for so many times more `lacks` the key that it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RedisConnection)
        self.password: str | None = None
        self.lacks: float = 0
        self.looked_up: list[str] = []


class _RedisConnection(socketserver.StreamRequestHandler):
    server: RedisDouble

    def handle(self) -> None:
        known = self.server.password is None
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            match words:
                case ["AUTH", password]:
                    known = password == self.server.password
                    answer = "+OK" if known else "-WRONGPASS invalid username-password pair or user is disabled."
                case _ if not known:
                    answer = "-NOAUTH Authentication required."
                case ["PING"]:
                    answer = "+PONG"
                case ["EXISTS", key]:
                    self.server.looked_up.append(key)
                    self.server.lacks -= 1
                    answer = ":1" if self.server.lacks < 0 else ":0"
            self.wfile.write(f"{answer}\r\n".encode())


@pytest.fixture
def redis() -> Iterator[RedisDouble]:
    with RedisDouble() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(generation: Generation, redis: RedisDouble, tmp_path: Path) -> Cache:
    assert generation.gateway
    (tmp_path / "redis.env").write_text('REDIS_PASSWORD="it\'s a pass word"\n')
    return Cache(
        replace(generation.gateway.service, ready_url=f"redis://127.0.0.1:{redis.server_address[1]}"), cooldown=0
    )


@pytest.fixture
def verified(generation: Generation, cache: Cache, proc: Path) -> Verified:
    return Verified(replace(generation, cache=cache), proc)


def cache_check(verdict: Verdict) -> Check:
    (check,) = [check for check in verdict.checks if check.id == "gateway/cache"]
    return check


def asked(double: Double) -> list[str]:
    """The models of the requests that may be answered from the cache."""
    return [body["model"] for body in double.bodies if "use-cache" in body["cache"]]


def test_an_equal_request_that_is_answered_from_it_verifies_it(verified: Verified, double: Double) -> None:
    assert verified.red() == {}
    assert asked(double) == ["qwen", "qwen"]
    verified.verdict()
    assert len({str(body) for body in double.kept}) == 2  # each verification asks what nobody has asked before


def test_a_gateway_without_one_is_not_asked_for_it(verified: Verified, double: Double) -> None:
    double.cache = (503, "Service Unhealthy")
    assert verified.red(cache=None) == {}


def test_one_that_the_gateway_does_not_reach_fails(verified: Verified, double: Double) -> None:
    double.cache = (503, "Service Unhealthy")
    assert verified.red() == {"gateway/cache": '503 "Service Unhealthy"'}


def test_one_that_keeps_nothing_fails_though_it_is_said_to_be_healthy(verified: Verified, double: Double) -> None:
    double.forgets = math.inf
    assert verified.red() == {"gateway/cache": "qwen, asked the same 4 times: its backend has answered each time"}


def test_one_whose_answers_lie_in_the_gateways_own_memory_alone_fails(verified: Verified, redis: RedisDouble) -> None:
    redis.lacks = math.inf
    told = f"qwen is answered from the gateway's own memory, and {UNIT} has nothing"
    assert verified.red() == {"gateway/cache": told}
    assert set(redis.looked_up) == {"gateway:1f0c"}


def test_redis_is_asked_with_its_password(verified: Verified, cache: Cache, redis: RedisDouble, tmp_path: Path) -> None:
    redis.password = "it's a pass word"
    with_password = replace(cache, password_file=tmp_path / "redis.env", password_variable="REDIS_PASSWORD")
    assert verified.red(cache=with_password) == {}
    redis.password = "another"
    assert "has -WRONGPASS" in verified.red(cache=with_password)["gateway/cache"]
    check = cache_check(verified.verdict(cache=replace(with_password, password_file=tmp_path / "none")))
    assert (check.ok, check.seen) == (None, f"{tmp_path}/none: No such file or directory")


@pytest.mark.parametrize("lost", [2, 6])
def test_one_that_is_late_or_was_left_alone_for_a_while_holds(verified: Verified, double: Double, lost: int) -> None:
    double.forgets = lost
    assert verified.red() == {}
    assert len(asked(double)) == lost + 2


def test_the_next_route_is_asked_where_one_does_not_answer(verified: Verified, double: Double) -> None:
    double.spoil("qwen", status=500, error="backend went away")
    assert cache_check(verified.verdict()).seen == "text is answered from it"


def test_where_nobody_answers_it_is_unknown(verified: Verified, double: Double) -> None:
    double.spoil("qwen", "text", status=500, error="away")
    check = cache_check(verified.verdict())
    assert (check.ok, check.seen) == (None, "no answer from qwen, text")


def test_where_no_route_has_words_to_keep_its_health_has_to_do(verified: Verified, double: Double) -> None:
    (vector,) = [route for route in verified.generation.routes if route.mode == "embedding"]
    double.names = ("vector",)
    assert cache_check(verified.verdict(routes=(vector,))).seen == "healthy"
    double.cache = (503, "Service Unhealthy")
    assert verified.red(routes=(vector,)).keys() == {"gateway/cache"}
