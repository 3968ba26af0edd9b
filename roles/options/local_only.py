"""Routes whose requests must not leave the host: the ways on which they would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from roles.options.routes import Deployment, Route
from roles.options.service import Provider
from roles.options.values import ModelName

if TYPE_CHECKING:
    from roles.options.stack import Stack


def leak_of(stack: Stack, route: Route) -> str | None:
    """The shortest way on which requests to a route would leave, and what to do against it; none = there is none."""
    ways: list[tuple[Route, str]] = [(route, f'"{route.name}"')]
    seen = {route.name}
    # A fallback that fails has fallbacks of its own, which LiteLLM tries too.
    for at, way in ways:
        for deployment in at.deployments:
            if deployment.host:
                continue  # of the inventory too
            provider = stack.provider(deployment.provider)
            if (where := provider.leaves_for(_model(provider, deployment))) is not None:
                return (
                    f'route "{route.name}" is `local_only`, and its requests could leave: {way} → {provider}, at '
                    f"{where}; {_fix(route, at, deployment)}"
                )
        for name, option in _next(stack, at).items():
            if name not in seen:
                seen.add(name)
                ways.append((stack.route(name), f'{way} → `{option}` "{name}"'))
    return None


def _model(provider: Provider, deployment: Deployment) -> ModelName:
    return deployment.model or provider.served()[0]


def _next(stack: Stack, route: Route) -> Mapping[ModelName, str]:
    """The routes that may answer for one, and the option that says so."""
    return dict(reversed(list(_named(stack, route))))


def _named(stack: Stack, route: Route) -> Iterator[tuple[ModelName, str]]:
    for option, names in (
        ("fallbacks", stack.fallbacks_of(route)),
        ("context_window_fallbacks", stack.context_window_fallbacks_of(route)),
        ("content_policy_fallbacks", stack.content_policy_fallbacks_of(route)),
    ):
        own, usual = getattr(route, option), "fallbacks" if route.fallbacks else "default_fallbacks"
        for name in names:
            yield name, option if own else usual


def _fix(route: Route, at: Route, deployment: Deployment) -> str:
    if at is route:
        return f'remove its deployment at "{deployment.provider}", or `local_only`'
    return f'give "{route.name}" other fallbacks, or `no_fallbacks=True`'
