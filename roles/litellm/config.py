"""`litellm-unified.yaml`: LiteLLM's configuration."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence

from roles.contract.budgets import Budget
from roles.contract.clients import Clients, Limits
from roles.contract.wire import written
from roles.litellm.metrics import METRICS
from roles.litellm.options import LiteLLM
from roles.litellm.requests.names import INSTANCE_KEY_VARIABLE
from roles.options import Cache, OptionsError, Price, Route
from roles.plan import ClientPlan, DeploymentPlan, GatewayContext, Json, RoutePlan, ServicePlan

MASTER_KEY_VARIABLE = "LITELLM_MASTER_KEY"
"""Contains the gateway's own key, for administration and the verifier. Only the front has it."""

_ADMIT = "roles.litellm.requests.auth.admit"
"""Our function that says whose request it is, and what that client may do: LiteLLM's own keys need a database. Also
where no client is declared, so that the first one restarts nothing."""

CANARY = "ai-backend-canary"
"""A model whose only deployment is dead. The verifier sends it a request: an answer shows that fallbacks work, and no
real backend has to fail for that."""
_DEAD = "http://127.0.0.1:9/v1"
"""The port of the old `discard` service, where nothing listens: connections are refused at once."""

REQUEST_CHECKS = "roles.litellm.requests.hook.checks"
"""What LiteLLM calls for each request: see there."""
REQUEST_COUNTER = "roles.litellm.requests.counter.counter"
"""What LiteLLM calls after each request: see there."""

_ALLOWED_FAILS = {
    # A server of llama.cpp says 500 to mistakes of a client that nobody foresaw. A stopped server is one too for
    # LiteLLM, and refuses connections at once: its requests go on to others in no time, each of them.
    "InternalServerErrorAllowedFails": 4,
    # An address that a server does not know, or a limit of ours that is used up, says nothing of its health.
    "NotFoundErrorAllowedFails": 1000,
    "RateLimitErrorAllowedFails": 1000,
}
"""Failures of one kind within a minute before a deployment's cooldown, where `allowed_fails` is too few. Not 3: LiteLLM
takes that for not set."""

CACHE_NAMESPACE_VARIABLE = "CACHE_NAMESPACE"
"""Prefix of the names of everything that a gateway keeps in the cache."""
_CACHE_SECONDS = 0.2
"""How long the gateway waits for the cache, twice. A cache that hangs delays every request for up to that long, for 5
seconds, until LiteLLM's circuit breaker opens, and after that one request per `CACHE_COOLDOWN`. LiteLLM's own default
is 5 s."""
CACHE_COOLDOWN_VARIABLE = "REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT"
CACHE_COOLDOWN = 10
"""Seconds for which a failed cache is not used. LiteLLM's own default is a minute; with so short a time-out a retry is
cheap."""


def clients_file(clients: Sequence[ClientPlan]) -> str:
    """The text of `CLIENTS_FILE`: what each may do. No key is in it."""
    limits = [
        Limits(
            name=client.name,
            models=client.names,
            rpm=client.options.rpm,
            tpm=client.options.tpm,
            max_parallel=client.options.max_parallel,
            budget=Budget(**client.options.budget.model_dump()) if client.options.budget else None,
            expires=client.options.expires.isoformat() if client.options.expires else None,
        )
        for client in clients
    ]
    return f"{json.dumps(written(Clients(clients=tuple(limits))), indent=2)}\n"


def staged_config(config: dict[str, Json]) -> dict[str, Json]:
    """The configuration for a gateway that is tried out: there a request may ask to fail. The gateway that clients use
    does not allow that."""
    general = {**_mapping(config["general_settings"]), "dangerously_allow_mock_testing_request_params": True}
    return {**config, "general_settings": general}


def _mapping(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, Mapping)
    return value


def canary_target(gateway: LiteLLM, routes: Sequence[RoutePlan]) -> RoutePlan | None:
    """The route that the canary falls back to.

    Raises:
        OptionsError: something else has its name.
    """
    if not gateway.canary:
        return None
    if any(CANARY in (route.name, *route.aliases) for route in routes):
        raise OptionsError(f'"{CANARY}" is the name of the gateway\'s canary; take another, or set `canary=False`')
    chats = [route for route in routes if route.options.mode == "chat"]
    # It is asked at each verification.
    return next((route for route in chats if not route.is_metered), None)


