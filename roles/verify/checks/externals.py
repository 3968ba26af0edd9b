"""Checks of providers that others run, for as little money as possible.

At each verification: does it answer, and take its key? Those that are metered are asked for an answer after a deploy,
on demand and once a day. While one fails and others answer for it, that is no failure of this host, but a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from roles.contract.modes import MODES
from roles.contract.verdict import Check, ExternalState, Verdict
from roles.verify.checks.routes import ask_any, ask_plainly
from roles.verify.context import VerificationContext
from roles.verify.generation import Deployment, External, Generation, Route
from roles.verify.probe.model_lists import ask_for_models
from roles.verify.verdict.claim import CheckFailed, Claim
from roles.verify.verdict.codes import Code

_ASKED_EVERY = timedelta(hours=24)
_REFUSES: Code = "external-refuses"
_BY_ID: Mapping[Code, Code] = {"gateway-unavailable": _REFUSES, "cooling-down": "external-limited"}
"""What the gateway's answers mean for a deployment that is asked by its id, and so has no cooldown: it passes on what
it was answered, with 503 or 429."""
_BY_NAME: Mapping[Code, Code] = dict.fromkeys(
    (*_BY_ID, "key-refused", "request-failed", "backend-unreachable", "backend-timeout"), _REFUSES
)
"""The same for a route with a provider that fails: the checks of that one say more."""


@dataclass(frozen=True)
class Externals:
    """What a run found of them."""

    checks: tuple[Check, ...] = ()
    states: tuple[ExternalState, ...] = ()


async def check_externals(
    context: VerificationContext, last: Verdict | None, *, sparing: bool, spent: Collection[str] = ()
) -> Externals:
    """The checks of all of them, and of the routes that lead to metered ones.

    Args:
        last: the last kept verdict.
        spent: those whose budget is spent: the gateway does not ask them for answers.
        sparing: a metered one is asked for answers only if it has not given all of them within a day.
    """
    generation = context.generation
    if not generation.externals:
        return Externals()
    lists = await asyncio.gather(*(_list_check(each, context) for each in generation.externals))
    silent = _names(generation, lists)
    kept = _kept(generation, last, {*silent, *spent}) if sparing else _Kept()
    made = [*kept.checks, *await _answers(generation, context, kept, silent, spent)]
    found = [*lists, *made]
    failing = _names(generation, found)
    checks = [_tolerated(check, generation, {*failing, *spent}) for check in found]
    asked = dict.fromkeys((each.name for each in generation.externals), datetime.now(UTC).isoformat(timespec="seconds"))
    asked |= {**kept.asked, **dict.fromkeys([*failing, *spent], "")}
    return Externals(
        tuple(checks),
        tuple(
            ExternalState(each.name, _problem(each, found, checks), asked[each.name]) for each in generation.externals
        ),
    )


async def away(context: VerificationContext) -> set[str]:
    """The providers of the inventory's other hosts that cannot be used now."""
    theirs = [each for each in context.generation.externals if each.host]
    found = await asyncio.gather(*(_list_check(each, context) for each in theirs))
    return {each.name for each, check in zip(theirs, found, strict=True) if not check.ok}


def _list_check(external: External, context: VerificationContext) -> Awaitable[Check]:
    claim = Claim(f"external/{external.name}/reached", external.name, "is reached and takes its key", external.api_base)
    return claim.check(ask_for_models(external, context.client))


async def _answers(
    generation: Generation,
    context: VerificationContext,
    kept: _Kept,
    silent: Collection[str],
    spent: Collection[str],
) -> list[Check]:
    """Asks each metered deployment by its id, and each route that leads to one by its name, but what is kept."""
    deployments = [(route, each) for route, each in _metered(generation) if _answer_id(each) not in kept.ids]
    made = await asyncio.gather(*(_answer_check(route, each, context, spent) for route, each in deployments))
    failing = {each.provider for (_, each), check in zip(deployments, made, strict=True) if not check.ok}
    failing |= {*silent, *spent}
    routes = [route for route in generation.routes if route.is_metered and _route_id(route) not in kept.ids]
    asked = await asyncio.gather(*(_route_check(route, generation, context, failing, spent) for route in routes))
    return [*made, *asked]


def _answer_check(
    route: Route, deployment: Deployment, context: VerificationContext, spent: Collection[str]
) -> Awaitable[Check]:
    claim = Claim(_answer_id(deployment), deployment.provider, f"answers as {deployment.id}", MODES[route.mode].answer)
    alone = replace(route, deployments=(deployment,))
    if deployment.provider in spent:
        return claim.check(_not_asked(f"the budget of {deployment.provider}"))
    return claim.check(_passed_on(ask_plainly(alone, deployment.id, context), _BY_ID))


async def _not_asked(budget: str) -> str:
    return f"not asked: {budget} is spent"


