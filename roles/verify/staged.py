"""Questions to a gateway that is tried out beside the one that runs: does it offer what is declared, and answer?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from roles.verify.api import Api
from roles.verify.gateway import gateway_checks
from roles.verify.generation import Deployment, Gateway, Generation, Route
from roles.verify.proof import CannotCheck
from roles.verify.routes import deployment_check
from roles.verify.run import Beginning, gateway_client, key_holder, make_checks
from roles.verify.verdict import Check, Verdict


async def verify_staged(generation: Generation, url: str, stale: Collection[str]) -> Verdict:
    """Asks the gateway at `url` on behalf of a generation that the host does not run yet.

    Each deployment is asked by its id, so that no fallback answers for it.

    Args:
        stale: units that do not run yet what the generation wants: the deployments that need them are not asked.
    """
    assert generation.gateway is not None, "nothing to try out"
    began = Beginning()
    gateway: Gateway = replace(generation.gateway, url=url)
    async with gateway_client() as client:
        api = key_holder(client, gateway)
        cache = generation.cache
        checks = gateway_checks(client, gateway, generation.routes, api, bool(cache and cache.unit not in stale))
        checks += [_patiently(route, each, api) for route, each in _askable(generation, stale)]
        return await make_checks(generation, checks, began=began)


async def _patiently(route: Route, deployment: Deployment, api: Api | CannotCheck) -> Check:
    """A gateway that has just started is slow, and gives up what it is slow with: once that is no fault."""
    first = await deployment_check(route, deployment, api)
    return first if first.ok else await deployment_check(route, deployment, api)


def _askable(generation: Generation, stale: Collection[str]) -> Iterator[tuple[Route, Deployment]]:
    """Each deployment once, though several routes may share it."""
    needed = {provider.name: {provider.service.unit, *provider.tasks} for provider in generation.providers}
    asked = set()
    for route in generation.routes:
        for deployment in route.deployments:
            if deployment.id not in asked and not needed[deployment.provider] & set(stale):
                asked.add(deployment.id)
                yield route, deployment
