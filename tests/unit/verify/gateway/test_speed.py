"""The speed of routes, measured on a gateway double."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from roles.contract.manifest import SpeedBounds
from roles.contract.measured import RouteSpeed
from roles.contract.speeds import SPEEDS
from roles.contract.verdict import Check, Verdict
from roles.verify.checks import measuring, speed
from roles.verify.checks.measuring import AT_ONCE
from roles.verify.checks.speed import Measuring, measure_speeds
from roles.verify.context import VerificationContext, gateway_client, runtime_folder
from roles.verify.generation import Front, Generation, Route
from roles.verify.verdict.kept import keep
from tests.gateway_double import OVER_LIMIT, Double, Manner, Verified
from tests.verdicts import SPEED

ALL = Measuring("all")
CHANGED = Measuring("changed")


def speeds(verdict: Verdict) -> dict[str, bool | None]:
    """Route → whether its check passes."""
    return {check.subject: check.ok for check in verdict.checks if check.id == f"route/{check.subject}/speed"}


def test_without_being_asked_to_it_measures_nothing(verified: Verified) -> None:
    verdict = verified.verdict()
    assert (speeds(verdict), verdict.speeds) == ({}, ())


def test_the_routes_that_write_text_are_measured(verified: Verified, double: Double) -> None:
    double.spoil("qwen", delay=0.2)
    verdict = verified.verdict(speed=ALL)
    assert speeds(verdict) == {"qwen": True, "text": True}
    qwen, text = verdict.speeds
    assert (qwen.route, text.route) == ("qwen", "text")
    # The double says that each answer has six tokens, after a prompt of five.
    assert 0.2 <= qwen.first_token < 5
    assert 0 < qwen.prompt_tokens_per_second <= 5 / 0.2
    assert qwen.tokens_per_second > 0
    assert qwen.at_once == AT_ONCE
    assert 0 < qwen.tokens_per_second_at_once <= AT_ONCE * 6 / 0.2
    (check,) = (check for check in verdict.checks if check.id == "route/qwen/speed")
    assert check.seen == qwen.words
    assert check.expected == "no slower than before"


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        pytest.param({"ignores": ["stream_options"]}, "malformed-answer", id="no usage"),
        pytest.param({"abort": True}, "broken-stream", id="a stream that breaks off"),
        pytest.param({"words": ""}, "broken-stream", id="nothing streamed"),
    ],
)
def test_what_cannot_be_measured_fails_its_check_alone(
    verified: Verified, double: Double, manner: dict[str, object], code: str
) -> None:
    double.spoil("qwen", **manner)
    verdict = verified.verdict(speed=ALL)
    assert [speed.route for speed in verdict.speeds] == ["text"]
    (check,) = (check for check in verdict.checks if check.id == "route/qwen/speed")
    assert (check.ok, check.code) == (False, code)


def test_a_route_whose_limit_is_used_up_is_not_waited_for(double: Double, generation: Generation) -> None:
    double.spoil("qwen", status=429, error=OVER_LIMIT)
    double.spoil("text", status=429, error=OVER_LIMIT)

    checks, speeds = measured(generation, ALL)
    assert speeds == ()
    assert {check.seen for check in checks} == {"its limit of requests or tokens is used up for this minute"}
    assert all(check.ok is None for check in checks)


def test_what_was_measured_before_is_in_the_verdict(verified: Verified, double: Double, generation: Generation) -> None:
    first = verified.verdict(speed=ALL)
    assert first.speeds_before == ()
    generation.state.mkdir()
    keep(first, generation.state)
    second = verified.verdict(speed=ALL)
    assert second.speeds_before == first.speeds
    assert verified.verdict().speeds_before == ()


def test_a_long_prompt_fits_into_a_small_context(verified: Verified, double: Double, generation: Generation) -> None:
    small = tuple(
        replace(each, abilities=replace(each.abilities, context_size=256))
        for each in generation.routes
        if each.name == "qwen"
    )
    verified.verdict(speed=ALL, routes=small)
    asked = [request for request in double.bodies if "messages" in request]
    assert max(len(request["messages"][0]["content"].split()) for request in asked) <= 256 // 12 + 1


def bounded(generation: Generation, **bounds: Any) -> tuple[Route, ...]:
    """The generation's routes, with bounds for the speed of `qwen`."""
    return tuple(
        replace(each, speed=SpeedBounds(**bounds)) if each.name == "qwen" else each for each in generation.routes
    )


