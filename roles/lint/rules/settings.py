"""Rules about settings that are valid but cause trouble."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roles.lint.config import REFERENCE, Config
from roles.lint.document import Path, mapping
from roles.lint.rule import Found, rule
from roles.lint.rules.callbacks import metrics

_DEFAULT_ALLOWED_FAILS = 3
_REDIS_DEFAULT_SECONDS = 5

_DATABASE_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "general_settings": ("store_model_in_db", "store_prompts_in_spend_logs", "maximum_spend_logs_retention_period"),
    "litellm_settings": (
        "max_budget",
        "max_internal_user_budget",
        "max_end_user_budget",
        "default_internal_user_params",
        "default_key_generate_params",
        "upperbound_key_generate_params",
        "key_generation_settings",
        "default_team_params",
        "store_audit_logs",
    ),
}
_DATABASE_VARIABLES = ("DATABASE_URL", "DATABASE_HOST", "DIRECT_URL")


@rule(
    "warning",
    fix="set `router_settings.allowed_fails` to another number than 3, e.g. 1",
    source="tried with 1.106.2; _is_allowed_fails_set_on_router compares with litellm.allowed_fails (3 unless set)",
)
def lone_deployment_never_rests(config: Config) -> Iterator[Found]:
    """A model with one deployment and a fallback, without `allowed_fails`: each request pays for its failure."""
    router, default = config.section("router_settings"), config.setting("litellm_settings", "allowed_fails")
    allowed = router.get("allowed_fails")
    equals_default = allowed == (_DEFAULT_ALLOWED_FAILS if default is None else default)
    if "allowed_fails_policy" in router or (allowed is not None and not equals_default):
        return
    unset = f" (`allowed_fails: {allowed}` is LiteLLM's default and counts as none)" if allowed is not None else ""
    general = {chain.source for chain in config.chains if chain.kind == "fallbacks"}
    for name, models in config.groups.items():
        if len(models) > 1 or "allowed_fails_policy" in models[0].info or "*" in name:
            continue
        if name in general or config.default_fallbacks:
            message = f'"{name}" has one deployment and never cools down when it fails{unset}: each request pays for it'
            yield Found((*models[0].path, "model_name"), message)


@rule(
    "warning",
    fix="set `litellm_settings.request_timeout`, in seconds",
    source="tried with 1.106.2: Router.timeout is 6000.0",
)
def request_timeout_default(config: Config) -> Iterator[Found]:
    """No time limit for requests: a provider that hangs delays each for LiteLLM's default of 6,000 seconds."""
    if config.setting("router_settings", "timeout") or config.setting("litellm_settings", "request_timeout"):
        return
    if config.variable_is_set("REQUEST_TIMEOUT"):
        return
    without = [
        model for model in config.models if not model.params.get("timeout") and not model.params.get("request_timeout")
    ]
    if without:
        message = "there is no `request_timeout`: a provider that hangs delays a request for up to 6,000 seconds"
        yield Found(("litellm_settings",) if config.section("litellm_settings") else ("model_list",), message)


@rule(
    "warning",
    fix="set `socket_timeout`, e.g. 1 (second)",
    source="tried with 1.106.2: Redis stalled for 4 s, the request took 4.1 s; RedisCache has 5 s by default",
)
def redis_without_timeout(config: Config) -> Iterator[Found]:
    """A Redis without a time limit of its own: when it stalls, requests stall with it."""
    outcome = f"a Redis that stalls delays each request for up to {_REDIS_DEFAULT_SECONDS} seconds"
    settings, router = config.section("litellm_settings"), config.section("router_settings")
    params = mapping(settings.get("cache_params"))
    # With parameters and without a type the cache is in memory.
    is_redis = params.get("type") == "redis" or not params
    if settings.get("cache") is True and is_redis and "socket_timeout" not in params:
        path: Path = ("litellm_settings", "cache_params" if params else "cache")
        yield Found(
            path, f"the cache has no `socket_timeout`: {outcome}", "set `cache_params.socket_timeout`, e.g. 1 (second)"
        )
    where = next((key for key in ("redis_url", "redis_host") if router.get(key)), None)
    if where and "socket_timeout" not in mapping(router.get("cache_kwargs")):
        fix = "set `router_settings.cache_kwargs.socket_timeout`, e.g. 1 (second)"
        yield Found(("router_settings", where), f"the router's Redis has no `socket_timeout`: {outcome}", fix)
    coordination = config.setting("general_settings", "coordination_redis")
    if isinstance(coordination, dict) and "socket_timeout" not in coordination:
        path = ("general_settings", "coordination_redis")
        fix = "set `coordination_redis.socket_timeout`, e.g. 1 (second)"
        yield Found(path, f"`coordination_redis` has no `socket_timeout`: {outcome}", fix)


