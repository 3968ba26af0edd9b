"""Providers that others run are asked as rarely as they can be, and their outage is no failure of this host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.contract import manifest
from roles.contract.budgets import NANO, Budget
from roles.contract.usage import USAGE_FILE
from roles.contract.verdict import Check
from roles.contract.wire import written
from roles.litellm.requests.usage import Names, Numbers, Usage
from roles.verify import Verdict
from roles.verify.checks.fault_injection import inject_faults
from roles.verify.context import gateway_client
from roles.verify.generation import Deployment, External, Probe, Route
from tests.deployed import context, route
from tests.gateway_double import BASE, KEY, Double, Verified

REACHED = "external/cloud/reached"
ANSWERS = "external/cloud/qwen@backend"
BY_NAME = "route/qwen/chat"
PROBE = Probe("Who are you?", None, 64, timeout=10.0)


@pytest.fixture
def far() -> Iterator[Double]:
    """The server that others run."""
    with Double() as server:
        yield server


@pytest.fixture
def cloud(far: Double, tmp_path: Path) -> External:
    key_file = tmp_path / "cloud.env"
    key_file.write_text(f"KEY={KEY}\n")
    return External("cloud", "external", f"{far.url}/v1", ("qwen",), True, key_file, "KEY")


def routes(*, stand_in: bool, **deployment: Any) -> tuple[Route, ...]:
    """A route to the cloud, maybe with a fallback, and one to a server of the host."""
    paid = Deployment("qwen@backend", BASE, "cloud", metered=True, **deployment)
    own = Deployment("gpt-4o@backend", BASE, "backend")
    return (
        route("qwen", (paid,), PROBE, fallbacks=("gpt-4o",) if stand_in else ()),
        route("gpt-4o", (own,), PROBE),
    )


@pytest.fixture
def verified(verified: Verified, double: Double, cloud: External) -> Verified:
    double.names = ("qwen", "gpt-4o")
    double.spoil("gpt-4o", origin="gpt-4o@backend")
    return replace(
        verified,
        generation=replace(verified.generation, externals=(cloud,), routes=routes(stand_in=True)),
    )


def asked(double: Double) -> list[str]:
    """The names of the cloud's model in requests, and an end to what is remembered of them."""
    names = [body["model"] for body in double.bodies if body["model"].startswith("qwen")]
    double.bodies.clear()
    return names


def hours_ago(verdict: Verdict, hours: int) -> Verdict:
    earlier = [replace(each, asked=f"2026-01-0{1 + hours // 24}T00:00:00+00:00") for each in verdict.externals]
    return replace(verdict, externals=tuple(earlier))


def ids(verdict: Verdict) -> set[str]:
    return {check.id for check in verdict.checks}


def test_it_is_asked_for_answers_once_and_then_for_its_list_alone(verified: Verified, double: Double) -> None:
    first = verified.verdict()
    assert first.status == "pass"
    assert asked(double) == ["qwen@backend", "qwen"]
    assert {REACHED, ANSWERS, BY_NAME} <= ids(first)
    second = verified.verdict(last=first, sparing=True)
    assert asked(double) == []
    assert ids(second) == ids(first)
    assert second.status == "pass"
    assert second.externals == first.externals
    verified.verdict(last=second)
    assert asked(double) == ["qwen@backend", "qwen"]


def with_budget(verified: Verified, folder: Path, *, stand_in: bool, spent: float) -> Verified:
    """The same with a budget of two dollars for today, of which so many are spent."""
    budget = Budget(per="day", usd=2)
    found = routes(stand_in=stand_in)
    deployment = manifest.Deployment("qwen@backend", BASE, "cloud", metered=True, budget=budget)
    model = manifest.Model(
        name="qwen",
        mode="chat",
        deployments=(deployment,),
        aliases=(),
        tools=False,
        structured_outputs=False,
        balance=False,
        fallbacks=(),
        context_window_fallbacks=(),
        content_policy_fallbacks=(),
        probe=manifest.Probe("Who are you?", None, 64, 10.0),
    )
    (folder / manifest.MODELS_FILE).write_text(yaml.safe_dump(written(manifest.Models((model,)))))
    usage = Usage(folder / USAGE_FILE)
    usage.count(Names("ada", "qwen", "qwen@cloud"), Numbers(nanodollars=round(spent * NANO)))
    usage.close()
    return replace(verified, generation=replace(verified.generation, folder=folder, state=folder, routes=found))


@pytest.mark.parametrize("stand_in", [True, False], ids=["with a stand-in", "alone"])
def test_one_whose_budget_is_spent_is_not_asked_and_the_host_passes(
    verified: Verified, double: Double, tmp_path: Path, stand_in: bool
) -> None:
    over = with_budget(verified, tmp_path, stand_in=stand_in, spent=2)
    double.spoil("qwen", origin="gpt-4o@backend")
    found = over.verdict()
    seen = {check.id: check.seen for check in found.checks if not check.id.startswith("files/")}
    assert seen[ANSWERS] == "not asked: the budget of cloud is spent"
    assert asked(double) == (["qwen"] if stand_in else [])
    assert [check.id for check in found.checks if check.ok is False and check.id in (REACHED, ANSWERS, BY_NAME)] == []
    assert "provider cloud has cost 100% of the 2 US dollars for today: it is not asked any more" in found.warnings
    # Once it begins anew, it is asked again, though a day has not passed.
    assert [state.asked for state in found.externals] == [""]


def test_one_with_some_of_its_budget_left_is_asked(verified: Verified, double: Double, tmp_path: Path) -> None:
    found = with_budget(verified, tmp_path, stand_in=True, spent=1.9).verdict()
    assert asked(double) == ["qwen@backend", "qwen"]
    assert "provider cloud has cost 95% of the 2 US dollars for today" in found.warnings