def measured(generation: Generation, measuring: Measuring) -> tuple[list[Check], tuple[RouteSpeed, ...]]:
    async def made() -> tuple[list[Check], tuple[RouteSpeed, ...]]:
        async with gateway_client() as client:
            return await measure_speeds(VerificationContext(generation, client, runtime_folder("system")), measuring)

    return asyncio.run(asyncio.wait_for(made(), 20))


def seen(verdict: Verdict, route: str = "qwen") -> str:
    (check,) = (check for check in verdict.checks if check.id == f"route/{route}/speed")
    return check.seen


def keeping(verdict: Verdict, generation: Generation) -> Verdict:
    generation.state.mkdir(exist_ok=True)
    keep(verdict, generation.state)
    return verdict


def test_a_route_below_its_declared_bound_is_a_warning_or_a_failure_as_declared(
    verified: Verified, double: Double, generation: Generation
) -> None:
    double.spoil("qwen", delay=0.2)
    reported = verified.verdict(speed=ALL, routes=bounded(generation, first_token=0.1))
    assert (reported.status, speeds(reported)["qwen"]) == ("pass", True)
    (warning,) = reported.warnings
    assert re.fullmatch(r"route qwen is slower: first token after 0\.\d\d s, and 0\.1 s are declared", warning)
    assert seen(reported).startswith("slower: first token after")
    failed = verified.verdict(speed=ALL, routes=bounded(generation, when_slower="fail", first_token=0.1))
    (check,) = (check for check in failed.checks if not check.ok)
    assert (check.id, check.ok, check.code) == ("route/qwen/speed", False, "route-slower")
    assert failed.warnings == ()
    assert verified.verdict(speed=ALL, routes=bounded(generation, when_slower="fail", first_token=9)).status == "pass"


def test_a_route_that_is_off_is_not_measured_by_any_run(verified: Verified, generation: Generation) -> None:
    verdict = verified.verdict(speed=ALL, routes=bounded(generation, when_slower="off"))
    assert list(speeds(verdict)) == ["text"]