def litellm_config(gateway: LiteLLM, context: GatewayContext) -> dict[str, Json]:
    """`litellm-unified.yaml`: LiteLLM's configuration."""
    routes = context.routes
    canary = canary_target(gateway, routes)
    router_settings: dict[str, Json] = {
        "num_retries": gateway.retries,
        "allowed_fails": gateway.allowed_fails,
        "cooldown_time": gateway.cooldown,
        "routing_strategy": gateway.routing_strategy,
        "allowed_fails_policy": {name: max(fails, gateway.allowed_fails) for name, fails in _ALLOWED_FAILS.items()},
    }
    if gateway.stream_timeout:
        router_settings["stream_timeout"] = gateway.stream_timeout
    options = [deployment.options for route in routes for deployment in route.deployments]
    if gateway.routing_strategy == "simple-shuffle" and any(len(route.deployments) > 1 for route in routes):
        # Without it a request that fails at one deployment is not tried at the next of the same order.
        router_settings["enable_weighted_failover"] = True
    if any(deployment.rpm or deployment.tpm for deployment in options):
        # Without it `rpm` and `tpm` are shares of the requests, not limits.
        router_settings["optional_pre_call_checks"] = ["enforce_model_rate_limits"]
    if any(deployment.tags for deployment in options):
        router_settings["enable_tag_filtering"] = True
    if context.aliases:
        router_settings["model_group_alias"] = dict(context.aliases)
    return {
        "model_list": [*(entry for route in routes for entry in _entries(route)), *([_CANARY_ENTRY] if canary else [])],
        "router_settings": {**router_settings, **_fallbacks(routes, canary)},
        "litellm_settings": {
            "request_timeout": gateway.request_timeout,
            "drop_params": gateway.drop_params,
            "json_logs": True,
            "callbacks": [REQUEST_CHECKS, REQUEST_COUNTER, *(["prometheus"] if context.monitoring else [])],
            **(METRICS if context.monitoring else {}),
            # Errors that clients get name no other routes.
            "expose_router_debug_in_errors": False,
            **(_cache(*context.cache) if context.cache else {}),
        },
        "general_settings": {
            "master_key": f"os.environ/{INSTANCE_KEY_VARIABLE}",
            "custom_auth": _ADMIT,
            # A client that hangs up before its answer has begun frees the backend.
            "cancel_on_disconnect": True,
            "include_call_id_in_error_body": True,
        },
    }


_CANARY_ENTRY: Json = {
    "model_name": CANARY,
    # It has no cooldown, so that it fails again each time.
    "litellm_params": {"model": "openai/none", "api_base": _DEAD, "api_key": "none", "timeout": 5, "cooldown_time": 0},
    "model_info": {
        "id": CANARY,
        "mode": "chat",
        # Only the master key sees it in the list of models.
        "discoverable": False,
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
    },
}


def _fallbacks(routes: Sequence[RoutePlan], canary: RoutePlan | None) -> dict[str, Json]:
    """The lists of fallbacks. If there is no list for a kind of failure, LiteLLM uses `fallbacks`. If there is one, it
    uses only that list, for every route."""
    usual = _fallback_list(routes, lambda route: route.fallbacks)
    special = {
        "context_window_fallbacks": _fallback_list(routes, lambda route: route.context_window_fallbacks),
        "content_policy_fallbacks": _fallback_list(routes, lambda route: route.content_policy_fallbacks),
    }
    of_the_canary: list[Json] = [{CANARY: [canary.name]}] if canary else []
    return {
        **({"fallbacks": [*usual, *of_the_canary]} if usual or canary else {}),
        **{name: own for name, own in special.items() if own and own != usual},
    }


def _fallback_list(routes: Sequence[RoutePlan], targets: Callable[[RoutePlan], Sequence[str]]) -> list[Json]:
    # LiteLLM looks fallbacks up by the requested name: an alias does not inherit those of its route.
    return [{name: list(targets(route))} for route in routes if targets(route) for name in route.names]