def test_one_that_fails_is_asked_again_alone(verified: Verified, double: Double, cloud: External) -> None:
    other = Deployment("small@other", BASE, "other", metered=True)
    double.names = ("qwen", "gpt-4o", "small")
    double.spoil("small", origin="small@other")
    double.spoil("small@other", status=429, error="Rate limit reached")
    both = replace(
        verified,
        generation=replace(
            verified.generation,
            externals=(cloud, replace(cloud, name="other", models=("small",))),
            routes=(*routes(stand_in=True), route("small", (other,), PROBE)),
        ),
    )
    first = both.verdict()
    (red,) = [check for check in first.checks if not check.ok]
    assert (red.id, red.code) == ("external/other/small@other", "external-limited")
    assert [bool(state.asked) for state in first.externals] == [True, False]
    names = {"qwen@backend", "qwen", "small@other", "small"}
    assert names <= {body["model"] for body in double.bodies}
    double.bodies.clear()
    double.spoil("small@other", origin="small@other")
    second = both.verdict(last=first, sparing=True)
    assert second.status == "pass"
    assert names & {body["model"] for body in double.bodies} == {"small@other", "small"}
    assert second.externals[0] == first.externals[0]
    double.bodies.clear()
    assert both.verdict(last=second, sparing=True).externals == second.externals
    assert not names & {body["model"] for body in double.bodies}


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "external-refuses"), (429, "external-limited"), (401, "key-refused")],
    ids=["an outage", "too many requests", "a revoked key"],
)
def test_what_the_gateway_passes_on_is_the_clouds_answer(
    verified: Verified, double: Double, status: int, code: str
) -> None:
    double.spoil("qwen@backend", "qwen", status=status, error="a reason")
    verdict = verified.verdict(routes=routes(stand_in=False))
    red = {check.id: check for check in verdict.checks if not check.ok}
    assert {id: check.code for id, check in red.items()} == {ANSWERS: code, BY_NAME: "external-refuses"}
    # There is no unit whose journal could say why.
    assert not any(
        "-u cloud" in cause.look or "-u qwen" in cause.look for each in red.values() for cause in each.causes
    )


def test_after_a_day_it_is_asked_again(verified: Verified, double: Double) -> None:
    first = verified.verdict()
    asked(double)
    verified.verdict(last=hours_ago(first, 24), sparing=True)
    assert asked(double) == ["qwen@backend", "qwen"]


def test_another_generation_asks_it_again(verified: Verified, double: Double) -> None:
    first = verified.verdict()
    asked(double)
    verified.verdict(last=replace(first, generation="another"), sparing=True)
    assert asked(double) == ["qwen@backend", "qwen"]


def test_an_outage_is_a_warning_while_others_answer(verified: Verified, double: Double, far: Double) -> None:
    far.shutdown()
    far.server_close()
    double.spoil("qwen@backend", status=500, error="Cannot connect to host")
    double.spoil("qwen", origin="gpt-4o@backend", fallbacks="1")
    verdict = verified.verdict()
    assert verdict.status == "pass"
    (state,) = verdict.externals
    assert state.problem.startswith(f"{verified.generation.externals[0].api_base}: ")
    assert state.problem.endswith("until it does, gpt-4o@backend answers for it")
    assert state.asked == ""
    asked(double)
    # So it is asked again soon.
    verified.verdict(last=verdict, sparing=True)
    assert asked(double) == ["qwen@backend", "qwen"]


def test_an_outage_that_nobody_stands_in_for_fails(verified: Verified, double: Double, far: Double) -> None:
    far.shutdown()
    far.server_close()
    double.spoil("qwen@backend", "qwen", status=500, error="Cannot connect to host")
    red = verified.red(routes=routes(stand_in=False))
    assert red.keys() == {REACHED, ANSWERS, BY_NAME}


def test_a_route_whose_stand_in_fails_too_fails(verified: Verified, double: Double) -> None:
    double.spoil("qwen@backend", "qwen", status=500, error="Cannot connect to host")
    assert verified.red().keys() == {BY_NAME}


def test_a_refused_key_says_so(verified: Verified, far: Double) -> None:
    far.refusals[KEY] = 401
    verified.generation.externals[0].key_file.write_text("KEY=another-key-than-that\n")  # type: ignore[union-attr]
    far.refusals["another-key-than-that"] = 401
    verdict = verified.verdict(routes=routes(stand_in=False))
    (check,) = [check for check in verdict.checks if not check.ok]
    assert (check.id, check.code) == (REACHED, "external-key-refused")


def test_a_model_that_is_not_listed_is_said_and_asked_all_the_same(verified: Verified, far: Double) -> None:
    far.names = ("another",)
    verdict = verified.verdict()
    assert verdict.status == "pass"
    assert next(check.seen for check in verdict.checks if check.id == REACHED) == "1 models; not listed: qwen"


def test_fault_injection_stops_nothing_for_a_route_that_others_answer(verified: Verified) -> None:
    async def injected() -> list[Check]:
        async with gateway_client() as client:
            return await inject_faults(context(verified.generation, client))

    assert asyncio.run(injected()) == []


def test_one_that_costs_nothing_is_verified_as_the_hosts_own(verified: Verified, double: Double) -> None:
    free = tuple(
        replace(each, deployments=tuple(replace(one, metered=False) for one in each.deployments))
        for each in verified.generation.routes
    )
    verdict = verified.verdict(routes=free, sparing=True)
    assert {"route/qwen/chat", "route/qwen/stream"} <= ids(verdict)
    assert ANSWERS not in ids(verdict)
    double.spoil("qwen", status=500, error="broken")
    assert BY_NAME in verified.red(routes=free)
