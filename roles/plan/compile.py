"""Compile: stack → host plan. Pure: it reads no host and no secret, and no files but our own templates and locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import yaml

from roles.contract.budgets import Budget
from roles.contract.generation import DRIVER_FILE, PACKAGES_FILE
from roles.contract.manifest import PlannedMemory
from roles.fit.table import size_of
from roles.options import (
    Cache,
    Deployment,
    Gpus,
    MeteredProvider,
    ModelServer,
    Monitor,
    NvidiaDriver,
    OptionsError,
    Provider,
    Route,
    Service,
    Stack,
)
from roles.plan.abilities import route_abilities, with_longer_contexts
from roles.plan.backends import Backend, Beside, MetricsPage, ServerBackend
from roles.plan.firewall import firewall_plan
from roles.plan.fleet import ALONE, Place
from roles.plan.gpu_unit import gpu_plan
from roles.plan.installs import Install
from roles.plan.journal import journal_plan
from roles.plan.layout import Layout, layout_of
from roles.plan.manifest import manifest_files
from roles.plan.memory import KnownFacts, card_sizes, not_known, with_shares
from roles.plan.model import ClientPlan, DeploymentPlan, HostPlan, RoutePlan, ServicePlan
from roles.plan.outbound import OutboundPlan, outbound_plan
from roles.plan.pins import NO_PINS, Pins
from roles.plan.planned import planned_memory
from roles.plan.units import ServerUnit
from roles.plan.watch import WATCH_TIMER, metrics_file, watch_plan


@dataclass(frozen=True)
class HostContext:
    """What any service may know of the host when it plans its part. Providers and caches get no more than this.

    Attributes:
        pins: what is locked of that which a service fetches by itself; installs are pinned later.
        shares: name of a provider → the share of its cards that it is to reserve.
        outbound: how the host reaches what is fetched.
        monitoring: what collects its metrics; none = nothing does.
        callers: name of a provider → the addresses of the other hosts whose gateways use it.
    """

    layout: Layout
    pins: Pins = field(default=NO_PINS, kw_only=True)
    shares: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    outbound: OutboundPlan | None = field(default=None, kw_only=True)
    monitoring: Monitor | None = field(default=None, kw_only=True)
    callers: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class GatewayContext(HostContext):
    """What the gateway may know: everything behind it.

    Attributes:
        routes: all of them.
        backends: the providers, and those of other hosts that its routes name.
        aliases: alias → public name, flattened.
        cache: the service that caches its answers, and that service's part of the plan.
        clients: the people and programs that use it.
    """

    routes: tuple[RoutePlan, ...]
    backends: tuple[Backend, ...]
    aliases: Mapping[str, str]
    cache: tuple[Cache, ServicePlan] | None
    clients: tuple[ClientPlan, ...]


@dataclass(frozen=True)
class BesideContext(HostContext):
    """What a service beside providers, cache and gateway may know: the servers of all of these."""

    servers: tuple[ServerUnit, ...]


@dataclass(frozen=True)
class MonitoringContext(BesideContext):
    """What monitoring may know: the metrics of all of these.

    Attributes:
        verdict: the file with the metrics of the last verification.
        verified_every: seconds from the end of one verification to the next.
        cards: those of each server that uses any.
    """

    pages: tuple[MetricsPage, ...]
    verdict: str
    verified_every: int
    cards: tuple[Gpus, ...]


Planner = Callable[[Any, Any], ServicePlan]
"""A room's `plan(options, context)`. The context is a `HostContext`, or a subclass of it for a gateway, for a service
beside the others, or for monitoring."""

Planners: TypeAlias = Mapping[type[Service] | type[Provider], Planner]
"""Which function plans what."""


def compile_stack(
    stack: Stack, planners: Planners, pins: Pins = NO_PINS, *, facts_of: KnownFacts = not_known, place: Place = ALONE
) -> HostPlan:
    """The plan of the one host that runs the stack.

    Args:
        planners: which function plans which type of service or provider.
        pins: what is locked.
        facts_of: the facts of the models that it names.
        place: its place among the other hosts.
    """

    def planned(service: Service | Provider, context: HostContext) -> ServicePlan:
        return _planner(service, planners)(service, context)

    layout = layout_of(stack.scope, stack.models_folder)
    outbound = outbound_plan(stack.outbound)
    host = HostContext(layout, pins=pins, outbound=outbound, monitoring=stack.monitoring, callers=place.callers)
    providers = [planned(provider, host) for provider in stack.providers]
    loads = [load for part in providers for load in part.loads]
    sizes = card_sizes(loads)
    uses = with_shares([load.use(facts_of) for load in loads], sizes)
    if shares := {use.provider: use.share for use in uses if use.share}:
        host = replace(host, shares=shares)
        providers = [planned(provider, host) for provider in stack.providers]
    backends = tuple(
        _completed(part.backend, part, planned_memory(part.backend.provider, uses, sizes), place)
        for part in providers
        if part.backend
    )
    reached = (*backends, *place.backends.values())
    routes = tuple(_route_plan(stack, route, reached) for route in stack.routes)
    cache = planned(stack.cache, host) if stack.cache else None
    gateway = _gateway_part(stack, layout, routes, reached, cache, planned)
    parts = [*providers, *([cache] if cache else []), *([gateway] if gateway else [])]
    known = BesideContext(
        layout, tuple(server for part in parts for server in part.servers), monitoring=stack.monitoring
    )
    services = [(service, planned(service, known)) for service in stack.services]
    parts += [part for _, part in services]
    if stack.monitoring:
        everything = MonitoringContext(
            layout,
            tuple(server for part in parts for server in part.servers),
            tuple(page for part in parts for page in part.pages),
            metrics_file(stack.verification, layout),
            stack.verification.every,
            tuple(part.gpus for part in parts if part.gpus),
        )
        services.append((stack.monitoring, planned(stack.monitoring, everything)))
        parts.append(services[-1][1])
    cards = [part.gpus for part in parts if part.gpus]
    if (ready := gpu_plan(layout, cards)) is not None:
        parts.insert(0, ready)
    if (firewall := firewall_plan(layout, [server for part in parts for server in part.servers])) is not None:
        parts.append(firewall)
    if (journal := journal_plan(stack.journal, layout)) is not None:
        parts.append(journal)
    models = tuple(dict.fromkeys(model for part in parts for model in part.host_models))
    seen = [*(model.path for model in models), *([layout.models_folder] if layout.models_folder else [])]
    parts.append(watch_plan(stack.verification, layout, cards, seen))
    units = tuple(unit for part in parts for unit in part.units)
    packages = tuple(sorted({package for part in parts for package in part.packages}))
    return HostPlan(
        layout=layout,
        packages=packages,
        keep_off=tuple(sorted({unit for part in parts for unit in part.keep_off})),
        installs=tuple(pins.applied(install) for install in _merged_installs(parts)),
        files={
            **{path: text for part in parts for path, text in part.files.items()},
            **manifest_files(
                layout,
                units,
                timer=WATCH_TIMER,
                gateway=gateway.gateway if gateway else None,
                cache=cache,
                backends=backends,
                beside=[each for service, part in services for each in _beside(service, part)],
                routes=with_longer_contexts(routes),
            ),
            # For the verifier, which must check that they are still installed.
            PACKAGES_FILE: "".join(["packages:\n", *(f"- {package}\n" for package in packages)]),
            **_driver_file(stack.driver),
        },
        host_files=tuple(file for part in parts for file in part.host_files),
        host_models=models,
        units=units,
        generated_secrets=tuple(secret for part in parts for secret in part.generated_secrets),
        gpus=tuple(cards),
        card_needs=tuple(needs for part in parts for needs in part.card_needs),
        driver=stack.driver,
        staging=next((part.staging for part in parts if part.staging), None),
        uses=uses,
        card_sizes=sizes,
        main_memory=size_of(stack.memory) if stack.memory else None,
        gateways=len(gateway.gateway.instances) if gateway and gateway.gateway else 0,
        outbound=outbound,
        pulled=tuple(model for part in parts for model in part.pulled),
        prune_commands=tuple(command for part in parts for command in part.prune_commands),
    )


def _gateway_part(
    stack: Stack,
    layout: Layout,
    routes: tuple[RoutePlan, ...],
    backends: tuple[Backend, ...],
    cache: ServicePlan | None,
    planned: Planner,
) -> ServicePlan | None:
    """None = the host has no gateway."""
    if stack.gateway is None:
        return None
    context = GatewayContext(
        layout,
        routes,
        backends,
        {alias: stack.public_name(alias) for alias in stack.aliases},
        cache=(stack.cache, cache) if stack.cache and cache else None,
        clients=tuple(ClientPlan(client.name, stack.names_for(client), client) for client in stack.clients),
        monitoring=stack.monitoring,
    )
    part = planned(stack.gateway, context)
    assert part.gateway, f"{stack.gateway} does not say what it is for the verifier"
    return part


def _driver_file(driver: NvidiaDriver | None) -> dict[str, str]:
    """For the next deploy, which must know that there is something to let go of once the inventory says nothing."""
    if driver is None:
        return {}
    said = {name: value for name, value in driver.model_dump().items() if value is not None}
    return {DRIVER_FILE: yaml.safe_dump({"driver": said}, sort_keys=False)}


def planned_backend(stack: Stack, server: ModelServer, planners: Planners) -> ServerBackend:
    """One provider of a stack, for those who only reach it."""
    part = _planner(server, planners)(server, HostContext(layout_of(stack.scope, stack.models_folder)))
    assert isinstance(part.backend, ServerBackend), f"{server} does not say how it is reached"
    return part.backend


def _completed(backend: Backend, part: ServicePlan, memory: PlannedMemory | None, place: Place) -> Backend:
    """A server of the host, with what is known only of its whole part of the plan."""
    if not isinstance(backend, ServerBackend):
        return backend
    asked = place.asked.get(backend.provider, ())
    return replace(backend, tasks=tuple(task.name for task in part.tasks), memory=memory, asked=asked)


def _beside(service: Service, part: ServicePlan) -> list[Beside]:
    tasks = tuple(task.name for task in part.tasks)
    return [Beside(service.name, part.kind, server, tasks, part.traits) for server in part.servers]


def _planner(service: Service | Provider, planners: Planners) -> Planner:
    try:
        return planners[type(service)]
    except KeyError:
        known = ", ".join(sorted(kind.__name__ for kind in planners))
        raise OptionsError(f"{service} is of a type that this version cannot plan (it knows {known})") from None


def _merged_installs(parts: Sequence[ServicePlan]) -> tuple[Install, ...]:
    """Every install once, each after the ones it needs. Services share an install by using its name."""
    merged: dict[str, Install] = {}
    for part in parts:
        for install in part.installs:
            known = merged.setdefault(install.name, install)
            # One service may copy it, and another not.
            merged[install.name] = known = replace(known, copies=max(known.copies, install.copies))
            if known != replace(install, copies=known.copies):
                raise OptionsError(
                    f'two different installs are called "{install.name}" ({known.title}; {install.title}); '
                    "give one of them another `name`"
                )
    return tuple(merged.values())


def _route_plan(stack: Stack, route: Route, backends: Sequence[Backend]) -> RoutePlan:
    by_provider = {backend.provider: backend for backend in backends}
    deployments = []
    for deployment in route.deployments:
        backend, model = by_provider[deployment.provider], _model_of(deployment, by_provider)
        provider = None if deployment.host else stack.provider(deployment.provider)
        if route.mode not in backend.modes_of(model):
            what = f'"{model}"' if backend.cloud else f'a {backend.kind} such as "{backend.provider}"'
            raise OptionsError(
                f'route "{route.name}": its mode is {route.mode}, and {what} has only '
                f"{', '.join(backend.modes_of(model))}{'' if backend.cloud else ', as declared'}; take another "
                f"{'model' if backend.cloud else 'provider'}, or change its options"
            )
        same = f"{model}@{deployment.provider}"
        first = next(other for other in stack.routes if same in _models_at_providers(other, by_provider))
        deployments.append(
            DeploymentPlan(
                # LiteLLM keeps one record per id: two routes to the same model would share it.
                id=same if route is first else f"{same}/{route.name}",
                backend=backend,
                model=model,
                options=deployment,
                elsewhere=provider is not None and provider.leaves_for(model) is not None,
                budget=_budget(provider),
            )
        )
    return RoutePlan(
        name=route.name,
        deployments=tuple(deployments),
        aliases=tuple(alias for alias in stack.aliases if stack.public_name(alias) == route.name),
        fallbacks=stack.fallbacks_of(route),
        context_window_fallbacks=stack.context_window_fallbacks_of(route),
        content_policy_fallbacks=stack.content_policy_fallbacks_of(route),
        abilities=route_abilities(route, deployments),
        options=route,
    )


def _budget(provider: Provider | None) -> Budget | None:
    given = provider.budget if isinstance(provider, MeteredProvider) else None
    return Budget(**given.model_dump()) if given else None


def _models_at_providers(route: Route, backends: Mapping[str, Backend]) -> list[str]:
    return [f"{_model_of(deployment, backends)}@{deployment.provider}" for deployment in route.deployments]


def _model_of(deployment: Deployment, backends: Mapping[str, Backend]) -> str:
    # If it serves several, the stack or the fleet has made sure that one is named.
    return deployment.model or backends[deployment.provider].models[0]
