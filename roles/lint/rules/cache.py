"""Rules about the cache for answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roles.lint.config import REFERENCE, Config, is_reference
from roles.lint.document import mapping
from roles.lint.nearest import choose, did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind
from roles.lint.section_facts import facts_of

_STOPS = "LiteLLM does not start"
_CACHE = ("litellm_settings", "cache")
_PARAMS = ("litellm_settings", "cache_params")

_MODES = ("default_on", "default_off")
_SCOPES = ("end_user", "key")
_NAMES: Mapping[str, str] = {"in-memory": "local", "memory": "local", "inmemory": "local", "valkey": "redis"}
"""Words for a type of cache that people write → LiteLLM's own."""

_STRICT = ("redis", "s3")
"""Types whose client gets every further parameter, and refuses those that it does not have."""
_S3_ARGUMENTS = frozenset({"region_name", "api_version", "use_ssl", "verify", "endpoint_url", "config"})
_OF_REDIS = frozenset(
    {"host", "port", "password", "url", "ssl", "db", "username", "redis_startup_nodes", "sentinel_nodes"}
)
_TARGETS = ("host", "url", "redis_startup_nodes", "startup_nodes", "sentinel_nodes")
_TARGET_VARIABLES = ("REDIS_HOST", "REDIS_URL", "REDIS_CLUSTER_NODES", "REDIS_SENTINEL_NODES")

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "redis-semantic": ("similarity_threshold",),
    "valkey-semantic": ("similarity_threshold",),
    "qdrant-semantic": ("qdrant_collection_name", "similarity_threshold"),
    "azure-blob": ("azure_account_url", "azure_blob_container"),
}
"""Type → what it does not start without."""
_PACKAGES: Mapping[str, tuple[str, str]] = {
    "disk": ("diskcache", _STOPS),
    "redis-semantic": ("redisvl", _STOPS),
    "valkey-semantic": ("redis (below 6)", _STOPS),
    "gcs": ("google-cloud-aiplatform", "nothing is cached"),
}
"""Type → the package that `litellm[proxy]` does not bring, and what happens without it."""


def _is_on(config: Config) -> bool:
    """Whether a cache is made: `true`, or a variable that is known to say so."""
    value = config.setting(*_CACHE)
    if is_reference(value):
        given = (config.environment or {}).get(value.removeprefix(REFERENCE), "")
        return given.strip() in ("true", "True")
    return value is True


def _params(config: Config) -> Mapping[Any, Any]:
    return mapping(config.setting(*_PARAMS))


def _is_given(config: Config, key: str) -> bool:
    """Whether a parameter has a value: not one of a variable that is known not to be set."""
    value = _params(config).get(key)
    if is_reference(value) and config.environment is not None:
        return config.variable_is_given(value.removeprefix(REFERENCE))
    return value is not None


def _type(config: Config) -> object:
    """The type of the cache: Redis without any parameter, in memory with some that name none."""
    params = _params(config)
    return params.get("type", "local") if params else "redis"


@rule(
    "error",
    fix="write `cache: true`, and the rest below `cache_params`",
    source="tried with 1.106.2: litellm.cache is that value, and 'str' object has no attribute 'cache'",
)
def cache_value(config: Config) -> Iterator[Found]:
    """`cache` is neither yes nor no: each request fails. A variable works if it says true or false."""
    value = config.setting(*_CACHE)
    if value is None or isinstance(value, bool):
        return
    if is_reference(value):
        if config.environment is not None:
            given = config.environment.get(value.removeprefix(REFERENCE), "false").strip()
            if given in ("true", "True", "false", "False"):
                return
        message = "`cache` must be yes or no: each request fails with any word in the variable but true and false"
        yield Found(_CACHE, message)
        return
    yield Found(_CACHE, f"`cache` must be yes or no, not {kind(value)}: each request fails")