@rule("warning", fix="set `cache: true` beside them", source="tried with 1.106.2: no cache is made")
def cache_not_on(config: Config) -> Iterator[Found]:
    """`cache_params` without `cache: true`: nothing is cached."""
    settings = config.section("litellm_settings")
    by_variable = isinstance(settings.get("cache"), str) and settings["cache"].startswith(REFERENCE)
    if settings.get("cache_params") and settings.get("cache") is not True and not by_variable:
        yield Found(
            ("litellm_settings", "cache_params"), "`cache_params` without `cache: true`: LiteLLM makes no cache"
        )


@rule(
    "warning",
    fix="set `general_settings.database_url`, or remove it",
    source="read in 1.106.2: these are looked at with a database only",
)
def database_needed(config: Config) -> Iterator[Found]:
    """A setting that needs a database (stored models, budgets, rules for virtual keys), and no `database_url`."""
    if config.setting("general_settings", "database_url"):
        return
    if any(config.variable_is_given(name) for name in _DATABASE_VARIABLES):
        return
    unless = " (unless DATABASE_URL is set)" if config.environment is None else ""
    for section, keys in _DATABASE_SETTINGS.items():
        for key in keys:
            if config.setting(section, key):
                yield Found((section, key), f"`{key}` does nothing without a database{unless}")


@rule(
    "error",
    fix="give each proxy a folder of its own",
    source="read in 1.106.2: the folder is wiped when a proxy starts (maybe_setup_prometheus_multiproc_dir)",
)
def prometheus_folder_shared(config: Config) -> Iterator[Found]:
    """Two proxies (files of one run) with one PROMETHEUS_MULTIPROC_DIR: each wipes the other's metrics."""
    own, folder = metrics(config), _prometheus_folder(config)
    sharing = [
        peer.document.file for peer in config.peers if folder and _prometheus_folder(peer) == folder and metrics(peer)
    ]
    if own and sharing:
        message = f"the proxy of {' and of '.join(sharing)} has the same PROMETHEUS_MULTIPROC_DIR"
        yield Found(own.path, f"{message}: each start wipes the metrics of both")


def _prometheus_folder(config: Config) -> str:
    own = config.section("environment_variables").get("PROMETHEUS_MULTIPROC_DIR")
    folder = own if isinstance(own, str) else (config.environment or {}).get("PROMETHEUS_MULTIPROC_DIR", "")
    return folder.rstrip("/")


@rule(
    "warning",
    fix="set `model_info.disable_background_health_check: true`",
    source="tried with 1.106.2: each probe asks the model, and Ollama loads it",
)
def ollama_health_checks(config: Config) -> Iterator[Found]:
    """Background health checks of Ollama's models: each probe loads the model, and may throw another one out."""
    if config.setting("general_settings", "background_health_checks") is not True:
        return
    for model in config.models:
        if model.provider in ("ollama", "ollama_chat") and not model.info.get("disable_background_health_check"):
            yield Found(
                (*model.path, "model_name"), f"{model.title}: each background health check makes Ollama load it"
            )
