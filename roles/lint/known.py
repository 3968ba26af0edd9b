"""What a LiteLLM release knows: keys of each section, providers, model names. Data from `tests/litellm_keys.py`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import TypeAlias

Version: TypeAlias = tuple[int, ...]

_FILES = files("roles.lint") / "keys"
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Known:
    """One release.

    Attributes:
        litellm_params: the declared ones; `litellm_params_read` are further words that some provider's code reads.
        model_names: those that need no provider prefix; `model_patterns` match newer ones.
        endpoints: addresses of hosted providers: an `api_base` there identifies the provider.
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
    callbacks: frozenset[str]
    providers: frozenset[str]
    model_names: frozenset[str]
    endpoints: frozenset[str]
    model_patterns: frozenset[str]


def parse_version(text: str) -> Version:
    """`1.106.2` → (1, 106, 2). Suffixes (`rc1`, `.post1`) are dropped.

    Raises:
        ValueError: it does not begin with a number.
    """
    match = _RELEASE.match(text.removeprefix("v"))
    if match is None:
        raise ValueError(f'"{text}" is no version; write e.g. 1.106.2')
    return tuple(int(part) for part in match[0].split("."))


@cache
def known_releases() -> tuple[str, ...]:
    """The releases with data, oldest first."""
    names = (file.name.removesuffix(".json") for file in _FILES.iterdir() if file.name.endswith(".json"))
    return tuple(sorted(names, key=parse_version))


@cache
def known_to(version: str) -> Known:
    """The data of the newest known release that is not newer than `version`, else of the oldest one."""
    releases = known_releases()
    older = [release for release in releases if parse_version(release) <= parse_version(version)]
    data = json.loads((_FILES / f"{older[-1] if older else releases[0]}.json").read_text())
    words = {entry.name: frozenset(data[entry.name]) for entry in fields(Known) if entry.name != "version"}
    return Known(version=data["version"], **words)


def nearest(word: str, known: Collection[str], cutoff: float = 0.8) -> str:
    """The closest of the known words; `` if none is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return close[0] if close else ""
