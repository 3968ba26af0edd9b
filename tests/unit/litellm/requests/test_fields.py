"""A client names a route. Where that leads, by which key and under which limits is not its to say."""

from __future__ import annotations

from typing import Any

import pytest

from roles.litellm.requests.fields import not_for_clients

_LITELLMS = {"api_key", "api_base", "custom_llm_provider", "metadata", "fallbacks", "tags", "cache", "mock_response"}
"""Some of those that LiteLLM 1.106.2 lists; the lab's test of `local_only` has all of them."""
PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def refused(**fields: Any) -> str | None:
    return not_for_clients({**PLAIN, **fields}, _LITELLMS.__contains__)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "tools": [], "stream_options": {"include_usage": True}, "user": "ann", "top_k": 5},
        {"metadata": {"a": "b"}, "tags": ["fast"], "cache": {"no-cache": True}, "disable_fallbacks": True},
        {"fallbacks": ["other"], "num_retries": 1, "timeout": 5},
        {"fallbacks": [{"m": ["other"]}]},
        {"fallbacks": [{"model": "other", "messages": []}]},
    ],
    ids=["OpenAI's", "LiteLLM's", "fallbacks by name", "fallbacks by route", "fallbacks with words of their own"],
)
def test_what_programs_send_is_allowed(fields: dict[str, Any]) -> None:
    assert refused(**fields) is None


@pytest.mark.parametrize(
    "field",
    [
        *("api_key", "api_base", "base_url", "custom_llm_provider", "extra_headers", "extra_body", "litellm_params"),
        *("user_config", "router_settings_override", "success_callback", "mock_response", "models"),
        *("aws_region_name", "azure_ad_token", "vertex_project", "_target_order", "litellm_credential_name"),
        "additional_drop_params",
    ],
)
def test_what_decides_where_it_goes_is_refused(field: str) -> None:
    assert refused(**{field: "x"}) == field
    assert refused(fallbacks=[{"model": "other", field: "x"}]) == field
    assert refused(context_window_fallbacks=[{"m": [{"model": "other", field: "x"}]}]) == field


def test_a_model_is_one_name() -> None:
    assert refused(model=["m", "other"]) == "model"


def test_what_a_later_release_adds_is_refused() -> None:
    assert not_for_clients({**PLAIN, "reroute_to": "x"}, lambda field: field == "reroute_to") == "reroute_to"


def test_a_route_of_any_name_has_fallbacks() -> None:
    assert refused(fallbacks=[{"azure_gpt": ["other"], "models": [{"model": "other", "tags": ["a"]}]}]) is None


def test_it_is_found_however_deep_it_is() -> None:
    nested: dict[str, Any] = {"model": "other", "api_base": "x"}
    for _ in range(100_000):
        nested = {"model": "other", "fallbacks": [nested]}
    assert refused(fallbacks=[nested]) == "api_base"
