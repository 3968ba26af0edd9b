"""What LiteLLM shows of itself at `/metrics`, in a stack with monitoring.

By default it has some 60 metrics, whose labels are also a client's address, its program and what its requests say of
their user: everybody who sends requests could add series without end. Here each label is a name that is declared, or
one of a few that LiteLLM knows: LiteLLM writes `other` for a model that it does not have.
"""

from __future__ import annotations

from roles.plan import Json

_CLIENT, _NAME, _DEPLOYMENT = "api_key_alias", "requested_model", "model_id"
"""LiteLLM's labels: whose key it was, the public name that was asked for, and the deployment that answered."""

_MOST_SERIES = 2000
"""Of each metric; beyond that LiteLLM counts everything in one series that is called `other`."""
_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Upper ends of the histograms' buckets; LiteLLM's own are 18."""


def _shown(group: str, metrics: list[str], labels: list[str]) -> Json:
    return {"group": group, "metrics": list(metrics), "include_labels": list(labels)}


METRICS: dict[str, Json] = {
    "prometheus_metrics_config": [
        _shown("requests", ["litellm_proxy_total_requests_metric"], [_CLIENT, _NAME, "status_code"]),
        _shown("errors", ["litellm_proxy_failed_requests_metric"], [_CLIENT, _NAME, "exception_status"]),
        _shown("tokens", ["litellm_input_tokens_metric", "litellm_output_tokens_metric"], [_CLIENT, _NAME]),
        _shown(
            "times",
            ["litellm_request_total_latency_metric", "litellm_llm_api_time_to_first_token_metric"],
            [_NAME, _DEPLOYMENT],
        ),
        _shown("answers", ["litellm_deployment_success_responses"], [_NAME, _DEPLOYMENT]),
        _shown("failures", ["litellm_deployment_failure_responses"], [_NAME, _DEPLOYMENT, "exception_status"]),
        _shown("cooldowns", ["litellm_deployment_cooled_down"], [_DEPLOYMENT, "exception_status"]),
        _shown("states", ["litellm_deployment_state"], [_DEPLOYMENT]),
        _shown(
            "fallbacks",
            ["litellm_deployment_successful_fallbacks", "litellm_deployment_failed_fallbacks"],
            [_NAME, "fallback_model", "exception_status"],
        ),
        _shown("cache", ["litellm_cache_hits_metric", "litellm_cache_misses_metric"], [_DEPLOYMENT]),
    ],
    "prometheus_metrics_max_series_per_metric": _MOST_SERIES,
    "prometheus_latency_buckets": list(_SECONDS),
}
"""Its part of `litellm_settings`."""
