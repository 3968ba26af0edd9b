"""The manifest: what the verifier needs to know of a host plan, derived from its units, backends and routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TypedDict

from roles.contract import manifest
from roles.contract.manifest import AUTHORITIES_FILE, MODELS_FILE, PROVIDERS_FILE
from roles.options import Probe, Speed
from roles.plan.backends import Backend, Beside, ServerBackend
from roles.plan.layout import Layout
from roles.plan.model import GatewayPlan, RoutePlan, ServicePlan
from roles.plan.templates import render
from roles.plan.units import ServerUnit, TaskUnit, Unit

_AS_SYSTEMD = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")
"""The verifier's unit may read processes and files, but not the kernel's rules: systemd runs what reads those."""


def manifest_files(
    layout: Layout,
    units: Sequence[Unit],
    *,
    timer: str,
    gateway: GatewayPlan | None,
    cache: ServicePlan | None,
    backends: Sequence[Backend],
    beside: Sequence[Beside],
    routes: Sequence[RoutePlan],
) -> dict[str, str]:
    """Path below the generation → text."""
    providers = manifest.Providers(
        scope=layout.scope,
        disks=layout.disks,
        state=layout.state,
        timer=timer,
        gateway=_gateway(gateway) if gateway else None,
        cache=_cache(cache, gateway) if cache and gateway else None,
        providers=tuple(_provider(each) for each in backends if isinstance(each, ServerBackend)),
        services=tuple(
            manifest.NamedServer(
                **_server(each.unit), name=each.name, kind=each.kind, tasks=each.tasks, traits=each.traits
            )
            for each in beside
        ),
        tasks=tuple(_task(unit) for unit in units if isinstance(unit, TaskUnit)),
        externals=tuple(_externals(routes, gateway)) if gateway else (),
    )
    models = manifest.Models(tuple(_model(route, gateway) for route in routes) if gateway else ())
    return {PROVIDERS_FILE: _providers_text(providers), MODELS_FILE: _models_text(models)}


# A host is planned again once its lock is read, mostly with the same manifest, and YAML is slow to write.
@lru_cache(maxsize=2)
def _providers_text(providers: manifest.Providers) -> str:
    return render(f"host/{PROVIDERS_FILE}.j2", providers=asdict(providers))


@lru_cache(maxsize=2)
def _models_text(models: manifest.Models) -> str:
    return render(f"host/{MODELS_FILE}.j2", models=asdict(models))


def _gateway(gateway: GatewayPlan) -> manifest.Gateway:
    return manifest.Gateway(
        **_server(gateway.endpoint),
        url=gateway.url,
        key_file=gateway.key_file,
        key_variable=gateway.key_variable,
        instance_key_file=gateway.instance_key_file,
        instance_key_variable=gateway.instance_key_variable,
        instance_url=gateway.instance_url,
        cooldown=gateway.cooldown,
        instances=tuple(manifest.Server(**_server(instance)) for instance in gateway.instances),
        front=gateway.front,
        canary=gateway.canary,
        tls=gateway.tls,
        metrics_port=gateway.endpoint.endpoint.metrics_port,
    )


def _cache(plan: ServicePlan, gateway: GatewayPlan) -> manifest.Cache:
    (unit,) = plan.servers
    login = plan.login
    return manifest.Cache(
        **_server(unit),
        cooldown=gateway.cache_cooldown,
        password_file=next(iter(login.files), unit.environment_file) if login else None,
        password_variable=login.server_variable if login else None,
    )


def _provider(backend: ServerBackend) -> manifest.Provider:
    return manifest.Provider(
        **_server(backend.unit),
        name=backend.provider,
        kind=backend.kind,
        tasks=backend.tasks,
        traits=backend.traits,
        api_base=backend.api_base,
        models=backend.models,
        kept_models=backend.kept_models,
        gpus=manifest.Gpus(backend.gpus.vendor, tuple(backend.gpus.uuids)) if backend.gpus else None,
        weights=backend.weights,
        version=backend.version,
        queue=backend.queue,
        memory=backend.memory,
        asked=tuple(manifest.AskedModel(each.model, each.mode, _probe(each.probe)) for each in backend.asked),
        key_file=backend.unit.environment_file if backend.asked and backend.login else "",
        key_variable=backend.login.server_variable if backend.asked and backend.login else "",
    )


def _externals(routes: Sequence[RoutePlan], gateway: GatewayPlan) -> Iterator[manifest.External]:
    """Those that a route names. The gateway's processes alone have their keys."""
    named = {each.backend.provider: each.backend for route in routes for each in route.deployments}
    for backend in named.values():
        if not isinstance(backend, ServerBackend):
            yield manifest.External(
                name=backend.provider,
                kind=backend.kind,
                api_base=backend.api_base,
                models=backend.models,
                metered=backend.metered,
                listing=backend.cloud.listing if backend.cloud else backend.listing,
                api_version=backend.cloud.api_version if backend.cloud else "",
                ca_file=AUTHORITIES_FILE if backend.authorities else "",
                host=backend.host,
                key_file=gateway.instances[0].environment_file if backend.login else "",
                key_variable=backend.login.client_variable if backend.login else "",
            )


