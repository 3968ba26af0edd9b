"""Redis's unit and configuration, and that it can be told to be ready."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from roles.host.programs.generations.activate import _answers
from roles.options import EnvSecret, UserScope
from roles.plan import HostPlan, Unit, resolve
from roles.redis import Redis
from roles.rooms import plan_of
from roles.verify.checks.units import _ask_ready
from roles.verify.generation import Service
from tests.stacks import PLATFORM, small_stack

SECRET = EnvSecret("LAB_REDIS_PASSWORD")


def planned(**options: Any) -> tuple[HostPlan, Unit]:
    plan = plan_of(small_stack(cache=Redis(**options)))
    return plan, next(unit for unit in plan.units if unit.name == "ai-backend-redis.service")


def test_it_runs_under_a_unit_of_its_own_and_debians_is_kept_off() -> None:
    plan, unit = planned()
    assert "redis-server" in plan.packages
    assert "redis-server.service" in plan.keep_off
    assert " \\\n    /etc/ai-backend/bin/start-redis \\\n    /etc/ai-backend/redis/redis.conf\n" in unit.text
    assert "\nDynamicUser=yes\n" in unit.text
    assert "\nBefore=litellm@a.service litellm@b.service " in unit.text
    # Its password is made on the host.
    assert "\nEnvironmentFile=/var/lib/ai-backend/secrets/ai-backend-redis.env\n" in unit.text
    assert not unit.environment


def test_what_it_keeps_is_bounded_and_in_memory_only() -> None:
    plan, unit = planned(maxmemory="64M")
    assert unit.reads == ("redis/redis.conf", "bin/start-redis")
    lines = plan.files["redis/redis.conf"].splitlines()
    assert {'save ""', "appendonly no", "maxmemory 64mb", "maxmemory-policy allkeys-lru", "bind 127.0.0.1"} <= {*lines}


def test_a_gateway_that_is_tried_out_puts_nothing_to_rest_for_those_that_answer() -> None:
    plan, _ = planned()
    running = next(unit for unit in plan.units if unit.name == "litellm@a.service")
    assert "\nEnvironment=CACHE_NAMESPACE=gateway\n" in running.text
    assert plan.staging
    assert "\nEnvironment=CACHE_NAMESPACE=staged\n" in plan.staging.text


def test_the_password_is_in_0600_files_alone() -> None:
    plan, _ = planned(password=SECRET)
    generation = resolve(plan, PLATFORM, reveal=lambda secret: "the-password-itself")
    holding = {path: file.mode for path, file in generation.files.items() if b"the-password-itself" in file.content}
    assert holding == {"env/ai-backend-redis.service.env": 0o600, "env/litellm@a.service.env": 0o600}


def test_without_a_cache_there_is_no_trace_of_one() -> None:
    plan = plan_of(small_stack())
    texts = [*plan.files.values(), *(unit.text for unit in plan.units)]
    # HAProxy's `redispatch` is no trace of it.
    assert not any("redis" in text.lower().replace("redispatch", "") for text in texts)
    assert {"redis-server.service", "redis-server"}.isdisjoint({*plan.keep_off, *plan.packages})


@pytest.mark.parametrize(
    ("options", "file"),
    [
        pytest.param({"password": SECRET}, "env/ai-backend-redis.service.env", id="a given password"),
        pytest.param({}, "/var/lib/ai-backend/secrets/ai-backend-redis.env", id="a generated password"),
    ],
)
def test_the_verifier_is_told_how_to_ask_it_and_how_long_the_gateway_leaves_it_alone(
    options: dict[str, Any], file: str
) -> None:
    plan, redis = planned(**options)
    entry = yaml.safe_load(plan.files["providers.yaml"])["cache"]
    assert (entry["unit"], entry["ready_url"], entry["cooldown"]) == (redis.name, "redis://127.0.0.1:6379", 10)
    assert (entry["password_file"], entry["password_variable"]) == (file, "REDIS_PASSWORD")
    (gateway,) = [unit for unit in plan.units if unit.name.startswith("litellm")]
    assert "Environment=REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT=10\n" in gateway.text


def test_in_user_scope_it_reads_its_configuration_from_the_users_tree() -> None:
    plan = plan_of(small_stack(cache=Redis(), scope=UserScope(user="alice")))
    (unit,) = [unit for unit in plan.units if "redis" in unit.name]
    assert "/home/alice/.config/ai-backend/redis/redis.conf" in unit.text


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """A server that answers a PING so, and nothing else."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            # Redis takes a command as a line, or as an array of its words.
            if self.rfile.readline() in (b"PING\r\n", b"*1\r\n"):
                self.wfile.write(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def ask_ready(url: str) -> tuple[bool, str]:
    async def ask() -> tuple[bool, str]:
        async with httpx.AsyncClient() as client:
            code, seen = await _ask_ready(client, Service("redis.service", "127.0.0.1", 1, url, 5, Path("none")))
            return code is None, seen

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("answer", "ready", "seen"),
    [
        pytest.param(b"+PONG\r\n", True, "PONG", id="it answers"),
        pytest.param(b"-NOAUTH Authentication required.\r\n", True, "NOAUTH", id="it wants a password"),
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n", False, "LOADING", id="it loads"),
        pytest.param(b"", False, "no answer", id="it hangs up"),
    ],
)
def test_a_redis_is_ready_once_it_answers_a_ping(answer: bytes, ready: bool, seen: str) -> None:
    with saying(answer) as url:
        assert _answers(url) is ready
        assert ask_ready(url) == (ready, seen)


def test_where_nobody_listens_no_redis_is_ready() -> None:
    with saying(b"") as url:
        pass
    assert not _answers(url)
    assert ask_ready(url)[0] is False
