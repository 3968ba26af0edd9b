"""Checks of providers that others run, for as little money as possible.

At each verification: does it answer, and take its key? Those that are metered are asked for an answer after a deploy,
on demand and once a day. While one fails and others answer for it, that is no failure of this host, but a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx

from roles.contract.modes import MODES
from roles.contract.verdict import Check, ExternalState, Verdict
from roles.verify.checks.routes import ask_any, ask_plainly
from roles.verify.context import VerificationContext
from roles.verify.generation import Deployment, External, Generation, Route
from roles.verify.verdict.claim import CheckFailed, Claim

_LONGEST_LIST = 20.0
"""Seconds that a list of models may take, over a network that is not ours."""
_ASKED_EVERY = timedelta(hours=24)
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_NO_LIST = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED)
"""Answers of a server that has no list of its models: it is reached, and more is not known."""


@dataclass(frozen=True)
class Externals:
    """What a run found of them."""

    checks: tuple[Check, ...] = ()
    states: tuple[ExternalState, ...] = ()


async def check_externals(context: VerificationContext, last: Verdict | None, *, sparing: bool) -> Externals:
    """The checks of all of them, and of the routes that lead to metered ones.

    Args:
        last: the last kept verdict.
        sparing: metered ones are asked for answers only if they have not answered within a day.
    """
    generation = context.generation
    if not generation.externals:
        return Externals()
    lists = await asyncio.gather(*(_list_check(each, context) for each in generation.externals))
    kept = _kept_answers(generation, last) if sparing else None
    made = kept or await _answers(generation, context, _names(generation, lists))
    failing = _names(generation, [*lists, *made])
    checks = [_tolerated(check, generation, failing) for check in [*lists, *made]]
    asked = _asked(last) if kept else datetime.now(UTC).isoformat(timespec="seconds")
    return Externals(
        tuple(checks),
        tuple(
            ExternalState(each.name, _problem(each, [*lists, *made], checks), "" if failing else asked)
            for each in generation.externals
        ),
    )


def _list_check(external: External, context: VerificationContext) -> Awaitable[Check]:
    claim = Claim(f"external/{external.name}/reached", external.name, "is reached and takes its key", external.api_base)
    return claim.check(_list(external, context.client))


async def _list(external: External, client: httpx.AsyncClient) -> str:
    key = external.key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = await client.get(f"{external.api_base}/models", headers=headers, timeout=_LONGEST_LIST)
    except httpx.HTTPError as error:
        raise CheckFailed("external-unreachable", f"{external.api_base}: {error or type(error).__name__}") from None
    if reply.status_code in _REFUSED:
        raise CheckFailed("external-key-refused", f"{external.api_base} answers {reply.status_code}")
    if reply.status_code in _NO_LIST:
        return f"it answers, and has no list of its models ({reply.status_code})"
    if reply.status_code != httpx.codes.OK:
        raise CheckFailed("external-refuses", f"{external.api_base} answers {reply.status_code}")
    try:
        listed = {str(model["id"]) for model in reply.json()["data"]}
    except (ValueError, LookupError, TypeError):
        return "it answers, and has no list of its models"
    # Some list no aliases: whether it answers as one shows when it is asked.
    missing = sorted({*external.models} - listed)
    return f"{len(listed)} models" + (f"; not listed: {', '.join(missing)}" if missing else "")


async def _answers(generation: Generation, context: VerificationContext, silent: Collection[str]) -> list[Check]:
    """Asks each metered deployment by its id, and each route that leads to one by its name."""
    deployments = [each for each in _deployments(generation) if each[1].metered]
    made = await asyncio.gather(*(_answer_check(route, each, context) for route, each in deployments))
    failing = {*silent, *(each.provider for (_, each), check in zip(deployments, made, strict=True) if not check.ok)}
    routes = [route for route in generation.routes if route.is_metered]
    return [*made, *await asyncio.gather(*(_route_check(route, generation, context, failing) for route in routes))]


def _answer_check(route: Route, deployment: Deployment, context: VerificationContext) -> Awaitable[Check]:
    claim = Claim(_answer_id(deployment), deployment.provider, f"answers as {deployment.id}", MODES[route.mode].answer)
    return claim.check(ask_plainly(replace(route, deployments=(deployment,)), deployment.id, context))


def _route_check(
    route: Route, generation: Generation, context: VerificationContext, failing: Collection[str]
) -> Awaitable[Check]:
    """By its name; while one of its providers fails, whoever stands in may answer."""
    mode, is_well = MODES[route.mode], not {each.provider for each in route.sharers} & {*failing}
    ids = [each.id for each in (route.sharers if is_well else (*route.deployments, *_behind(route, generation)))]
    claim = Claim(_route_id(route), route.name, mode.claim, f"{mode.answer} from {' or '.join(ids)}")
    return claim.check(ask_plainly(route, route.name, context) if is_well else ask_any(route, ids, context))


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


def _kept_answers(generation: Generation, last: Verdict | None) -> list[Check] | None:
    """The answers of the last run, if all of them were good within a day; None = ask again."""
    if last is None or last.generation != generation.name:
        return None
    ids = {_answer_id(each) for _, each in _deployments(generation) if each.metered}
    ids |= {_route_id(route) for route in generation.routes if route.is_metered}
    kept = [check for check in last.checks if check.id in ids]
    asked = _asked(last)
    if not asked or datetime.now(UTC) - datetime.fromisoformat(asked) > _ASKED_EVERY:
        return None
    if {check.id for check in kept} != ids or not all(check.ok for check in kept):
        return None
    return [replace(check, seconds=0.0) for check in kept]


def _asked(last: Verdict | None) -> str:
    return min((each.asked for each in last.externals), default="") if last else ""


def _answer_id(deployment: Deployment) -> str:
    return f"external/{deployment.provider}/{deployment.id}"


def _route_id(route: Route) -> str:
    return f"route/{route.name}/{route.mode}"
