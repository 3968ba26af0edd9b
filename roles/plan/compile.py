"""Compile: stack → host plan. Pure: no host, no file, no secret is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roles.options import Cache, Deployment, OptionsError, Route, Service, Stack
from roles.plan.firewall import firewall_plan, firewall_unit
from roles.plan.gpu_unit import gpu_plan
from roles.plan.layout import Layout, layout_of
from roles.plan.model import Backend, DeploymentPlan, HostPlan, Install, RoutePlan, ServicePlan, Unit
from roles.plan.watch import watch_plan

PACKAGES = "packages.yaml"
"""Path, below the generation, of the list of the Debian packages that it runs from."""


@dataclass(frozen=True)
class Context:
    """What a service may know of the host when it plans its part."""

    layout: Layout
    routes: tuple[RoutePlan, ...]
    """All routes; empty while the providers, which the routes lead to, are planned."""
    backends: tuple[Backend, ...]
    """The providers; empty likewise."""
    aliases: Mapping[str, str]
    """Alias → public name, flattened."""
    tasks: tuple[Unit, ...] = ()
    """The units that do something and end; empty likewise."""
    cache: tuple[Cache, ServicePlan] | None = None
    """What the gateway remembers answers in, and its part of the plan."""


Planner = Callable[[Any, Context], ServicePlan]
"""A service room's `plan(options, context)`."""


def compile_stack(stack: Stack, planners: Mapping[type[Service], Planner]) -> HostPlan:
    """The plan of the one host that runs the stack.

    Args:
        planners: which function plans which type of service.
    """
    layout = layout_of(stack.scope)
    alone = Context(layout=layout, routes=(), backends=(), aliases={})
    parts = [_planner(provider, planners)(provider, alone) for provider in stack.providers]
    backends = tuple(
        replace(part.backend, tasks=tuple(unit.name for unit in part.units if unit.endpoint is None))
        for part in parts
        if part.backend is not None
    )
    routes = tuple(_route_plan(stack, route, backends) for route in stack.routes)
    aliases = {alias: stack.public_name(alias) for alias in stack.aliases}
    if (cards := gpu_plan(layout, [part.gpus for part in parts if part.gpus])) is not None:
        parts.insert(0, cards)
    firewall = firewall_unit(layout, [unit for part in parts for unit in part.units])
    tasks = tuple(unit for part in parts for unit in part.units if unit.endpoint is None)
    tasks += (firewall,) if firewall else ()
    cache = None
    if stack.cache:
        parts.append(_planner(stack.cache, planners)(stack.cache, alone))
        cache = (stack.cache, parts[-1])
    joined = Context(layout=layout, routes=routes, backends=backends, aliases=aliases, tasks=tasks, cache=cache)
    parts.append(_planner(stack.gateway, planners)(stack.gateway, joined))
    if firewall:
        parts.append(firewall_plan(firewall, [unit for part in parts for unit in part.units]))
    parts.append(watch_plan(stack.verification, layout, [part.gpus for part in parts if part.gpus]))
    packages = tuple(sorted({package for part in parts for package in part.packages}))
    return HostPlan(
        layout=layout,
        packages=packages,
        keep_off=tuple(sorted({unit for part in parts for unit in part.keep_off})),
        installs=_merged_installs(parts),
        files={
            **{path: text for part in parts for path, text in part.files.items()},
            # For the verifier, which is to see that they are still there.
            PACKAGES: "".join(["packages:\n", *(f"- {package}\n" for package in packages)]),
        },
        units=tuple(unit for part in parts for unit in part.units),
        generated_secrets=tuple(secret for part in parts for secret in part.generated_secrets),
        gpus=tuple(part.gpus for part in parts if part.gpus),
        staging=next((part.staging for part in parts if part.staging), None),
        prune_commands=tuple(command for part in parts for command in part.prune_commands),
    )


def _planner(service: Service, planners: Mapping[type[Service], Planner]) -> Planner:
    try:
        return planners[type(service)]
    except KeyError:
        known = ", ".join(sorted(kind.__name__ for kind in planners))
        raise OptionsError(f"{service} is of a type that this version cannot plan (it knows {known})") from None


def _merged_installs(parts: Sequence[ServicePlan]) -> tuple[Install, ...]:
    """Every install once, each after the ones it needs. Services share an install by its name."""
    merged: dict[str, Install] = {}
    for part in parts:
        for install in part.installs:
            known = merged.setdefault(install.name, install)
            if known != install:
                raise OptionsError(
                    f'two different installs are called "{install.name}" ({known.title}; {install.title}); '
                    "give one of them another `name`"
                )
    return tuple(merged.values())


def _route_plan(stack: Stack, route: Route, backends: Sequence[Backend]) -> RoutePlan:
    by_provider = {backend.provider: backend for backend in backends}
    deployments = []
    for deployment in route.deployments:
        backend, model = by_provider[deployment.provider], _model_of(stack, deployment)
        if route.mode not in backend.prefixes:
            raise OptionsError(
                f'route "{route.name}": its mode is {route.mode}, and a {backend.kind} such as "{backend.provider}" '
                f"has only {', '.join(backend.prefixes)}; take another provider"
            )
        same = f"{model}@{deployment.provider}"
        first = next(other for other in stack.routes if same in _models_at_providers(stack, other))
        deployments.append(
            DeploymentPlan(
                # Of each id LiteLLM keeps one record: two routes to the same model would share it.
                id=same if route is first else f"{same}/{route.name}",
                backend=backend,
                model=model,
                options=deployment,
            )
        )
    return RoutePlan(
        name=route.name,
        deployments=tuple(deployments),
        aliases=tuple(alias for alias in stack.aliases if stack.public_name(alias) == route.name),
        fallbacks=stack.fallbacks_of(route),
        context_window_fallbacks=stack.context_window_fallbacks_of(route),
        content_policy_fallbacks=stack.content_policy_fallbacks_of(route),
        options=route,
    )


def _models_at_providers(stack: Stack, route: Route) -> list[str]:
    return [f"{_model_of(stack, deployment)}@{deployment.provider}" for deployment in route.deployments]


def _model_of(stack: Stack, deployment: Deployment) -> str:
    # With several, the stack has made sure that one is named.
    return deployment.model or stack.provider(deployment.provider).served()[0]
