"""Rules about keys that LiteLLM does not read: it starts, and ignores them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from roles.lint.config import Config
from roles.lint.document import Path, mapping
from roles.lint.known import Known, kind_name
from roles.lint.nearest import did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.guardrails import misplaced_in_guardrails

_SETTINGS = ("router_settings", "general_settings", "litellm_settings")
_NO_SECTIONS: Mapping[str, str] = {
    "server_settings": "general_settings",
    "proxy_settings": "general_settings",
    "settings": "general_settings",
    "models": "model_list",
    "router": "router_settings",
    "routing": "router_settings",
    "environment": "environment_variables",
    "env": "environment_variables",
    "includes": "include",
}
"""Words that people take for sections → the section that they mean."""

_PARAMETERS_ONLY = frozenset(
    {"weight", "order", "tag_regex", "max_parallel_requests", "max_retries", "timeout", "stream_timeout"}
)
"""Parameters that people take for information about a model."""

_UNREAD = "LiteLLM reads no such key"


def _sections(config: Config) -> Iterator[tuple[Path, Mapping[Any, Any], Collection[str]]]:
    """Every mapping whose keys are all known, with its path."""
    known = config.known
    yield (), config.document.value, known.top
    for section in _SETTINGS:
        yield (section,), config.section(section), getattr(known, section)
    for policy in ("retry_policy", "allowed_fails_policy"):
        yield ("router_settings", policy), mapping(config.setting("router_settings", policy)), getattr(known, policy)
    for group, policy in mapping(config.setting("router_settings", "model_group_retry_policy")).items():
        yield ("router_settings", "model_group_retry_policy", group), mapping(policy), known.retry_policy
    entries = config.document.value.get("model_list")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        yield ("model_list", index), mapping(entry), known.model_entry


def _unknown(config: Config) -> Sequence[tuple[Path, str, Collection[str]]]:
    """The keys that are not known where they stand, and those that are."""
    if "unknown keys" not in config.memory:
        config.memory["unknown keys"] = [
            ((*path, key), str(key), known)
            for path, section, known in _sections(config)
            for key in section
            if key not in known
        ]
    found: Sequence[tuple[Path, str, Collection[str]]] = config.memory["unknown keys"]
    return found


def _home(path: Path, key: str, config: Config) -> str:
    """The section that a key belongs to, if it is another one, e.g. "`general_settings`"."""
    known = config.known
    value = config.value_at(path)
    if path[0] == "model_list":
        homes = [f"`{part}`" for part in ("litellm_params", "model_info") if key in getattr(known, part)]
        return homes[0] if homes else _setting_home(path, key, value, known)
    return "" if len(path) > 2 else _setting_home(path, key, value, known)


def _setting_home(path: Path, key: str, value: object, known: Known) -> str:
    homes = [f"`{section}`" for section in _SETTINGS if section != path[0] and _fits(section, key, value, known)]
    if len(path) > 1 and key in known.top:
        homes.append("the top of the file")
    return " or ".join(homes)


def _fits(section: str, key: str, value: object, known: Known) -> bool:
    """Whether a section has such a setting, and takes such a value: a word with two meanings is not misplaced."""
    kinds = known.kinds.get(section, {}).get(key)
    return key in getattr(known, section) and (kinds is None or value is None or kind_name(value) in kinds)


@rule(
    "error",
    fix="correct the word",
    source="the keys of a release: its declarations and what its source looks up (roles/lint/keys)",
    versions="by release",
)
def misspelled_key(config: Config) -> Iterator[Found]:
    """A key that LiteLLM does not read, close to one that it does."""
    for path, key, known in _unknown(config):
        close = nearest(key, known)
        if close and not _home(path, key, config):
            yield Found(path, f'{_UNREAD} as "{key}"', did_you_mean(close))
    for model in config.models:
        for key in model.info:
            close = "" if key in config.known.model_info else nearest(str(key), config.known.model_info)
            if close:
                path = (*model.path, "model_info", key)
                yield Found(path, f'{_UNREAD} as "{key}" in `model_info`', did_you_mean(close))


@rule(
    "error",
    fix="move it",
    source="tried with 1.106.2 (`master_key` at the top, `num_retries` in `general_settings`): not obeyed",
    versions="by release",
)
def misplaced_key(config: Config) -> Iterator[Found]:
    """A key that LiteLLM reads in another section only."""
    for path, key, _ in _unknown(config):
        home = _home(path, key, config)
        if home:
            outcome = "LiteLLM does not start" if _is_refused(path, key) else "here LiteLLM ignores it"
            yield Found(path, f'"{key}" belongs {_into(home)}: {outcome}', f"move it to {home}")
        elif len(path) == 1:
            yield from _sections_inside(path, config)
    for path, key, home in _strange_parameters(config):
        if home:
            message = f'"{key}" belongs {_into(home)}: here LiteLLM sends it to the provider with each request'
            yield Found(path, message, f"move it to {home}")
    yield from misplaced_in_guardrails(config)
    for model in config.models:
        for key in model.info:
            home = "" if key in config.known.model_info else _information_home(key, config)
            if home:
                message = f'"{key}" belongs {_into(home)}: here LiteLLM ignores it'
                yield Found((*model.path, "model_info", key), message, f"move it to {home}")


def _information_home(key: object, config: Config) -> str:
    """Where a key of `model_info` belongs that LiteLLM does not read there; `` if it may be somebody's own."""
    if key in config.known.top:
        return "the top of the file"
    # Tags may be labels for people, unless requests are routed by them.
    by_tags = key == "tags" and config.setting("router_settings", "enable_tag_filtering")
    return "`litellm_params`" if key in _PARAMETERS_ONLY or by_tags else ""


