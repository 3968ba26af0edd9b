"""Questions to a gateway that is tried out beside the one that runs: does it offer what is declared, and answer?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any

from roles.contract.verdict import Check, Verdict
from roles.verify.checks.cache import cache_check
from roles.verify.checks.gateway import gateway_checks
from roles.verify.checks.routes import deployment_check, fallback_check
from roles.verify.generation import Deployment, Gateway, Generation, Route
from roles.verify.probe.api import Api
from roles.verify.run import Beginning, gateway_client, instance_api, make_checks
from roles.verify.verdict.claim import CannotCheck


async def verify_staged(generation: Generation, url: str, stale: Collection[str]) -> Verdict:
    """Asks the gateway at `url` on behalf of a generation that the host does not run yet.

    Each deployment is asked by its id, so that no fallback answers for it.

    Args:
        stale: units that do not run yet what the generation wants: the deployments that need them are not asked.
    """
    assert generation.gateway is not None, "nothing to try out"
    began = Beginning()
    gateway: Gateway = replace(generation.gateway, url=url, instance_url=url)
    async with gateway_client() as client:
        # It has no front: it is asked by the key that the front would send.
        api = instance_api(client, gateway)
        askable = list(_askable(generation, stale))
        checks = gateway_checks(client, gateway, generation.routes, api)
        if generation.cache and generation.cache.service.unit not in stale:
            # Each by the one deployment that is known to run what it should.
            alone = [replace(route, name=each.id, deployments=(each,)) for route, each in askable]
            checks.append(cache_check(generation.cache, alone, api, api))
        checks += [_patiently(_ask(route, each, api)) for route, each in askable]
        checks += [
            _patiently(_fail(edge, api))
            for edge in _edges(generation)
            if not _needed(generation, edge.target.deployments) & set(stale)
        ]
        return await make_checks(generation, checks, began=began)


_Make = Callable[[], Coroutine[Any, Any, Check]]


async def _patiently(make: _Make) -> Check:
    """A gateway that has just started is slow, and gives up what it is slow with: once that is no fault."""
    first = await make()
    return first if first.ok else await make()


def _ask(route: Route, deployment: Deployment, api: Api | CannotCheck) -> _Make:
    return lambda: deployment_check(route, deployment, api, "staged")


def _fail(edge: _Edge, api: Api | CannotCheck) -> _Make:
    id = f"route/{edge.route}/{edge.kind}"
    return lambda: fallback_check(id, edge.route, edge.route, edge.target, api, 0, **{edge.parameter: True})


@dataclass(frozen=True)
class _Edge:
    """From one route to that which is asked first when it fails.

    Attributes:
        kind: of failure, as a check's id ends.
        parameter: by which a request asks LiteLLM to fail so.
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
    """The units without which those deployments do not answer."""
    names = {deployment.provider for deployment in deployments}
    providers = [provider for provider in generation.providers if provider.name in names]
    return {unit for provider in providers for unit in (provider.service.unit, *provider.tasks)}


def _askable(generation: Generation, stale: Collection[str]) -> Iterator[tuple[Route, Deployment]]:
    """Each deployment once, though several routes may share it."""
    asked = set()
    for route in generation.routes:
        for deployment in route.deployments:
            if deployment.id not in asked and not _needed(generation, [deployment]) & set(stale):
                asked.add(deployment.id)
                yield route, deployment
