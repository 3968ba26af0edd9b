"""The queues of the servers behind the gateway: none is sent more requests at once than it lets wait.

Otherwise its own checks, made side by side, would be refused, and a server that is well reported as one that is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from roles.verify.generation import Generation, Route


class Queues:
    """`queues`: requests that each server lets wait; `servers`: those that a model's request may reach, by its name."""

    def __init__(self, queues: Mapping[str, int] | None = None, servers: Mapping[str, frozenset[str]] | None = None):
        self._places = {server: asyncio.Semaphore(places) for server, places in (queues or {}).items()}
        self._servers = servers or {}

    @classmethod
    def of(cls, generation: Generation) -> Queues:
        queues = {provider.name: provider.queue for provider in generation.providers if provider.queue is not None}
        routes = {route.name: route for route in generation.routes}
        servers: dict[str, frozenset[str]] = {}
        for route in generation.routes:
            servers |= dict.fromkeys(route.names, _reached(route, routes))
            for each in route.deployments:
                servers[each.id] = servers.get(each.id, frozenset()) | {each.provider}
        return cls(queues, servers)

    @contextlib.asynccontextmanager
    async def turn(self, model: object) -> AsyncIterator[None]:
        """A place with each of the servers that a request for that model may reach."""
        reached = self._servers.get(model, frozenset()) if isinstance(model, str) else frozenset()
        async with contextlib.AsyncExitStack() as stack:
            # Always in the same order: two requests that each had a place which the other needs would wait for ever.
            for server in sorted(reached & self._places.keys()):
                await stack.enter_async_context(self._places[server])
            yield


def _reached(route: Route, routes: Mapping[str, Route]) -> frozenset[str]:
    """The servers of a route and of all that it falls back to."""
    ahead, seen = [route.name], set[str]()
    while ahead:
        name = ahead.pop()
        if name not in seen and name in routes:
            seen.add(name)
            found = routes[name]
            ahead += [*found.fallbacks, *found.context_window_fallbacks, *found.content_policy_fallbacks]
    return frozenset(each.provider for name in seen for each in routes[name].deployments)
