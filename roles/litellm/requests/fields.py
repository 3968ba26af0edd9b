"""Which of LiteLLM's own parameters a client may write into a request: it names a route, and the inventory says where
that leads, by which key and under which limits.

LiteLLM takes hundreds of parameters from a request's body that its operator usually sets. It refuses some of them
(`api_base`), and takes others (`api_key`, `custom_llm_provider`, `success_callback`, prices). Here all are refused but
those below, so that what a later release adds is refused too. What it does not know goes to the server as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_ALLOWED = frozenset(
    {
        *("metadata", "litellm_metadata", "tags", "id", "no-log"),
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"),
        *("num_retries", "max_retries", "request_timeout", "stream_timeout"),
        *("cache", "caching", "ttl", "enable_prompt_caching"),
        *("litellm_trace_id", "litellm_session_id", "stream_chunk_size", "merge_reasoning_content_in_choices"),
    }
)
"""What describes the request, or asks for less than the route would do."""

_MORE = frozenset(
    {
        *("base_url", "api_type", "organization", "deployment_id", "specific_deployment", "model_id"),
        *("extra_body", "extra_headers", "extra_query", "default_headers", "default_query"),
        *("litellm_params", "user_config", "router_settings_override", "default_fallbacks", "models"),
        *("callbacks", "success_callback", "failure_callback", "input_callback", "service_callback"),
        *("http_client", "proxy", "vector_store_ids", "additional_drop_params"),
    }
)
"""Parameters that LiteLLM does not list as its own."""
_BEGINNINGS = ("_", "aws_", "azure_", "vertex_", "watsonx_", "oci_", "s3_", "gcs_", "litellm_")
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def not_for_clients(body: Mapping[str, Any], is_litellms: Callable[[str], bool]) -> str | None:
    """A field of a request that is not its client's to choose; none = there is none.

    Args:
        is_litellms: whether LiteLLM takes a field for a parameter of its own.
    """
    if not isinstance(body.get("model", ""), str):
        return "model"
    requests = [body]
    while requests:
        request = requests.pop()
        for name in request:
            owned = name in _MORE or name.startswith(_BEGINNINGS) or is_litellms(name)
            if owned and name not in _ALLOWED:
                return name
        # What such a fallback says counts instead of what the request says.
        requests += [each for name in _FALLBACKS for each in _requests(request.get(name))]
    return None


def _requests(fallbacks: object) -> Iterator[Mapping[str, Any]]:
    """Those of a request's fallbacks that are more than names, also where they are given by route."""
    values = [fallbacks]
    while values:
        value = values.pop()
        if isinstance(value, list):
            values += value
        elif isinstance(value, Mapping):
            if all(isinstance(each, list) for each in value.values()):
                values += value.values()
            else:
                yield value
