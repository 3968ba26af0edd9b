"""Rules about keys that LiteLLM does not read: it starts, and ignores them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from roles.lint.config import Config
from roles.lint.document import Path, mapping
from roles.lint.known import Known, nearest
from roles.lint.rule import Found, rule

_SETTINGS = ("router_settings", "general_settings", "litellm_settings")
_CLEAR_TYPO = 0.85

_UNREAD = "LiteLLM reads no such key"


def _sections(config: Config) -> Iterator[tuple[Path, Mapping[Any, Any], Collection[str]]]:
    """Every mapping whose keys are all known, with its path."""
    known = config.known
    yield (), config.document.value, known.top
    for section in _SETTINGS:
        yield (section,), config.section(section), getattr(known, section)
    cache = mapping(config.setting("litellm_settings", "cache_params"))
    yield ("litellm_settings", "cache_params"), cache, known.cache_params
    for policy in ("retry_policy", "allowed_fails_policy"):
        yield ("router_settings", policy), mapping(config.setting("router_settings", policy)), getattr(known, policy)
    for group, policy in mapping(config.setting("router_settings", "model_group_retry_policy")).items():
        yield ("router_settings", "model_group_retry_policy", group), mapping(policy), known.retry_policy
    entries = config.document.value.get("model_list")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        yield ("model_list", index), mapping(entry), known.model_entry


def _unknown(config: Config) -> Iterator[tuple[Path, str, Collection[str]]]:
    for path, section, known in _sections(config):
        for key in section:
            if key not in known:
                yield (*path, key), str(key), known


def _home(path: Path, key: str, known: Known) -> str:
    """The section that a key belongs to, if it is another one, e.g. "`general_settings`"."""
    if path[0] == "model_list":
        homes = [part for part in ("litellm_params", "model_info") if key in getattr(known, part)]
        return f"`{homes[0]}`" if homes else ""
    if len(path) > 2:
        return ""
    homes = [f"`{section}`" for section in _SETTINGS if section != path[0] and key in getattr(known, section)]
    if len(path) == 2 and key in known.top:
        homes.append("the top of the file")
    return " or ".join(homes)


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
        if close and not _home(path, key, config.known):
            yield Found(path, f'{_UNREAD} as "{key}"', f'did you mean "{close}"?')
    for model in config.models:
        for key in model.info:
            close = "" if key in config.known.model_info else nearest(str(key), config.known.model_info, _CLEAR_TYPO)
            if close:
                path = (*model.path, "model_info", key)
                yield Found(path, f'{_UNREAD} as "{key}" in `model_info`', f'did you mean "{close}"?')


@rule(
    "error",
    fix="move it",
    source="tried with 1.106.2 (`master_key` at the top, `num_retries` in `general_settings`): not obeyed",
    versions="by release",
)
def misplaced_key(config: Config) -> Iterator[Found]:
    """A key that LiteLLM reads in another section only."""
    for path, key, _ in _unknown(config):
        home = _home(path, key, config.known)
        if home:
            outcome = "LiteLLM does not start" if _is_refused(path, key) else "here LiteLLM ignores it"
            yield Found(path, f'"{key}" belongs into {home}: {outcome}', f"move it to {home}")
    for model in config.models:
        for key in model.params:
            if _is_strange(key, config.known) and key in config.known.model_info:
                path = (*model.path, "litellm_params", key)
                message = f'"{key}" belongs into `model_info`: here LiteLLM sends it to the provider with each request'
                yield Found(path, message, "move it to `model_info`")


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
        if not nearest(key, known) and not _home(path, key, config.known):
            yield Found(path, f'{_UNREAD} as "{key}"')


def _is_strange(key: object, known: Known) -> bool:
    return key not in known.litellm_params and key not in known.litellm_params_read


@rule("error", fix="correct the word", source="tried with 1.106.2: it is sent to the provider with each request")
def misspelled_parameter(config: Config) -> Iterator[Found]:
    """A key of `litellm_params` that is clearly a misspelled one."""
    for path, key in _strange_parameters(config):
        close = nearest(key, config.known.litellm_params, _CLEAR_TYPO)
        if close:
            yield Found(path, f'no parameter "{key}" is known', f'did you mean "{close}"?')


@rule(
    "warning",
    fix="make sure that the provider knows it, or put it under `extra_body`",
    source="tried with 1.106.2: a parameter that LiteLLM does not know is sent to the provider with each request",
    versions="by release",
)
def unknown_parameter(config: Config) -> Iterator[Found]:
    """A key of `litellm_params` that neither LiteLLM nor the code of any provider in it reads."""
    for path, key in _strange_parameters(config):
        if not nearest(key, config.known.litellm_params, _CLEAR_TYPO):
            close = nearest(key, config.known.litellm_params | config.known.litellm_params_read, 0.7)
            fix = f'did you mean "{close}"?' if close else ""
            yield Found(path, f'no parameter "{key}" is known: LiteLLM sends it to the provider as it is', fix)


def _strange_parameters(config: Config) -> Iterator[tuple[Path, str]]:
    for model in config.models:
        for key in model.params:
            if _is_strange(key, config.known) and key not in config.known.model_info:
                yield (*model.path, "litellm_params", key), str(key)
