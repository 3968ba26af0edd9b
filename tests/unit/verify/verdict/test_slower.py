"""When a route counts as slower: than it was, by more than chance, or than is declared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.contract.manifest import SpeedBounds
from roles.contract.speeds import KeptSpeed
from roles.verify.verdict.kept_speeds import compared_with
from roles.verify.verdict.slower import faster, slower
from tests.verdicts import SPEED

NONE = SpeedBounds()
BEFORE = KeptSpeed(generation="0ld", time="2026-11-24T05:00:00+00:00", last=SPEED, good=SPEED)


@pytest.mark.parametrize(
    ("then", "told"),
    [
        pytest.param({}, "", id="the same"),
        pytest.param({"tokens_per_second": 25.0}, "", id="slower by two fifths"),
        pytest.param({"tokens_per_second": 24.0}, "24 tokens/s, 41.5 in generation 0ld", id="slower by more"),
        pytest.param({"tokens_per_second": 80.0}, "", id="faster"),
        pytest.param({"tokens_per_second": 0.0}, "0 tokens/s, 41.5 in generation 0ld", id="not at all"),
        pytest.param({"first_token": 0.9}, "", id="later, by little"),
        pytest.param({"first_token": 1.1}, "first token after 1.10 s, 0.21 s in generation 0ld", id="later, by much"),
    ],
)
def test_what_is_slower_than_before_by_more_than_chance_is_told(then: dict[str, float], told: str) -> None:
    now = replace(SPEED, **then)  # type: ignore[arg-type]
    assert slower(now, NONE, BEFORE) == told
    assert slower(now, NONE, None) == slower(now, NONE, replace(BEFORE, good=None)) == ""


def test_a_server_that_answers_in_no_time_may_differ() -> None:
    fast = replace(SPEED, tokens_per_second=5000.0)
    assert slower(replace(SPEED, tokens_per_second=1000.0), NONE, replace(BEFORE, good=fast)) == ""


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        pytest.param(SpeedBounds(tokens_per_second=41.5, first_token=0.214), "", id="just so"),
        pytest.param(SpeedBounds(tokens_per_second=42), "41.5 tokens/s, and 42 are declared", id="too few"),
        pytest.param(SpeedBounds(first_token=0.2), "first token after 0.21 s, and 0.2 s are declared", id="too late"),
    ],
)
def test_what_is_declared_is_a_bound(bounds: SpeedBounds, told: str) -> None:
    assert slower(SPEED, bounds, BEFORE) == told


def test_of_two_measurements_the_better_of_each_counts() -> None:
    other = replace(SPEED, first_token=0.1, tokens_per_second=1.0, at_once=0, tokens_per_second_at_once=0.0)
    assert faster(SPEED, other) == replace(SPEED, first_token=0.1)
    assert faster(other, SPEED) == replace(SPEED, first_token=0.1)


def test_it_is_compared_with_its_own_generation_else_with_the_last_that_passed() -> None:
    older = replace(BEFORE, generation="older")
    taken_back = replace(BEFORE, generation="2low", good=None)
    kept = [older, BEFORE, taken_back, replace(BEFORE, generation="other", last=replace(SPEED, route="x"))]
    assert compared_with(kept, "2low", SPEED.route) == BEFORE
    assert compared_with(kept, "new", SPEED.route) == BEFORE
    assert compared_with(kept, "older", SPEED.route) == older
    assert compared_with(kept, "new", "y") is None