@rule("error", fix="write keys below it, or remove it", source="tried with 1.84.0 and 1.106.2")
def cache_params_shape(config: Config) -> Iterator[Found]:
    """`cache_params` is no mapping."""
    settings = config.section("litellm_settings")
    if _is_on(config) and "cache_params" in settings and not isinstance(settings["cache_params"], dict):
        yield Found(_PARAMS, f"`cache_params` must be a mapping, not {kind(settings['cache_params'])}: {_STOPS}")


@rule(
    "error",
    fix="write a type that LiteLLM has",
    source="tried with 1.84.0 and 1.106.2: 'Cache' object has no attribute 'cache'",
    versions="by release",
)
def cache_type_unknown(config: Config) -> Iterator[Found]:
    """`cache_params.type` is no type of cache."""
    if not _is_on(config):
        return
    given, known = _type(config), facts_of(config.version_text).cache_types
    if given in known or is_reference(given):
        return
    shown = f'"{given}"' if isinstance(given, str) else kind(given)
    name = _NAMES.get(given.lower(), "") if isinstance(given, str) else ""
    fix = f'write "{name}"' if name else choose(given, known)
    yield Found((*_PARAMS, "type"), f"there is no cache of the type {shown}: {_STOPS}", fix)


@rule(
    "warning",
    fix="add `type: redis`",
    source="tried with 1.84.0 and 1.106.2: the cache is an InMemoryCache",
)
def cache_without_type(config: Config) -> Iterator[Found]:
    """`cache_params` with a server, and without `type`: the cache is in memory."""
    params = _params(config)
    ignored = [f"`{key}`" for key in params if key in _OF_REDIS]
    if _is_on(config) and "type" not in params and ignored:
        message = f"`cache_params` has no `type`: the cache is in memory, and {', '.join(ignored)} count for nothing"
        yield Found(_PARAMS, message)


@rule(
    "error",
    fix="write its `host` or `url`",
    source="tried with 1.84.0 and 1.106.2",
    versions="by release",
)
def cache_incomplete(config: Config) -> Iterator[Found]:
    """A cache lacks what it cannot be made without: a server, a threshold, a container."""
    if not _is_on(config) or (_PARAMS[1] in config.section("litellm_settings") and not _is_mapping(config)):
        return
    given, params = _type(config), _params(config)
    where = _PARAMS if params else _CACHE
    if given == "redis" and not any(_is_given(config, key) for key in _TARGETS):
        if any(config.variable_is_given(name) for name in _TARGET_VARIABLES):
            return
        unless = " unless REDIS_HOST or REDIS_URL is set" if config.environment is None else ""
        fix = "" if params else "write `cache_params: {type: local}` for a cache in memory, or its `host`"
        yield Found(where, f"the cache has no Redis server: {_STOPS}{unless}", fix)
    if given == "qdrant-semantic" and not _is_given(config, "qdrant_api_base") and not _has_qdrant(config):
        unless = " unless QDRANT_URL is set" if config.environment is None else ""
        yield Found(where, f"the cache has no Qdrant server: {_STOPS}{unless}", "write `qdrant_api_base`")
    has_service = _is_given(config, "service_name") or config.variable_is_given("REDIS_SERVICE_NAME")
    if given == "redis" and params.get("sentinel_nodes") and not has_service:
        yield Found(where, f"`sentinel_nodes` without `service_name`: {_STOPS}", "write `service_name`")
    for key in _NEEDED.get(str(given), ()):
        if params.get(key) is None:
            yield Found(where, f"a cache of the type {given} needs `{key}`: {_STOPS}", f"write `{key}`")


def _has_qdrant(config: Config) -> bool:
    return any(config.variable_is_given(name) for name in ("QDRANT_URL", "QDRANT_API_BASE"))


def _is_mapping(config: Config) -> bool:
    return isinstance(config.setting(*_PARAMS), dict)