class _Server(TypedDict):
    unit: str
    bind: str
    port: int
    ready_url: str
    start_timeout: float


def _server(unit: ServerUnit) -> _Server:
    return {
        "unit": unit.name,
        "bind": unit.endpoint.bind,
        "port": unit.endpoint.port,
        "ready_url": unit.endpoint.ready_url,
        "start_timeout": unit.start_timeout,
    }


def _task(unit: TaskUnit) -> manifest.Task:
    return manifest.Task(
        unit=unit.name,
        done_file=unit.done_file,
        start_timeout=unit.start_timeout,
        effect_command=(*_AS_SYSTEMD, *unit.effect_command) if unit.effect_command else (),
    )


def _model(route: RoutePlan, gateway: GatewayPlan) -> manifest.Model:
    return manifest.Model(
        name=route.name,
        mode=route.options.mode,
        deployments=tuple(
            manifest.Deployment(
                id=deployment.id,
                # Of a cloud LiteLLM names the address of each kind of request, if any.
                api_base="" if deployment.backend.cloud else deployment.backend.api_base,
                provider=deployment.backend.provider,
                weight=deployment.options.weight,
                order=deployment.options.order,
                model=deployment.model,
                metered=deployment.backend.metered,
                elsewhere=deployment.elsewhere,
                budget=deployment.budget,
            )
            for deployment in route.deployments
        ),
        aliases=route.aliases,
        tools=bool(route.options.tools),
        structured_outputs=bool(route.options.structured_outputs),
        balance=gateway.shares_by_weight and _is_shared_out(route),
        fallbacks=route.fallbacks,
        context_window_fallbacks=route.context_window_fallbacks,
        content_policy_fallbacks=route.content_policy_fallbacks,
        probe=_probe(route.options.asked),
        abilities=route.abilities,
        speed=_speed(route.options.speed_bounds),
        local_only=route.options.local_only,
    )


def _speed(speed: Speed) -> manifest.SpeedBounds:
    return manifest.SpeedBounds(
        when_slower=speed.when_slower,
        tokens_per_second=speed.tokens_per_second,
        first_token=speed.time_to_first_token,
    )


def _is_shared_out(route: RoutePlan) -> bool:
    """Whether each request goes to one of the first deployments by their weights alone. A verification of that must not
    use up limits, or cost money."""
    options = [deployment.options for deployment in route.deployments]
    first = [each for each in options if each.order == min(other.order for other in options)]
    plain = not any(each.rpm or each.tpm or each.max_parallel_requests or each.tags for each in options)
    return len(first) > 1 and plain and not route.is_metered


def _probe(probe: Probe) -> manifest.Probe:
    return manifest.Probe(
        prompt=probe.prompt,
        expects=probe.expects,
        max_tokens=probe.max_tokens,
        timeout=probe.timeout,
        documents=tuple(probe.documents),
    )