async def _passed_on(asking: Awaitable[str], codes: Mapping[Code, Code]) -> str:
    """What is asked for; a failure of it has the code of what a server that others run says, which LiteLLM passes
    on."""
    try:
        return await asking
    except CheckFailed as reason:
        raise CheckFailed(codes.get(reason.code, reason.code), str(reason)) from None


def _route_check(
    route: Route,
    generation: Generation,
    context: VerificationContext,
    failing: Collection[str],
    spent: Collection[str],
) -> Awaitable[Check]:
    """By its name; while one of its providers fails, whoever stands in may answer."""
    mode, is_well = MODES[route.mode], not {each.provider for each in route.sharers} & {*failing}
    ids = [each.id for each in (route.sharers if is_well else (*route.deployments, *_behind(route, generation)))]
    claim = Claim(_route_id(route), route.name, mode.claim, f"{mode.answer} from {' or '.join(ids)}")
    if all(each.provider in spent for each in (*route.deployments, *_behind(route, generation))):
        return claim.check(_not_asked("the budget of all that could answer"))
    asking = ask_plainly(route, route.name, context) if is_well else ask_any(route, ids, context)
    return claim.check(asking if is_well else _passed_on(asking, _BY_NAME))


def _tolerated(check: Check, generation: Generation, failing: Collection[str]) -> Check:
    """A check of a provider that fails passes while others answer for it, and says who."""
    if check.ok or check.group != "external":
        return check
    concerned = [
        (route, each)
        for route, each in _deployments(generation)
        if each.provider == check.subject and check.id in (_answer_id(each), f"external/{check.subject}/reached")
    ]
    stands_in = [_stand_in(route, generation, failing) for route, _ in concerned]
    if not concerned or None in stands_in:
        return check
    names = ", ".join(dict.fromkeys(filter(None, stands_in)))
    return replace(check, ok=True, code=None, seen=f"{check.seen}; until it does, {names} answers for it")


def _stand_in(route: Route, generation: Generation, failing: Collection[str]) -> str | None:
    """The deployment that answers a route's requests while some providers fail; None = none does."""
    for each in (*sorted(route.deployments, key=lambda each: each.order), *_behind(route, generation)):
        if each.provider not in failing:
            return each.id
    return None


def _behind(route: Route, generation: Generation) -> Iterator[Deployment]:
    """The deployments of the routes that it falls back to."""
    routes = {each.name: each for each in generation.routes}
    for name in route.fallbacks:
        yield from routes[name].deployments


def _problem(external: External, before: Sequence[Check], after: Sequence[Check]) -> str:
    """What others answer for."""
    for found, tolerated in zip(before, after, strict=True):
        if found.subject == external.name and tolerated.ok and not found.ok:
            return tolerated.seen
    return ""


def _names(generation: Generation, checks: Sequence[Check]) -> set[str]:
    """The providers of which a check does not pass."""
    names = {each.name for each in generation.externals}
    return {check.subject for check in checks if not check.ok and check.group == "external"} & names


def _deployments(generation: Generation) -> list[tuple[Route, Deployment]]:
    """Those that others run, each once, with a route that has it."""
    names = {each.name for each in generation.externals}
    found = {each.id: (route, each) for route in generation.routes for each in route.deployments}
    return [(route, each) for route, each in found.values() if each.provider in names]


def _metered(generation: Generation) -> list[tuple[Route, Deployment]]:
    return [(route, each) for route, each in _deployments(generation) if each.metered]


@dataclass(frozen=True)
class _Kept:
    """What is shown again of the last run.

    Attributes:
        asked: when each provider whose answers are kept was asked for them.
    """

    checks: tuple[Check, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        return {check.id for check in self.checks}


def _kept(generation: Generation, last: Verdict | None, silent: Collection[str]) -> _Kept:
    """The answers of providers that gave all of theirs within a day, and are reached now; and of the routes that lead
    to none but those."""
    if last is None or last.generation != generation.name:
        return _Kept()
    good = {check.id: replace(check, seconds=0.0) for check in last.checks if check.ok}
    ids: dict[str, list[str]] = {}
    for _, each in _metered(generation):
        ids.setdefault(each.provider, []).append(_answer_id(each))
    asked = {
        state.name: state.asked
        for state in last.externals
        if state.name in ids and state.name not in silent and _is_fresh(state) and {*ids[state.name]} <= good.keys()
    }
    answers = [good[id] for name in asked for id in ids[name]]
    routes = [
        good[_route_id(route)]
        for route in generation.routes
        if route.is_metered
        and _route_id(route) in good
        and {each.provider for each in route.sharers if each.metered} <= asked.keys()
    ]
    return _Kept((*answers, *routes), asked)


def _is_fresh(state: ExternalState) -> bool:
    return bool(state.asked) and datetime.now(UTC) - datetime.fromisoformat(state.asked) <= _ASKED_EVERY


def _answer_id(deployment: Deployment) -> str:
    return f"external/{deployment.provider}/{deployment.id}"


def _route_id(route: Route) -> str:
    return f"route/{route.name}/{route.mode}"
