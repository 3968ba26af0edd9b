"""Rules about the proxy's own services: secret manager, alerts, endpoints passed through, health checks, budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from roles.lint.config import REFERENCE, Config, is_reference
from roles.lint.document import Path, mapping
from roles.lint.nearest import choose, did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import is_pattern, kind, reads_as_number
from roles.lint.section_facts import facts_of

_STOPS = "LiteLLM does not start"
_GENERAL, _LITELLM, _ROUTER = "general_settings", "litellm_settings", "router_settings"
_SYSTEM = (_GENERAL, "key_management_system")
_MANAGER = (_GENERAL, "key_management_settings")
_PASSED = (_GENERAL, "pass_through_endpoints")

_ALERTS = ("slack", "email", "webhook", "ms_teams")
_ACCESS = ("read_only", "read_and_write", "write_only")
_PACKAGES: Mapping[str, tuple[str, str]] = {
    "google_kms": ("google-cloud-kms", _STOPS),
    "azure_key_vault": ("azure-keyvault-secrets", "it reads no secret"),
}
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
_LATENCY = "latency-based-routing"
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?")


_Check = Callable[[Any], bool]
_NUMBER: tuple[_Check, str] = (reads_as_number, "a number")
_MAPPING: tuple[_Check, str] = (lambda value: isinstance(value, dict), "a mapping")
_LIST: tuple[_Check, str] = (lambda value: isinstance(value, list), "a list")
_WORD: tuple[_Check, str] = (lambda value: isinstance(value, str), "a word")

_STARTS_WITH: Mapping[tuple[str, ...], tuple[_Check, str]] = {
    (_ROUTER, "routing_strategy_args"): _MAPPING,
    (_GENERAL, "team_metadata_schema"): _LIST,
    (_GENERAL, "tracing"): _MAPPING,
    (_LITELLM, "default_internal_user_params", "max_budget"): _NUMBER,
    (_LITELLM, "post_call_rules"): _WORD,
    (_GENERAL, "user_api_key_cache_ttl"): _NUMBER,
    (_GENERAL, "health_check_staleness_threshold"): _NUMBER,
    (_GENERAL, "background_health_check_model_groups"): _LIST,
    (_GENERAL, "role_permissions"): _LIST,
    (_GENERAL, "alerting_args"): _MAPPING,
    (_GENERAL, "alert_to_webhook_url"): _MAPPING,
    (_LITELLM, "max_internal_user_budget"): _NUMBER,
    (_LITELLM, "default_max_internal_user_budget"): _NUMBER,
    (_LITELLM, "max_ui_session_budget"): _NUMBER,
    (_LITELLM, "max_budget"): _NUMBER,
    (_LITELLM, "upperbound_key_generate_params"): _MAPPING,
    (_LITELLM, "priority_reservation_settings"): _MAPPING,
    (_LITELLM, "model_group_settings"): _MAPPING,
    (_LITELLM, "responses"): _MAPPING,
    (_LITELLM, "custom_provider_map"): _LIST,
    (_LITELLM, "key_alias_pattern"): (is_pattern, "a regular expression"),
    (_LITELLM, "budget_reset_time"): (
        lambda value: isinstance(value, str) and _TIME_OF_DAY.fullmatch(value) is not None,
        'a time of the day in quotes, "HH:MM"',
    ),
    ("default_vertex_config",): _MAPPING,
    ("assistant_settings",): _MAPPING,
}
"""Setting → a value that the start takes, in code and in words."""

_ONLY_WITH: Mapping[tuple[str, ...], _Check] = {
    (_GENERAL, "alerting_args"): lambda config: config.setting(_GENERAL, "alerting"),
    (_GENERAL, "alert_to_webhook_url"): lambda config: config.setting(_GENERAL, "alerting"),
    (_ROUTER, "routing_strategy_args"): lambda config: config.setting(_ROUTER, "routing_strategy") == _LATENCY,
    # An older release takes any.
    (_LITELLM, "max_budget"): lambda config: "budget_reset_time" in config.known.litellm_settings,
}
"""Setting → when the start looks at it."""


@rule(
    "error",
    fix="write such a value, or remove it",
    source="tried with 1.106.2, each of them",
    versions="by release: a setting that the release does not read is left out",
)
def setting_stops_start(config: Config) -> Iterator[Found]:
    """A setting has a value that ends the start."""
    for path, (fits, wanted) in _STARTS_WITH.items():
        value, is_read = config.resolved_at(path), _ONLY_WITH.get(path, lambda _: True)
        known = config.known.top if len(path) == 1 else getattr(config.known, path[0])
        if value is None or is_reference(value) or fits(value) or path[:2][-1] not in known or not is_read(config):
            continue
        yield Found(path, f"`{path[-1]}` must be {wanted}, not {_shown(value)}: {_STOPS}")
    yield from _parts_that_stop(config)


def _parts_that_stop(config: Config) -> Iterator[Found]:
    """Parts of settings that the start looks at."""
    teams: Path = (_LITELLM, "default_team_settings")
    if teams[1] in config.section(_LITELLM) and config.setting(_LITELLM, "default_team_settings") is None:
        yield Found(teams, f"`default_team_settings` must be a list, not nothing: {_STOPS}", "remove it")
    hooks = mapping(config.setting(_GENERAL, "alert_to_webhook_url")) if config.setting(_GENERAL, "alerting") else {}
    for alert, url in hooks.items():
        name = url.removeprefix(REFERENCE) if is_reference(url) else ""
        if name and config.environment is not None and name not in config.environment:
            path: Path = (_GENERAL, "alert_to_webhook_url", alert)
            yield Found(path, f"the environment has no {name}: {_STOPS}", "set it where LiteLLM runs")
    assistants = config.document.value.get("assistant_settings")
    if isinstance(assistants, dict) and assistants and not isinstance(assistants.get("litellm_params"), dict):
        message = f"`assistant_settings` has no `litellm_params`: {_STOPS}"
        yield Found(("assistant_settings",), message, "write `litellm_params: {…}`")
    for provider, budget in mapping(config.setting(_ROUTER, "provider_budget_config")).items():
        for key in ("budget_limit", "max_budget", "tpm_limit", "rpm_limit"):
            limit = mapping(budget).get(key)
            if limit is not None and not is_reference(limit) and not reads_as_number(limit):
                path = (_ROUTER, "provider_budget_config", provider, key)
                yield Found(path, f"`{key}` must be a number, not {_shown(limit)}: {_STOPS}")
    providers = config.setting(_LITELLM, "custom_provider_map")
    for index, entry in enumerate(providers if isinstance(providers, list) else ()):
        lacking = [f"`{key}`" for key in ("provider", "custom_handler") if key not in mapping(entry)]
        if lacking:
            path = (_LITELLM, "custom_provider_map", index)
            message = f"an entry of `custom_provider_map` has no {' and no '.join(lacking)}: {_STOPS}"
            yield Found(path, message, "write `provider` and `custom_handler`")


def _shown(value: object) -> str:
    return "this one" if isinstance(value, str) else kind(value)


@rule("error", fix="write one that LiteLLM has", source="tried with 1.84.0 and 1.106.2", versions="by release")
def key_management(config: Config) -> Iterator[Found]:
    """`key_management_system` is none that LiteLLM has, or its settings have a wrong shape."""
    facts = facts_of(config.version_text)
    system, manager = config.setting(*_SYSTEM), config.setting(*_MANAGER)
    if isinstance(system, str) and system not in facts.key_management_systems and not is_reference(system):
        message = f'LiteLLM has no secret manager "{system}": {_STOPS}'
        yield Found(_SYSTEM, message, choose(system, facts.key_management_systems))
    elif system is not None and not isinstance(system, str):
        yield Found(_SYSTEM, f"`key_management_system` must be a word, not {kind(system)}: {_STOPS}")
    if manager is not None and not isinstance(manager, dict):
        message = f"`key_management_settings` must be a mapping, not {kind(manager)}: {_STOPS}"
        yield Found(_MANAGER, message, "write keys below it")
    mode, hosted = mapping(manager).get("access_mode"), mapping(manager).get("hosted_keys")
    if mode is not None and mode not in _ACCESS and not is_reference(mode):
        yield Found((*_MANAGER, "access_mode"), f"this is no `access_mode`: {_STOPS}", choose(mode, _ACCESS))
    if hosted is not None and not isinstance(hosted, list) and not is_reference(hosted):
        message = f"`hosted_keys` must be a list, not {kind(hosted)}: {_STOPS}"
        yield Found((*_MANAGER, "hosted_keys"), message, "write `hosted_keys: [NAME]`")
    if system == "aws_kms" and config.environment is not None and not config.variable_is_given("AWS_REGION_NAME"):
        yield Found(_SYSTEM, f"`key_management_system: aws_kms` needs AWS_REGION_NAME: {_STOPS}", "set it")
    if system == "custom" and not mapping(manager).get("custom_secret_manager"):
        fix = "write `key_management_settings: {custom_secret_manager: file.Class}`"
        yield Found(_SYSTEM, f"`key_management_system: custom` without a `custom_secret_manager`: {_STOPS}", fix)


@rule("warning", fix="install it beside litellm[proxy]", source="tried with 1.106.2", versions="by release")
def key_management_package(config: Config) -> Iterator[Found]:
    """A secret manager needs a package that `litellm[proxy]` does not bring."""
    system = config.setting(*_SYSTEM)
    package, outcome = _PACKAGES.get(str(system), ("", ""))
    if package:
        message = f"the secret manager {system} needs the package {package}: without it {outcome}"
        yield Found(_SYSTEM, message, f"install {package} beside litellm[proxy]")


@rule("warning", fix="remove it", source="read in 1.106.2: KeyManagementSettings ignores it", versions="by release")
def key_management_unknown_key(config: Config) -> Iterator[Found]:
    """A key of `key_management_settings` that LiteLLM does not read."""
    known = facts_of(config.version_text).key_management_settings
    for key in mapping(config.setting(*_MANAGER)):
        if key not in known:
            fix = did_you_mean(nearest(str(key), known, part=True))
            yield Found((*_MANAGER, key), f'LiteLLM reads no such key as "{key}"', fix)


@rule(
    "error",
    fix="write one that LiteLLM has",
    source="tried with 1.106.2: it starts, and notifies nobody",
    versions="by release",
)
def alerting(config: Config) -> Iterator[Found]:
    """`alerting` or `alert_types` has a word that LiteLLM does not know: nobody is notified."""
    facts, path = facts_of(config.version_text), (_GENERAL, "alerting")
    value, types = config.setting(*path), config.setting(_GENERAL, "alert_types")
    known = [*_ALERTS, *facts.callbacks]
    if isinstance(value, int | float | bool | dict):
        outcome = _STOPS if not isinstance(value, dict) else "LiteLLM notifies nobody"
        yield Found(path, f"`alerting` must be a list, not {kind(value)}: {outcome}", "write `alerting: [slack]`")
    for index, word in enumerate(value if isinstance(value, list) else ()):
        if word not in known and not is_reference(word):
            shown = f'"{word}"' if isinstance(word, str) else kind(word)
            yield Found((*path, index), f"`alerting` knows no {shown}: LiteLLM notifies nobody", choose(word, _ALERTS))
    if not value:
        return
    for index, word in enumerate(types if isinstance(types, list) else ()):
        if isinstance(word, str) and word not in facts.alert_types:
            close = nearest(word, facts.alert_types, part=True)
            message = f'there is no alert "{word}": LiteLLM passes it over'
            yield Found((_GENERAL, "alert_types", index), message, did_you_mean(close))


@rule(
    "error",
    fix="write an address and a path that begin as such",
    source="tried with 1.84.0 and 1.106.2",
)
def pass_through(config: Config) -> Iterator[Found]:
    """An endpoint that is passed through has an address, a path, headers or methods that do not work."""
    value = config.setting(*_PASSED)
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        path, where, target = (*_PASSED, index), mapping(entry).get("path"), mapping(entry).get("target")
        if isinstance(where, str) and not where.startswith("/"):
            message = "the path of an endpoint must begin with a slash: every request for it gets 404"
            yield Found((*path, "path"), message, f'write "/{where}"')
        if target is not None and not _is_target(target):
            message = "`target` is no address: every request for it fails"
            yield Found((*path, "target"), message, "write `http://HOST/PATH`, or `file.function`")
        headers, methods = mapping(entry).get("headers"), mapping(entry).get("methods")
        if headers is not None and not isinstance(headers, dict):
            message = f"`headers` must be a mapping, not {kind(headers)}: {_STOPS}"
            yield Found((*path, "headers"), message, "write `headers: {NAME: VALUE}`")
        if methods is not None and not isinstance(methods, list):
            message = f"`methods` must be a list, not {kind(methods)}: every request for it gets 405"
            yield Found((*path, "methods"), message, "write `methods: [POST]`")
        for number, method in enumerate(methods if isinstance(methods, list) else ()):
            if method not in _METHODS:
                message = "this is no method that LiteLLM passes through: requests get 405"
                yield Found((*path, "methods", number), message, choose(method, _METHODS))
        timeout = mapping(entry).get("timeout")
        if timeout is not None and not reads_as_number(timeout) and not is_reference(timeout):
            message = f"`timeout` must be a number, not {kind(timeout)}: every request for it fails"
            yield Found((*path, "timeout"), message, "write seconds")


def _is_target(target: object) -> bool:
    """An address, a reference to one, or a Python function: `file.function`."""
    if not isinstance(target, str):
        return False
    return target.startswith(("http://", "https://", REFERENCE)) or _FUNCTION.fullmatch(target) is not None


_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


@rule(
    "error",
    fix="write a whole number of seconds, without quotes",
    source="read in 1.106.2 (_run_background_health_check returns at once)",
)
def health_check_interval(config: Config) -> Iterator[Found]:
    """Background health checks whose interval is no whole number above 0: they never run."""
    general = config.section(_GENERAL)
    interval = general.get("health_check_interval")
    if not general.get("background_health_checks") or interval is None or is_reference(interval):
        return
    if not isinstance(interval, int) or interval <= 0:
        message = "`health_check_interval` must be a whole number above 0: the health checks never run"
        yield Found((_GENERAL, "health_check_interval"), message)


@rule(
    "warning",
    fix="set `background_health_checks: true` beside it",
    source="read in 1.106.2: the results of the background checks are what it routes by",
    versions="by release",
)
def health_checks_not_on(config: Config) -> Iterator[Found]:
    """A setting for background health checks, and none are made."""
    if config.setting(_GENERAL, "background_health_checks"):
        return
    for key in ("enable_health_check_routing", "use_shared_health_check", "background_health_check_model_groups"):
        if config.setting(_GENERAL, key) and key in config.known.general_settings:
            yield Found((_GENERAL, key), f"`{key}` does nothing without `background_health_checks: true`")


@rule("error", fix="write `true` or `false`, without quotes", source="read in 1.106.2: any word counts as yes")
def health_checks_word(config: Config) -> Iterator[Found]:
    """`background_health_checks` is a word: `"false"` turns them on."""
    value = config.setting(_GENERAL, "background_health_checks")
    if isinstance(value, str) and value.lower() in ("false", "no", "off", "0", ""):
        yield Found((_GENERAL, "background_health_checks"), "this is a word, and any word turns the health checks on")
