"""The verifier against a gateway double: each of those that share a route gets its part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from roles.verify.generation import Deployment, Probe, Route
from tests.deployed import route
from tests.gateway_double import BASE, OVER_LIMIT, Double, Manner, Verified


def shared(*weights: float, timeout: float = 10.0, **options: Any) -> Route:
    """A route over deployments `one`, `two`, …; the double answers for each by its id."""
    names = ("one", "two", "three")
    deployments = tuple(
        Deployment(f"{name}@backend", BASE, "backend", weight=weight)
        for name, weight in zip(names, weights, strict=False)
    )
    probe = Probe("Who are you?", "model", 64, timeout=timeout)
    return route("shared", deployments, probe, **{"balance": True, **options})


def test_each_of_several_deployments_is_asked_alone_and_gets_its_share(verified: Verified, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origins=["one@backend", "two@backend"])
    verdict = verified.verdict(routes=(shared(1, 1),))
    assert [check.seen for check in verdict.checks if not check.ok] == []
    ids = {check.id for check in verdict.checks}
    assert {"route/one@backend/alone", "route/two@backend/alone", "route/shared/balance"} <= ids


def test_a_deployment_that_hides_behind_another_is_found(verified: Verified, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    double.spoil("two@backend", status=500, error="out of memory")
    checks = {check.id: check for check in verified.verdict(routes=(shared(1, 1),)).checks if not check.ok}
    assert set(checks) == {"route/two@backend/alone", "route/shared/balance"}
    assert "out of memory" in checks["route/two@backend/alone"].seen
    # One that does not answer gets nothing: that is no further fault.
    assert checks["route/shared/balance"].ok is None
    assert checks["route/shared/balance"].seen == "two@backend does not answer: see its own check"


def test_shares_are_seen_beyond_a_limit_that_is_longer_than_the_time_out(verified: Verified, double: Double) -> None:
    double.names = ("shared",)
    both = Manner(origins=["one@backend", "two@backend"])
    limited = Manner(status=429, error=OVER_LIMIT, times=4, then=both)
    # The chat and the stream are answered, and have used up the limit.
    double.spoil("shared", origins=both.origins, times=2, then=limited)
    assert verified.red(routes=(shared(1, 1, timeout=0.5),)) == {}
    assert double.manners["shared"] is both


def test_shares_that_take_too_long_to_see_are_red(verified: Verified, double: Double) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend", delay=0.3)
    found = verified.red(routes=(shared(1, 1, timeout=0.7),))
    # How many there are in that time is the machine's.
    assert re.fullmatch(r"no end within 0\.7 s, after \d+ requests", found["route/shared/balance"])


@pytest.mark.parametrize(
    ("weights", "asked"), [pytest.param((1, 1), 32, id="equal shares"), pytest.param((3, 1), 76, id="one in four")]
)
def test_a_share_is_missed_only_after_so_many_requests_that_chance_can_not_be_the_cause(
    verified: Verified, double: Double, weights: Sequence[float], asked: int
) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    found = verified.red(routes=(shared(*weights),))
    assert found["route/shared/balance"] == f"of {asked} requests none went to two@backend"


def test_a_route_whose_requests_are_not_shared_out_by_weight_is_not_asked_for_it(
    verified: Verified, double: Double
) -> None:
    double.names = ("shared",)
    double.spoil("shared", origin="one@backend")
    assert verified.red(routes=(shared(1, 1, balance=False),)) == {}
