"""The three files of a generation that say who answers what: made from the same routes, so they can not disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.litellm.spec import LiteLLM
from roles.plan import Context, Json, RoutePlan, Unit

MASTER_KEY_VARIABLE = "LITELLM_MASTER_KEY"


def litellm_config(gateway: LiteLLM, routes: Sequence[RoutePlan], aliases: Mapping[str, str]) -> dict[str, Json]:
    """`litellm-unified.yaml`: what LiteLLM runs with."""
    fallbacks: list[Json] = [
        {name: list(route.fallbacks)}
        for route in routes
        if route.fallbacks
        # LiteLLM looks fallbacks up by the name that was asked for: an alias does not inherit those of its route.
        for name in route.names
    ]
    router_settings: dict[str, Json] = {
        "num_retries": gateway.retries,
        "allowed_fails": gateway.allowed_fails,
        "cooldown_time": gateway.cooldown,
    }
    if aliases:
        router_settings["model_group_alias"] = dict(aliases)
    if fallbacks:
        router_settings["fallbacks"] = fallbacks
    return {
        "model_list": [entry for route in routes for entry in _entries(route)],
        "router_settings": router_settings,
        "litellm_settings": {
            "request_timeout": gateway.request_timeout,
            "drop_params": True,
            "json_logs": True,
        },
        "general_settings": {"master_key": f"os.environ/{MASTER_KEY_VARIABLE}"},
    }


def _entries(route: RoutePlan) -> list[Json]:
    entries: list[Json] = []
    for deployment in route.deployments:
        backend = deployment.backend
        parameters: dict[str, Json] = {
            "model": f"{backend.litellm_prefix}/{deployment.model}",
            "api_base": backend.api_base,
        }
        if backend.api_key:
            parameters["api_key"] = f"os.environ/{backend.key_variable}"
        elif backend.litellm_prefix == "openai":
            # LiteLLM refuses to call an OpenAI-compatible server without some key, also one that asks for none.
            parameters["api_key"] = "none"
        if len(route.deployments) > 1:
            parameters |= {"weight": deployment.weight, "order": deployment.order}
        entries.append(
            {
                "model_name": route.name,
                "litellm_params": parameters,
                "model_info": {"id": deployment.id, "mode": route.mode},
            }
        )
    return entries


def providers_file(
    gateway: LiteLLM, units: Sequence[Unit], context: Context, key_file: str, front: Json
) -> dict[str, Json]:
    """`providers.yaml`: who serves what, and where.

    Args:
        units: the gateway's: first the one that clients talk to, then the instances behind it.
        front: how to ask the front about its instances; none = there is none.
    """
    endpoint, *instances = units
    return {
        "scope": context.layout.scope,
        "gateway": {
            "url": f"http://{gateway.reachable_at}:{gateway.port}",
            "key_file": key_file,
            "key_variable": MASTER_KEY_VARIABLE,
            "cooldown": gateway.cooldown,
            **_unit_entry(endpoint),
            "instances": [_unit_entry(instance) for instance in instances],
            "front": front,
        },
        "providers": [
            {
                "name": backend.provider,
                "kind": backend.kind,
                "api_base": backend.api_base,
                "models": list(backend.models),
                "tasks": list(backend.tasks),
                **_unit_entry(backend.unit),
            }
            for backend in context.backends
        ],
        "tasks": [
            {"unit": task.name, "done_file": task.done_file, "start_timeout": task.start_timeout}
            for task in context.tasks
        ],
    }


def _unit_entry(unit: Unit) -> dict[str, Json]:
    assert unit.endpoint is not None, f"{unit.name} is a task"
    return {
        "unit": unit.name,
        "bind": unit.endpoint.bind,
        "port": unit.endpoint.port,
        "ready_url": unit.endpoint.ready_url,
        "start_timeout": unit.start_timeout,
    }


def mappings_file(routes: Sequence[RoutePlan]) -> dict[str, Json]:
    """`model-mappings.yaml`: public name → deployments, aliases, fallbacks, probe."""
    return {
        "models": [
            {
                "name": route.name,
                "mode": route.mode,
                "deployments": [
                    {
                        "id": deployment.id,
                        "provider": deployment.backend.provider,
                        "model": deployment.model,
                        "api_base": deployment.backend.api_base,
                        "weight": deployment.weight,
                        "order": deployment.order,
                    }
                    for deployment in route.deployments
                ],
                "aliases": list(route.aliases),
                "fallbacks": list(route.fallbacks),
                "probe": dict(route.probe),
            }
            for route in routes
        ]
    }
