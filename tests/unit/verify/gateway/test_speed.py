"""The speed of routes, measured on a gateway double."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from roles.contract.verdict import Check, RouteSpeed, Verdict
from roles.verify.checks.speed import AT_ONCE, measure_speeds
from roles.verify.context import VerificationContext, gateway_client, runtime_folder
from roles.verify.generation import Generation
from roles.verify.verdict.kept import keep
from tests.gateway_double import OVER_LIMIT, Double, Verified


def speeds(verdict: Verdict) -> dict[str, bool | None]:
    """Route → whether its check passes."""
    return {check.subject: check.ok for check in verdict.checks if check.id == f"route/{check.subject}/speed"}


def test_without_being_asked_to_it_measures_nothing(verified: Verified) -> None:
    verdict = verified.verdict()
    assert (speeds(verdict), verdict.speeds) == ({}, ())


def test_the_routes_that_write_text_are_measured(verified: Verified, double: Double) -> None:
    double.spoil("qwen", delay=0.2)
    verdict = verified.verdict(speed=True)
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
    verdict = verified.verdict(speed=True)
    assert [speed.route for speed in verdict.speeds] == ["text"]
    (check,) = (check for check in verdict.checks if check.id == "route/qwen/speed")
    assert (check.ok, check.code) == (False, code)


def test_a_route_whose_limit_is_used_up_is_not_waited_for(double: Double, generation: Generation) -> None:
    double.spoil("qwen", status=429, error=OVER_LIMIT)
    double.spoil("text", status=429, error=OVER_LIMIT)

    async def measured() -> tuple[list[Check], tuple[RouteSpeed, ...]]:
        async with gateway_client() as client:
            return await measure_speeds(VerificationContext(generation, client, runtime_folder("system")))

    checks, speeds = asyncio.run(asyncio.wait_for(measured(), 20))
    assert speeds == ()
    assert {check.seen for check in checks} == {"its limit of requests or tokens is used up for this minute"}
    assert all(check.ok is None for check in checks)


def test_what_was_measured_before_is_in_the_verdict(verified: Verified, double: Double, generation: Generation) -> None:
    first = verified.verdict(speed=True)
    assert first.speeds_before == ()
    generation.state.mkdir()
    keep(first, generation.state)
    second = verified.verdict(speed=True)
    assert second.speeds_before == first.speeds
    assert verified.verdict().speeds_before == ()


def test_a_long_prompt_fits_into_a_small_context(verified: Verified, double: Double, generation: Generation) -> None:
    small = tuple(
        replace(each, abilities=replace(each.abilities, context_size=256))
        for each in generation.routes
        if each.name == "qwen"
    )
    verified.verdict(speed=True, routes=small)
    asked = [request for request in double.bodies if "messages" in request]
    assert max(len(request["messages"][0]["content"].split()) for request in asked) <= 256 // 12 + 1