@rule(
    "error",
    fix="remove it",
    source="tried with 1.84.0 and 1.106.2: TypeError of the client, which gets every key",
    versions="by release",
)
def cache_parameter(config: Config) -> Iterator[Found]:
    """A key of `cache_params` that the client of the cache (Redis, S3) does not take."""
    given, params = _type(config), _params(config)
    if not _is_on(config) or given not in _STRICT or params.get("url"):
        return
    facts = facts_of(config.version_text)
    known = {*facts.cache_arguments, *(config.known.cache_params if given == "redis" else _S3_ARGUMENTS)}
    client = "Redis" if given == "redis" else "S3"
    for key in params:
        if key not in known:
            fix = did_you_mean(nearest(str(key), facts.cache_arguments))
            yield Found((*_PARAMS, key), f'the client of {client} takes no "{key}": {_STOPS}', fix)


@rule(
    "warning",
    fix="remove it",
    source="tried with 1.106.2: it is not read",
    versions="by release",
)
def cache_parameter_ignored(config: Config) -> Iterator[Found]:
    """A key of `cache_params` that LiteLLM ignores for this type of cache."""
    given, params = _type(config), _params(config)
    strict = given in _STRICT and not params.get("url")
    if not _is_on(config) or strict or given not in facts_of(config.version_text).cache_types:
        return
    facts = facts_of(config.version_text)
    for key in params:
        if key not in facts.cache_arguments and key not in config.known.cache_params:
            fix = did_you_mean(nearest(str(key), facts.cache_arguments))
            yield Found((*_PARAMS, key), f'a cache of the type {given} reads no such key as "{key}"', fix)


@rule(
    "error",
    fix="write `mode: default_on` or `mode: default_off`",
    source="tried with 1.106.2: it starts; any other mode counts as default_off; a wrong scope stops the start",
)
def cache_mode(config: Config) -> Iterator[Found]:
    """`mode` of the cache is no mode, its scope is none, or a kind of request in `supported_call_types` is none."""
    params = _params(config)
    if not _is_on(config):
        return
    mode, scope = params.get("mode"), params.get("semantic_cache_scope")
    if mode is not None and mode not in _MODES and not is_reference(mode):
        message = "this is no mode of the cache: LiteLLM caches only what asks for it"
        yield Found((*_PARAMS, "mode"), message, choose(mode, _MODES))
    calls, words = params.get("supported_call_types"), facts_of(config.version_text).cache_call_types
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        if call not in words and not is_reference(call):
            message = "this is no kind of request that the cache knows: nothing of it is cached"
            yield Found((*_PARAMS, "supported_call_types", index), message, choose(call, words))
    known = "semantic_cache_scope" in facts_of(config.version_text).cache_arguments
    if known and scope is not None and scope not in _SCOPES and not is_reference(scope):
        yield Found((*_PARAMS, "semantic_cache_scope"), f"this is no scope: {_STOPS}", choose(scope, _SCOPES))


@rule(
    "warning",
    fix="install it beside litellm[proxy]",
    source="tried with 1.106.2",
    versions="by release",
)
def cache_package(config: Config) -> Iterator[Found]:
    """A type of cache needs a package that `litellm[proxy]` does not bring."""
    package, outcome = _PACKAGES.get(str(_type(config)), ("", ""))
    if _is_on(config) and package:
        message = f"a cache of the type {_type(config)} needs the package {package}: without it {outcome}"
        yield Found((*_PARAMS, "type"), message, f"install {package} beside litellm[proxy]")


@rule(
    "error",
    fix="write a mapping with `host` (or `url`)",
    source="tried with 1.106.2",
    versions="1.84.0 reads no such setting",
)
def coordination_redis(config: Config) -> Iterator[Found]:
    """`coordination_redis` is no mapping, names no server, or has a key that Redis does not take."""
    value, path = config.setting("general_settings", "coordination_redis"), ("general_settings", "coordination_redis")
    if value is None or "coordination_redis" not in config.known.general_settings:
        return
    if not isinstance(value, dict):
        yield Found(path, f"`coordination_redis` must be a mapping, not {kind(value)}: {_STOPS}")
        return
    if all(value.get(key) is None for key in _TARGETS):
        yield Found(path, f"`coordination_redis` names no server: {_STOPS}")
    for key in () if value.get("url") else value:
        if key not in config.known.cache_params:
            yield Found((*path, key), f'the client of Redis takes no "{key}": {_STOPS}', "remove it")
