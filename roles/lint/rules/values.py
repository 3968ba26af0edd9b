"""Rules about values of a wrong type. LiteLLM reports nothing: it drops the deployment, or each request fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from roles.lint.config import Config, is_reference, resolved
from roles.lint.document import Path, mapping
from roles.lint.nearest import did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import is_pattern, kind, reads_as_number

_WHOLE = re.compile(r"\s*[+-]?\d+(?:\.0*)?\s*")

_WHOLE_NUMBERS = ("rpm", "tpm", "itpm", "otpm", "max_retries", "default_api_key_rpm_limit", "default_api_key_tpm_limit")
_NUMBERS = ("max_budget", "input_cost_per_token", "output_cost_per_token")
_WORDS = ("api_key", "api_base", "api_version", "custom_llm_provider", "region_name", "budget_duration")
_TIMES = ("timeout", "stream_timeout")

_STRATEGY: Path = ("router_settings", "routing_strategy")

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "router_settings": (
        "num_retries",
        "max_fallbacks",
        "timeout",
        "stream_timeout",
        "allowed_fails",
        "cooldown_time",
        "retry_after",
    ),
    "litellm_settings": ("num_retries", "max_fallbacks", "request_timeout", "allowed_fails"),
}


def _is_list_of_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reads_as_whole(value: object) -> bool:
    if isinstance(value, str):
        return _WHOLE.fullmatch(value) is not None
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


@rule(
    "error",
    fix="write a value of the right type",
    source="tried with 1.106.2: Deployment does not validate, and is skipped",
)
def value_drops_deployment(config: Config) -> Iterator[Found]:
    """A value of `litellm_params` that LiteLLM does not take: the deployment is dropped in silence."""
    for model in config.models:
        for key, value in model.params.items():
            wanted = ""
            value = resolved(value, config.environment)
            if value is None or is_reference(value):
                continue
            if key in _WHOLE_NUMBERS and not _reads_as_whole(value):
                wanted = "a whole number"
            elif key in _NUMBERS and not reads_as_number(value):
                wanted = "a number"
            elif key in _WORDS and not isinstance(value, str):
                wanted = "a word"
            elif key in _TIMES and not isinstance(value, str | int | float):
                wanted = "a number of seconds"
            elif key in ("tags", "tag_regex") and not _is_list_of_words(value):
                wanted = "a list of words"
            elif key == "tag_regex" and not all(is_pattern(word) for word in value):
                wanted = "a list of regular expressions"
            if wanted:
                message = f"{model.title}: `{key}` must be {wanted}, not {_shown(value)}"
                path = model.parameter(key)
                yield Found(path, f"{message}: LiteLLM drops the deployment in silence")


def _shown(value: object) -> str:
    return "a broken one" if _is_number(value) else kind(value)


@rule(
    "error",
    fix="write a number, without quotes",
    source="tried with 1.106.2: TypeError at each request (weight, order, max_parallel_requests), timeout: ValueError",
)
def value_breaks_requests(config: Config) -> Iterator[Found]:
    """A value of `litellm_params` that LiteLLM takes when it starts, and that breaks each request."""
    for model in config.models:
        for key in ("weight", "order", "max_parallel_requests"):
            value = model.params.get(key)
            lone_order = key == "order" and len(config.groups[model.name]) == 1
            if value is not None and not _is_number(value) and not isinstance(value, bool) and not lone_order:
                message = (
                    f"{model.title}: `{key}` must be a number, not {kind(value)}: each request ends in a TypeError"
                )
                yield Found(model.parameter(key), message)
        for key in ("extra_headers", "headers", "extra_body"):
            value = model.params.get(key)
            if value is not None and not isinstance(value, dict):
                message = f"{model.title}: `{key}` must be a mapping, not {kind(value)}: each request fails"
                yield Found(model.parameter(key), message, "write `NAME: VALUE` below it")
        for key in _TIMES:
            value = model.params.get(key)
            if isinstance(value, str) and not is_reference(value) and not reads_as_number(value):
                message = f"{model.title}: `{key}` must be a number of seconds: each request fails"
                yield Found(model.parameter(key), message)


@rule(
    "error",
    fix="write a number, without quotes",
    source="tried with 1.106.2: it starts; requests fail, or the setting is not obeyed",
)
def setting_no_number(config: Config) -> Iterator[Found]:
    """A time or a count in the settings that is no number."""
    for section, keys in _SETTINGS.items():
        for key in keys:
            value = config.setting(section, key)
            if value is not None and not _is_number(value) and not is_reference(value):
                yield Found((section, key), f"`{key}` must be a number, not {kind(value)}")


@rule("error", fix="write one of its strategies", source="tried with 1.106.2: the start fails", versions="by release")
def unknown_routing_strategy(config: Config) -> Iterator[Found]:
    """`routing_strategy` is none that LiteLLM has."""
    yield from _strategy(config.setting("router_settings", "routing_strategy"), _STRATEGY, config)
    groups = config.setting("router_settings", "routing_groups")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        path = ("router_settings", "routing_groups", index, "routing_strategy")
        yield from _strategy(mapping(group).get("routing_strategy"), path, config)


def _strategy(strategy: object, path: Path, config: Config) -> Iterator[Found]:
    known = config.known.routing_strategies
    if strategy is None or is_reference(strategy) or (isinstance(strategy, str) and strategy in known):
        return
    shown = f'"{strategy}"' if isinstance(strategy, str) else kind(strategy)
    close = nearest(strategy, known, part=True) if isinstance(strategy, str) else ""
    fix = did_you_mean(close) or f"write one of {', '.join(sorted(known))}"
    yield Found(path, f"{shown} is no routing strategy: LiteLLM does not start", fix)


@rule(
    "error",
    fix="write one of its checks",
    source="tried with 1.106.2: it starts, and checks nothing",
    versions="by release",
)
def unknown_pre_call_check(config: Config) -> Iterator[Found]:
    """A word in `optional_pre_call_checks` that is no check: it is ignored in silence."""
    checks = config.setting("router_settings", "optional_pre_call_checks")
    for index, check in enumerate(checks if isinstance(checks, list) else ()):
        if isinstance(check, str) and check not in config.known.pre_call_checks:
            close = nearest(check, config.known.pre_call_checks, part=True)
            path = ("router_settings", "optional_pre_call_checks", index)
            yield Found(
                path,
                f'"{check}" is no check: LiteLLM ignores it in silence',
                did_you_mean(close),
            )
