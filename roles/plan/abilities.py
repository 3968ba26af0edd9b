"""What a route can do: what all of its deployments can, as their servers' options say, or as the route declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roles.contract.abilities import UNKNOWN, Abilities
from roles.options import Route
from roles.plan.model import DeploymentPlan, RoutePlan


def route_abilities(route: Route, deployments: Sequence[DeploymentPlan]) -> Abilities:
    """What the inventory declares counts; what it leaves open is what every deployment can."""
    each = [deployment.backend.abilities.get(deployment.model, UNKNOWN) for deployment in deployments]
    sizes = [one.context_size for one in each if one.context_size is not None]
    common = Abilities(
        images=all(one.images for one in each),
        audio=all(one.audio for one in each),
        tools=all(one.tools for one in each),
        structured_outputs=all(one.structured_outputs for one in each),
        thinking=all(one.thinking for one in each),
        logprobs=all(one.logprobs for one in each),
        several=all(one.several for one in each),
        context_size=min(sizes) if sizes else None,
        cuts_silently=any(one.cuts_silently for one in each),
        when_unsupported=route.when_unsupported,
    )
    declared = {
        "images": route.vision,
        "tools": route.tools,
        "structured_outputs": route.structured_outputs,
        "thinking": route.thinking,
        "context_size": route.context_size,
    }
    return replace(common, **{name: value for name, value in declared.items() if value is not None})  # type: ignore[arg-type]


def with_longer_contexts(routes: Sequence[RoutePlan]) -> tuple[RoutePlan, ...]:
    """The same routes, whose requests that are too long go only where that may help: not to a route that is known to
    take no more, nor to one that would answer a part of them as if it were all. For the manifest, by which the gateway
    decides: in LiteLLM's configuration a changed context of one server would restart the gateway."""
    abilities = {route.name: route.abilities for route in routes}
    return tuple(
        replace(
            route,
            context_window_fallbacks=tuple(
                name for name in route.context_window_fallbacks if _may_take(abilities[name], route.abilities)
            ),
        )
        for route in routes
    )


def _may_take(other: Abilities, own: Abilities) -> bool:
    if other.context_size is None:
        return not other.cuts_silently
    return own.context_size is None or other.context_size > own.context_size