def test_a_deploy_measures_what_it_changes_and_takes_no_slower_one(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 50.0

    async def at_that_rate(route: Route, _: object) -> RouteSpeed:
        return replace(SPEED, route=route.name, tokens_per_second=rate)

    monkeypatch.setattr(speed, "speed_of", at_that_rate)

    def deploy(name: str, when_slower: str, aliases: Sequence[str] = ()) -> dict[str, bool | None]:
        """Route → whether its check passes, of what a deploy of that generation measures."""
        routes = bounded(generation, when_slower=when_slower)
        routes = tuple(replace(each, aliases=tuple(aliases)) if each.name == "qwen" else each for each in routes)
        folder = generation.folder.with_name(name)
        checks, found = measured(replace(generation, routes=routes, folder=folder), CHANGED)
        keeping(Verdict("box", "2026-11-28T06:00:00+00:00", "", name, 1.0, tuple(checks), speeds=found), generation)
        return {check.subject: check.ok for check in checks}

    assert deploy("1st", "fail") == {"qwen": True, "text": True}
    assert deploy("1st", "fail") == {}
    rate = 20.0
    # The second time, too, though by then that generation has a speed of its own.
    assert [deploy("2nd", "fail", ["other"]) for _ in range(2)] == [{"qwen": False}] * 2
    # Taken back, the first one is what it was.
    assert deploy("1st", "fail") == {}
    # As a warning alone it stays, and is what later ones are compared with.
    assert deploy("3rd", "report", ["other"]) == {"qwen": True}
    assert deploy("4th", "fail", ["another"]) == {"qwen": True}


def test_beside_requests_of_others_it_is_told_and_not_judged(
    verified: Verified, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def three(*_: object) -> int:
        return 3

    monkeypatch.setattr(speed, "requests_under_way", three)
    monkeypatch.setattr(speed, "_PATIENCE", 0.2)
    monkeypatch.setattr(speed, "_MOMENT", 0.1)
    monkeypatch.setattr(speed, "_PAUSE", 0.1)
    front = Front("front.sock", "instances", ("a",))
    assert generation.gateway is not None
    busy: dict[str, Any] = {"gateway": replace(generation.gateway, front=front)}
    strict = bounded(generation, when_slower="fail", tokens_per_second=1e9)
    verdict = keeping(verified.verdict(speed=ALL, routes=strict, **busy), generation)
    assert speeds(verdict) == {"qwen": True, "text": True}
    assert "measured beside 3 requests of others" in seen(verdict)
    assert "is slower (beside requests of others)" in verdict.warnings[0]
    assert json.loads((generation.state / SPEEDS).read_text()) == []
    assert speeds(verified.verdict(speed=Measuring("due", "2026-01-01T00:00:00+00:00"), **busy)) == {}


def test_at_night_each_route_is_measured_once(verified: Verified, generation: Generation) -> None:
    long_ago, ahead = "2026-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"
    assert len(keeping(verified.verdict(speed=Measuring("due", long_ago)), generation).speeds) == 2
    assert verified.verdict(speed=Measuring("due", long_ago)).speeds == ()
    assert len(verified.verdict(speed=Measuring("due", ahead)).speeds) == 2


@pytest.mark.parametrize(
    ("now", "since"),
    [
        pytest.param("2026-11-28T02:59:59+01:00", None, id="before"),
        pytest.param("2026-11-28T03:00:00+01:00", "2026-11-28T02:00:00+00:00", id="from then on"),
        pytest.param("2026-11-28T05:59:59+01:00", "2026-11-28T02:00:00+00:00", id="until three hours later"),
        pytest.param("2026-11-28T06:00:00+01:00", None, id="after"),
    ],
)
def test_the_night_is_three_hours_from_its_time_on(now: str, since: str | None) -> None:
    found = Measuring.at_night("03:00", datetime.fromisoformat(now))
    assert (found.since if found else None) == since


def test_a_night_may_begin_the_day_before() -> None:
    found = Measuring.at_night("23:30", datetime.fromisoformat("2026-11-28T01:00:00+00:00"))
    assert found == Measuring("due", "2026-11-27T23:30:00+00:00")


def test_in_a_run_that_nobody_asked_to_measure_what_cannot_be_measured_fails_nothing(
    double: Double, generation: Generation
) -> None:
    double.spoil("qwen", ignores=["stream_options"])
    double.spoil("text", status=429, error=OVER_LIMIT)
    checks, _ = measured(generation, CHANGED)
    assert {check.subject: check.ok for check in checks} == {"qwen": True, "text": True}
    assert {check.seen for check in checks} == {
        "not measured: the stream does not say how many tokens there were",
        "not measured: its limit of requests or tokens is used up for this minute",
    }


def test_a_route_that_does_not_even_begin_in_time_has_a_speed_too(
    double: Double, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_ALONE_UNTIL", 0.5)
    monkeypatch.setattr(measuring, "_PROMPT_UNTIL", 0.7)
    monkeypatch.setattr(measuring, "_LONGEST", 1.0)
    double.spoil("qwen", times=1, then=Manner(delay=2))
    only = tuple(each for each in generation.routes if each.name == "qwen")
    _, (found,) = measured(replace(generation, routes=only), ALL)
    assert 0.5 <= found.first_token < 0.7
    assert (found.tokens_per_second, found.prompt_tokens_per_second, found.at_once) == (0, 0, 0)


def test_a_very_slow_route_is_cut_off_and_its_speed_is_that_of_what_came(
    double: Double, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_ALONE_UNTIL", 1.0)
    monkeypatch.setattr(measuring, "_PROMPT_UNTIL", 1.5)
    monkeypatch.setattr(measuring, "_LONGEST", 3.0)
    # The first request, for which a server may load its model, is not measured.
    double.spoil("qwen", times=1, then=Manner(thinking="x" * 1000, chunks=1000, pause=0.1))
    only = tuple(each for each in generation.routes if each.name == "qwen")
    began = time.monotonic()
    (check,), (found,) = measured(replace(generation, routes=only), ALL)
    assert time.monotonic() - began < 6
    assert check.ok, check.seen
    assert 5 <= found.tokens_per_second <= 10.5
    assert 0 <= found.first_token < 0.9
    assert found.prompt_tokens_per_second == 0
    assert found.at_once == AT_ONCE
    assert 8 < found.tokens_per_second_at_once <= AT_ONCE * 12
