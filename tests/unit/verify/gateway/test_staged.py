"""The verifier against a gateway that is tried out before it is switched to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from roles.verify.generation import Cache, Generation, Provider, Service
from roles.verify.staged import verify_staged
from tests.gateway_double import NAMES, Double


def staged_checks(generation: Generation, double: Double, stale: Sequence[str] = ()) -> Mapping[str, bool | None]:
    url = double.url
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


def test_its_cache_is_tried_by_a_deployment_that_runs_what_it_should(elsewhere: Generation, double: Double) -> None:
    redis = Service("redis.service", "127.0.0.1", 1, "redis://127.0.0.1:9", 1, Path("/nowhere"))
    with_cache = replace(elsewhere, cache=Cache(redis, cooldown=0))
    # Nobody answers where its Redis should be.
    assert staged_checks(with_cache, double)["gateway/cache"] is False
    assert [body["model"] for body in double.kept] == ["qwen@backend"]
    assert "gateway/cache" not in staged_checks(with_cache, double, ["redis.service"])
    double.bodies.clear()
    assert staged_checks(with_cache, double, ["backend.service"])["gateway/cache"] is True  # by its health
    assert double.bodies == []


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
