"""Queries a staged gateway, beside the running one: does it offer what is declared, and answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any

from roles.contract.verdict import Check, Verdict
from roles.verify.checks.cache import cache_check
from roles.verify.checks.externals import away
from roles.verify.checks.gateway import gateway_checks
from roles.verify.checks.routes import deployment_check, fallback_check
from roles.verify.context import VerificationContext, gateway_client, runtime_folder
from roles.verify.generation import Deployment, Gateway, Generation, Route
from roles.verify.run import Beginning, concluded


async def verify_staged(generation: Generation, url: str, stale: Collection[str]) -> Verdict:
    """Queries the gateway at `url` for a generation that the host does not run yet.

    Each deployment is asked by its id, so that no fallback answers for it.

    Args:
        stale: units that do not run what the generation wants yet: deployments that need them are not asked.
    """
    assert generation.gateway is not None, "nothing to try out"
    beginning = Beginning()
    async with gateway_client() as client:
        context = VerificationContext(
            replace(generation, gateway=_without_front(generation.gateway, url)),
            client,
            runtime_folder(generation.scope),
        )
        # What other hosts run is no reason against a deploy of this one.
        absent = await away(context)
        askable = [(route, each) for route, each in _askable(generation, stale) if each.provider not in absent]
        checks = gateway_checks(context)
        if generation.cache and generation.cache.service.unit not in stale:
            # Through the one deployment that is known to run the right version.
            alone = [replace(route, name=each.id, deployments=(each,)) for route, each in askable]
            checks.append(cache_check(generation.cache, alone, context))
        checks += [_patiently(_ask(route, each, context)) for route, each in askable]
        checks += [
            _fall_back(edge, context)
            for edge in _edges(generation)
            if not _needed(generation, edge.target.deployments) & set(stale)
            and not {each.provider for each in edge.target.deployments} & absent
        ]
        made = await asyncio.gather(*checks)
    return await concluded(generation, made, beginning)


def _without_front(gateway: Gateway, url: str) -> Gateway:
    """The staged gateway: asked with the key that its front would send; no deployment cools down yet."""
    return replace(
        gateway,
        url=url,
        instance_url=url,
        key_file=gateway.instance_key_file,
        key_variable=gateway.instance_key_variable,
        cooldown=0,
    )


_Make = Callable[[], Coroutine[Any, Any, Check]]


async def _patiently(make: _Make) -> Check:
    """A gateway that has just started is slow, and may time out: one failure is tolerated."""
    first = await make()
    return first if first.ok else await make()


def _ask(route: Route, deployment: Deployment, context: VerificationContext) -> _Make:
    return lambda: deployment_check(route, deployment, context, "staged")


async def _fall_back(edge: _Edge, context: VerificationContext) -> Check:
    """An outage of a provider that others run is no reason against a deploy."""
    id = f"route/{edge.route}/{edge.kind}"
    check = await _patiently(
        lambda: fallback_check(id, edge.route, edge.route, edge.target, context, **{edge.parameter: True})
    )
    if check.ok or not edge.target.is_metered:
        return check
    alone = [await deployment_check(edge.target, each, context, "staged") for each in edge.target.sharers]
    if any(each.ok for each in alone):
        return check
    return replace(check, ok=True, code=None, seen=f"not tried: {edge.target.name} does not answer: {alone[0].seen}")


@dataclass(frozen=True)
class _Edge:
    """From one route to the one that is tried first when it fails.

    Attributes:
        kind: of failure, as at the end of a check's id.
        parameter: makes LiteLLM fail this way when a request contains it.
    """

    route: str
    target: Route
    kind: str
    parameter: str


def _edges(generation: Generation) -> Iterator[_Edge]:
    routes = {route.name: route for route in generation.routes}
    for route in generation.routes:
        kinds = (
            ("fallback", route.fallbacks, "mock_testing_fallbacks"),
            ("context-window-fallback", route.context_window_fallbacks, "mock_testing_context_fallbacks"),
            ("content-policy-fallback", route.content_policy_fallbacks, "mock_testing_content_policy_fallbacks"),
        )
        for kind, targets, parameter in kinds:
            if targets:
                yield _Edge(route.name, routes[targets[0]], kind, parameter)


def _needed(generation: Generation, deployments: Collection[Deployment]) -> set[str]:
    """The units that those deployments need to answer."""
    names = {deployment.provider for deployment in deployments}
    providers = [provider for provider in generation.providers if provider.name in names]
    return {unit for provider in providers for unit in (provider.service.unit, *provider.tasks)}


def _askable(generation: Generation, stale: Collection[str]) -> Iterator[tuple[Route, Deployment]]:
    """Each deployment once, even if several routes share it; not those that may cost money, which the verification asks
    after the deploy."""
    asked = set()
    for route in generation.routes:
        for deployment in route.deployments:
            if (
                deployment.id not in asked
                and not deployment.metered
                and not _needed(generation, [deployment]) & set(stale)
            ):
                asked.add(deployment.id)
                yield route, deployment
