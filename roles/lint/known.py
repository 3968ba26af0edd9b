"""What a LiteLLM release knows: keys of each section, providers, model names. Data from `tests/litellm_keys.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeAlias

Version: TypeAlias = tuple[int, ...]

_FILES = files("roles.lint") / "keys"
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "bool": bool,
    "number": (int, float),
    "str": str,
    "list": list,
    "dict": dict,
}
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Known:
    """One release.

    Attributes:
        litellm_params: the declared ones; `litellm_params_read` are further words that some provider's code reads.
        model_names: those that need no provider prefix; `model_patterns` match newer ones.
        endpoints: addresses of hosted providers: an `api_base` there identifies the provider.
        import_variables: variables that are read when LiteLLM is imported: before it reads a configuration.
        kinds: section → setting → the kinds of value that it takes (`kind_name`); settings of other types are left out.
        validated: path (`[]`: each item, `{}`: each value) → `fields` with their `kinds` and `words`, `required`
            ones, and whether it is `closed` to others: what the start refuses.
    """

    version: str
    top: frozenset[str]
    model_entry: frozenset[str]
    litellm_params: frozenset[str]
    litellm_params_read: frozenset[str]
    model_info: frozenset[str]
    router_settings: frozenset[str]
    litellm_settings: frozenset[str]
    general_settings: frozenset[str]
    cache_params: frozenset[str]
    retry_policy: frozenset[str]
    allowed_fails_policy: frozenset[str]
    routing_strategies: frozenset[str]
    pre_call_checks: frozenset[str]
    providers: frozenset[str]
    model_names: frozenset[str]
    endpoints: frozenset[str]
    model_patterns: frozenset[str]
    import_variables: frozenset[str]
    kinds: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    validated: Mapping[str, Any] = field(default_factory=dict)


def parse_version(text: str) -> Version:
    """`1.106.2` → (1, 106, 2). Suffixes (`rc1`, `.post1`) are dropped.

    Raises:
        ValueError: it does not begin with a number.
    """
    match = _RELEASE.match(text.removeprefix("v"))
    if match is None:
        raise ValueError(f'"{text}" is no version; write e.g. 1.106.2')
    return tuple(int(part) for part in match[0].split("."))


def releases_in(folder: Traversable) -> tuple[str, ...]:
    """The releases that a folder has a file of, oldest first."""
    names = (file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))
    return tuple(sorted(names, key=parse_version))


def data_for(version: str, folder: Traversable, releases: Sequence[str]) -> dict[str, Any]:
    """The data of the newest of these releases that is not newer than `version`, else of the oldest one."""
    older = [release for release in releases if parse_version(release) <= parse_version(version)]
    data: dict[str, Any] = json.loads((folder / f"{older[-1] if older else releases[0]}.json").read_text())
    return data


@cache
def known_releases() -> tuple[str, ...]:
    """The releases with data, oldest first."""
    return releases_in(_FILES)


@cache
def known_to(version: str) -> Known:
    """The data of the newest known release that is not newer than `version`, else of the oldest one."""
    data = data_for(version, _FILES, known_releases())
    words: dict[str, Any] = {name: frozenset(value) for name, value in data.items() if isinstance(value, list)}
    tables = {name: data[name] for name in ("kinds", "validated")}
    return Known(version=data["version"], **tables, **words)


def kind_name(value: object) -> str:
    """The kind of a value as `Known.kinds` names it: `list`, `dict`, `str`, `number`, `bool`; `` for none of them."""
    for name, types in _KINDS.items():
        if isinstance(value, types):
            return name
    return ""
