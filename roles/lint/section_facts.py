"""What a LiteLLM release takes in guardrails, callbacks, caches, MCP servers. Data from `tests/litellm_sections.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from roles.lint.known import data_for, releases_in

_FILES = files("roles.lint") / "keys" / "sections"


@dataclass(frozen=True)
class SectionFacts:
    """One release.

    Attributes:
        weak_master_keys: SHA-256 of the master keys that stop the start; None = it starts with any, and with none.
        guardrails: name → `variables` that its code reads, `modes` that it takes, and what making it fails with:
            `bare` without a key, `keyed` with one (`outcome`, `says`, `package`).
        guardrail_fields: parameter → `kinds` of value that it takes, and `words` if only some are allowed.
        content_filter_patterns: those that `litellm_content_filter` has ready.
        guardrail_errors: `drops` = it starts without a wrong guardrail, `stops` = it does not start.
        callbacks: words of every list; `callbacks_of_the_log` are further ones of all but `callbacks`, and
            `callbacks_of_the_list` of `callbacks` alone.
        callback_needs: word → `package` and `variables` that it cannot do without, and whether `requests_fail`.
        mcp_keys: key of a server → the kind of value that it must have; `` = not looked at.
    """

    version: str
    weak_master_keys: Collection[str] | None
    guardrails: Mapping[str, Mapping[str, Any]]
    guardrail_errors: str
    guardrail_modes: Sequence[str]
    guardrail_params: Collection[str]
    guardrail_fields: Mapping[str, Mapping[str, Sequence[str]]]
    content_filter_patterns: Collection[str]
    guardrail_keys: Collection[str]
    cache_types: Sequence[str]
    cache_call_types: Sequence[str]
    cache_arguments: Collection[str]
    callbacks: Collection[str]
    callbacks_of_the_log: Collection[str]
    callbacks_of_the_list: Collection[str]
    callback_needs: Mapping[str, Mapping[str, Any]]
    mcp_transports: Sequence[str]
    mcp_auth_types: Sequence[str]
    mcp_keys: Mapping[str, str]
    key_management_systems: Sequence[str]
    key_management_settings: Collection[str]
    prompt_integrations: Sequence[str]
    search_providers: Sequence[str]
    alert_types: Sequence[str]


@cache
def releases() -> tuple[str, ...]:
    """The releases with data, oldest first."""
    return releases_in(_FILES)


@cache
def facts_of(version: str) -> SectionFacts:
    """The facts of the newest release with data that is not newer than `version`, else of the oldest one."""
    data = data_for(version, _FILES, releases())
    data.pop("source")
    return SectionFacts(**data)