def _cache(cache: Cache, plan: ServicePlan) -> dict[str, Json]:
    """The cache of answers. Gateways also share the router's state through it, without any further setting."""
    parameters: dict[str, Json] = {
        "type": "redis",
        "host": cache.reachable_at,
        "port": cache.port,
        "namespace": f"os.environ/{CACHE_NAMESPACE_VARIABLE}",
        "ttl": cache.ttl,
        "mode": "default_on" if cache.responses == "always" else "default_off",
        "socket_timeout": _CACHE_SECONDS,
        "socket_connect_timeout": _CACHE_SECONDS,
        # Makes redis-py retry everything that fails once more, on a new connection. A restarted Redis has closed the
        # connections that LiteLLM keeps, and each would fail once: five failures in a row, and Redis is not used for a
        # while, repeatedly.
        "retry_on_timeout": True,
    }
    if plan.login:
        parameters["password"] = f"os.environ/{plan.login.client_variable}"
    return {"cache": True, "cache_params": parameters}


def _entries(route: RoutePlan) -> list[Json]:
    alone = len(route.deployments) == 1 and not route.fallbacks
    return [
        {
            "model_name": route.name,
            "litellm_params": _parameters(route, deployment)
            # A cooldown of a deployment without a substitute would turn one failed answer into many.
            | ({"cooldown_time": 0} if alone else {}),
            "model_info": {
                "id": deployment.id,
                "mode": route.options.mode,
                **_model_info(route.options, deployment),
            },
        }
        for deployment in route.deployments
    ]


def _parameters(route: RoutePlan, deployment: DeploymentPlan) -> dict[str, Json]:
    backend, options = deployment.backend, deployment.options
    prefix = backend.prefixes[route.options.mode]
    parameters: dict[str, Json] = {
        "model": f"{prefix}/{deployment.model}",
        **(backend.cloud.parameters if backend.cloud else {"api_base": backend.api_base}),
    }
    if backend.cloud and (fields := backend.cloud.fields.get(route.options.mode)):
        # What a client says in these fields is left out: see `roles/litellm/requests/own_fields.py`.
        parameters["extra_body"] = copy.deepcopy(dict(fields))
    if backend.login:
        parameters["api_key"] = f"os.environ/{backend.login.client_variable}"
    elif prefix in ("openai", "docker_model_runner"):
        # LiteLLM refuses to call an OpenAI-compatible server without a key, even one that requires none.
        parameters["api_key"] = "none"
    if len(route.deployments) > 1:
        parameters |= {"weight": options.weight, "order": options.order}
    limits = ("rpm", "tpm", "max_parallel_requests", "timeout", "stream_timeout")
    parameters |= {name: value for name in limits if (value := getattr(options, name)) is not None}
    if (options.rpm or options.tpm) and options.max_parallel_requests is None:
        # LiteLLM makes of these a limit of parallel requests, too, unless there is one.
        parameters["max_parallel_requests"] = _UNLIMITED
    if options.tags:
        parameters["tags"] = list(options.tags)
    return parameters


_UNLIMITED = 10_000


def _model_info(route: Route, deployment: DeploymentPlan) -> dict[str, Json]:
    """What is published to clients about a model. A price that is not declared is 0: unless it is set, LiteLLM looks
    its name up in its list of prices, which is right for a cloud alone. That list also knows what cached and long
    requests cost."""
    published: dict[str, Json] = {
        "max_input_tokens": route.context_size,
        "supports_function_calling": route.tools,
        "supports_response_schema": route.structured_outputs,
        "supports_vision": route.vision,
    }
    known: dict[str, Json] = {name: value for name, value in published.items() if value is not None}
    cloud = deployment.backend.cloud
    price = deployment.options.price or (cloud.prices.get(deployment.model) if cloud else Price(input=0, output=0))
    if price is None:
        return known
    return {**known, "input_cost_per_token": _of_one(price.input), "output_cost_per_token": _of_one(price.output)}


def _of_one(price: float) -> float:
    """The price of a token by that of a million, without the last digits that the division makes up."""
    return float(f"{price / 1_000_000:.12g}")