def _sections_inside(path: Path, config: Config) -> Iterator[Found]:
    """Sections below a word that LiteLLM does not read: `litellm: {model_list: …}`."""
    for key in mapping(config.value_at(path)):
        if key in _SETTINGS or key == "model_list":
            message = f'"{key}" belongs to the top of the file: below "{path[0]}" LiteLLM ignores it'
            yield Found((*path, key), message, "move it to the top of the file")


def _parameter_home(key: object, value: object, known: Known) -> str:
    """Where a key that is no parameter belongs; `` if it is read nowhere."""
    if key in known.model_info:
        return "`model_info`"
    if key in known.top:
        return "the top of the file"
    homes = [f"`{section}`" for section in _SETTINGS if _fits(section, str(key), value, known)]
    return homes[0] if homes else ""


def _into(home: str) -> str:
    return f"into {home}" if home.startswith("`") else f"to {home}"


def _is_refused(path: Path, key: str) -> bool:
    """Whether it is one of the two keys that LiteLLM reports when misplaced (load_config)."""
    return path[0] == "router_settings" and key in ("health_check_interval", "health_check_concurrency")


@rule(
    "warning",
    fix="remove it",
    source="the keys of a release: its declarations and what its source looks up (roles/lint/keys)",
    versions="by release",
)
def unknown_key(config: Config) -> Iterator[Found]:
    """A key that LiteLLM does not read, and not close to any that it does."""
    for path, key, known in _unknown(config):
        if not nearest(key, known) and not _home(path, key, config):
            meant = _NO_SECTIONS.get(key.lower()) if len(path) == 1 else None
            fix = f"what is meant for `{meant}` belongs there" if meant else ""
            yield Found(path, f'{_UNREAD} as "{key}"', fix)


def _is_strange(key: object, known: Known) -> bool:
    return key not in known.litellm_params and key not in known.litellm_params_read


@rule("error", fix="correct the word", source="tried with 1.106.2: it is sent to the provider with each request")
def misspelled_parameter(config: Config) -> Iterator[Found]:
    """A key of `litellm_params` that is clearly a misspelled one."""
    for path, key, home in _strange_parameters(config):
        close = nearest(key, config.known.litellm_params)
        if close and not home:
            yield Found(path, f'no parameter "{key}" is known', did_you_mean(close))


@rule(
    "warning",
    fix="make sure that the provider knows it, or put it under `extra_body`",
    source="tried with 1.106.2: a parameter that LiteLLM does not know is sent to the provider with each request",
    versions="by release",
)
def unknown_parameter(config: Config) -> Iterator[Found]:
    """A key of `litellm_params` that neither LiteLLM nor the code of any provider in it reads."""
    for path, key, home in _strange_parameters(config):
        if not home and not nearest(key, config.known.litellm_params):
            close = nearest(key, config.known.litellm_params_read)
            fix = did_you_mean(close)
            yield Found(path, f'no parameter "{key}" is known: LiteLLM sends it to the provider as it is', fix)


def _strange_parameters(config: Config) -> Sequence[tuple[Path, str, str]]:
    """The parameters that nothing reads, each with the section that it belongs into (or ``)."""
    if "strange parameters" not in config.memory:
        config.memory["strange parameters"] = [
            (model.parameter(key), str(key), _parameter_home(key, value, config.known))
            for model in config.models
            for key, value in model.params.items()
            if _is_strange(key, config.known)
        ]
    found: Sequence[tuple[Path, str, str]] = config.memory["strange parameters"]
    return found
