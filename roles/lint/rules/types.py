"""Rules about values that the types refuse through which the start reads some sections (`Known.validated`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from roles.lint.config import Config, is_reference
from roles.lint.document import Path, mapping
from roles.lint.known import kind_name
from roles.lint.nearest import did_you_mean, nearest
from roles.lint.rule import Found, rule
from roles.lint.rules.shapes import kind, reads_as_number

_STOPS = "LiteLLM does not start"
_KINDS = {"list": "a list", "dict": "a mapping", "str": "a word", "bool": "yes or no", "number": "a number"}
_YES_OR_NO = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0"})
_PARTS = re.compile(r"([^.\[\]{}]+)|(\[\])|(\{\})")
_ELSEWHERE = (
    "credential_list",
    "prompts",
    "litellm_settings.default_team_settings",
)
"""What the rules about lists of other things and about administration look at."""
_ONLY_WITH: Mapping[str, Path] = {"general_settings.alerting_args": ("general_settings", "alerting")}
"""What is read with another setting alone."""
_LOOKED_AT_BY_NAME = frozenset({("key_management_settings", "access_mode"), ("key_management_settings", "hosted_keys")})
"""What the rule `key-management` reports."""


def _types(config: Config) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for pattern, model in config.known.validated.items():
        other = _ONLY_WITH.get(pattern)
        if not pattern.startswith(_ELSEWHERE) and (other is None or config.value_at(other)):
            yield pattern, model


@rule("error", fix="add it", source="the types of a release (roles/lint/keys); tried with 1.106.2 (corpus)")
def entry_lacks_key(config: Config) -> Iterator[Found]:
    """An entry of a section lacks a key without which LiteLLM does not start."""
    for pattern, model in _types(config):
        for path, entry in _matching(config, pattern):
            if not isinstance(entry, dict):
                if model["closed"]:
                    yield Found(path, f"`{_section(path)}` must be a mapping, not {kind(entry)}: {_STOPS}")
                elif "[" in pattern or "{" in pattern:
                    yield Found(path, f"an entry of `{_section(path)}` must be a mapping, not {kind(entry)}: {_STOPS}")
                continue
            lacking = [key for key in model["required"] if entry.get(key) is None]
            if lacking:
                names = " and ".join(f"`{key}`" for key in lacking)
                yield Found(path, f"an entry of `{_section(path)}` has no {names}: {_STOPS}")


@rule("error", fix="write a value of that kind", source="the types of a release (roles/lint/keys); tried with 1.106.2")
def entry_value_refused(config: Config) -> Iterator[Found]:
    """A value in a section that LiteLLM reads through a type which does not take it."""
    for pattern, model in _types(config):
        for path, entry in _matching(config, pattern):
            for key, value in mapping(entry).items():
                field = model["fields"].get(key)
                if not field and model["closed"]:
                    fix = did_you_mean(nearest(str(key), frozenset(model["fields"]))) or "remove it"
                    yield Found((*path, key), f'`{_section(path)}` has no "{key}": {_STOPS}', fix)
                if not field or value is None or is_reference(value) or (_section(path), key) in _LOOKED_AT_BY_NAME:
                    continue
                words = field["words"]
                if words and isinstance(value, str) and value not in words:
                    close = nearest(value, words, part=True)
                    fix = did_you_mean(close) or f"write one of {', '.join(words)}"
                    yield Found((*path, key), f'"{value}" is no `{key}`: {_STOPS}', fix)
                elif not words and field["kinds"] and not _takes(field["kinds"], value):
                    wanted = " or ".join(_KINDS[name] for name in field["kinds"])
                    yield Found((*path, key), f"`{key}` must be {wanted}, not {kind(value)}: {_STOPS}")


def _takes(kinds: list[str], value: object) -> bool:
    """Whether a type of these kinds takes a value, as pydantic does: it reads words as numbers, and as yes or no."""
    if kind_name(value) in kinds:
        return True
    if "number" in kinds and (isinstance(value, bool) or (isinstance(value, str) and reads_as_number(value))):
        return True
    return "bool" in kinds and str(value).lower() in _YES_OR_NO


def _matching(config: Config, pattern: str) -> Iterator[tuple[Path, Any]]:
    """The values at the paths that a pattern describes: `prompts[].litellm_params`, `model_group_retry_policy{}`."""
    found: list[tuple[Path, Any]] = [((), config.document.value)]
    for key, items, values in _PARTS.findall(pattern):
        inner: list[tuple[Path, Any]] = []
        for path, value in found:
            if key and isinstance(value, dict) and value.get(key) is not None:
                inner.append(((*path, key), value[key]))
            elif items and isinstance(value, list):
                inner += [((*path, index), item) for index, item in enumerate(value)]
            elif values and isinstance(value, dict):
                inner += [((*path, name), item) for name, item in value.items()]
        found = inner
    yield from found


def _section(path: Path) -> str:
    return next((str(part) for part in reversed(path) if isinstance(part, str)), "")
