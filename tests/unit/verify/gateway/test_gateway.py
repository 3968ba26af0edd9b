"""The verifier against a gateway double: what is wrong with the gateway itself turns exactly its own checks red."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from roles.verify import verify
from roles.verify.checks.gateway import WRONG_KEY
from roles.verify.generation import Generation, Scope
from roles.verify.probe.systemd import UnitState
from roles.verify.verdict.claim import CannotCheck
from tests.gateway_double import CHATS, NAMES, PID, STREAMS, UNIT, Double, Verified


async def _no_systemd(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
    raise CannotCheck("systemctl cannot be run: No such file or directory")


def test_a_healthy_host_passes_every_check(verified: Verified) -> None:
    verdict = verified.verdict()
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
        "unit/litellm.service/binary",
        "route/qwen/chat",
        "route/qwen/stream",
        "route/gpt-4o/chat",
        "route/gpt-4o/stream",
        "route/text/completion",
        "route/vector/embedding",
    ]


def test_a_proxy_of_the_environment_is_not_asked(verified: Verified, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert verified.red() == {}


def test_the_checks_run_side_by_side(verified: Verified, double: Double) -> None:
    double.spoil(*NAMES, delay=0.4)
    verdict = verified.verdict()
    assert verdict.status == "pass"
    one_by_one = sum(check.seconds for check in verdict.checks)
    assert one_by_one > 2.4
    assert verdict.seconds < one_by_one / 2


def test_a_gateway_that_has_just_started_is_asked_something_first(
    verified: Verified, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified.verdict()
    usual = len(double.bodies)
    monkeypatch.setattr("roles.verify.run._COLD_SECONDS", 7200)
    double.bodies.clear()
    verified.verdict()
    assert [body["model"] for body in double.bodies[:2]] == ["qwen@backend"] * 2
    assert len(double.bodies) == usual + 2


def test_a_missing_and_an_unknown_model_are_both_named(verified: Verified, double: Double) -> None:
    double.names = ("qwen", "text", "vector", "stray")
    assert verified.red() == {"gateway/models": "missing: gpt-4o; too much: stray"}


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize(("key", "check"), [(None, "gateway/no-key"), (WRONG_KEY, "gateway/wrong-key")])
def test_only_a_refusal_is_a_refusal(
    verified: Verified, double: Double, key: str | None, check: str, status: int
) -> None:
    double.refusals[key] = status
    red = verified.red()
    assert red.keys() == {check}
    assert red[check].startswith(f"models: {status} ")


def test_a_foreign_digest_and_a_foreign_socket_fail(verified: Verified) -> None:
    process = verified.proc / str(PID)
    (process / "environ").write_text("AI_BACKEND_DIGEST=fedcba9876543210\0")
    (process / "cgroup").write_text("1:name=systemd:/system.slice/other.service\n")
    red = verified.red()
    assert red.keys() == {f"unit/{UNIT}/{name}" for name in ("digest", "port", "memory", "binary")}
    assert red[f"unit/{UNIT}/memory"] == "no process runs"
    assert red[f"unit/{UNIT}/digest"] == "fedcba9876543210"
    assert red[f"unit/{UNIT}/port"].endswith(f"process {PID} (litellm) of other.service")


def test_an_unreadable_key_leaves_unknown_what_needs_it(verified: Verified, generation: Generation) -> None:
    assert generation.gateway
    verdict = verified.verdict(gateway=replace(generation.gateway, key_file=Path("/nowhere/key.env")))
    unknown = [check for check in verdict.checks if check.ok is None]
    assert {check.group for check in unknown} == {"gateway", "route"}
    assert {check.id for check in unknown if check.group == "gateway"} == {"gateway/models"}
    assert {check.seen for check in unknown} == {"/nowhere/key.env: No such file or directory"}
    assert (verdict.status, verdict.exit_status) == ("unknown", 2)


def test_without_a_gateway_no_route_can_be_verified(verified: Verified) -> None:
    verdict = verified.verdict(gateway=None)
    assert {check.ok for check in verdict.checks if check.group == "route"} == {None}
    assert verdict.exit_status == 2


def test_without_systemd_the_rest_is_checked_all_the_same(generation: Generation, proc: Path) -> None:
    verdict = asyncio.run(verify(generation, read_states=_no_systemd, proc=proc))
    unknown = {check.id for check in verdict.checks if check.ok is None}
    assert unknown == {f"unit/{UNIT}/{name}" for name in ("active", "enabled", "digest", "restarts", "memory")}
    assert verdict.exit_status == 2


def test_a_gateway_that_is_down_fails_every_check_and_hides_none(
    verified: Verified, double: Double, generation: Generation
) -> None:
    assert generation.gateway
    double.socket.close()
    gateway = replace(generation.gateway, service=replace(generation.gateway.service, start_timeout=0))
    red = verified.red(gateway=gateway)
    routes = CHATS | STREAMS | {"route/text/completion", "route/vector/embedding"}
    assert red.keys() >= routes | {"gateway/models", "gateway/no-key", "gateway/wrong-key", f"unit/{UNIT}/ready"}
    assert all("ConnectError" in red[route] for route in routes)
