"""Entries of `router_settings`, and of fallbacks in both sections."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_TWO = """
model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_base: "http://127.0.0.1:9/v1", api_key: none}}
  - {model_name: b, litellm_params: {model: openai/y, api_base: "http://127.0.0.1:9/v1", api_key: none}}
"""
_NOT_OBEYED = "it is not obeyed"


def _router(settings: str) -> str:
    return f"{_TWO}router_settings: {{{settings}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "strategies": _router("routing_strategy: least-busy"),
    "strategy-unknown": _router("routing_strategy: latency-based"),
    "strategy-number": _router("routing_strategy: 5"),
    "strategy-short": Entry(_router("strategy: least-busy"), breaks=_NOT_OBEYED),
    "strategy-arguments": _router("routing_strategy: latency-based-routing, routing_strategy_args: {ttl: 10}"),
    "strategy-arguments-word": _router("routing_strategy: latency-based-routing, routing_strategy_args: fast"),
    "fallbacks": _router("fallbacks: [{a: [b]}]"),
    "fallbacks-mapping": _router("fallbacks: {a: [b]}"),
    "fallbacks-word": _router("fallbacks: b"),
    "fallbacks-entry-word": _router("fallbacks: [a]"),
    "fallbacks-two-in-one": _router("fallbacks: [{a: [b], b: [a]}]"),
    "fallbacks-target-word": Entry(_router("fallbacks: [{a: b}]"), breaks="it is read letter by letter"),
    "fallbacks-target-missing": Entry(_router("fallbacks: [{a: [c]}]"), breaks="the fallback fails"),
    "fallbacks-source-missing": Entry(_router("fallbacks: [{c: [a]}]"), breaks="they are never used"),
    "fallbacks-to-itself": Entry(_router("fallbacks: [{a: [a]}]"), breaks="nobody else is asked"),
    "fallbacks-twice": Entry(_router("fallbacks: [{a: [b]}, {a: [b]}]"), breaks="the second does not count"),
    "fallbacks-of-all": _router('fallbacks: [{"*": [b]}]'),
    "fallbacks-nothing": _router("fallbacks: "),
    "fallbacks-empty": _router("fallbacks: []"),
    "fallbacks-in-settings": f"{_TWO}litellm_settings: {{fallbacks: [{{a: [b]}}]}}\n",
    "fallbacks-in-settings-mapping": f"{_TWO}litellm_settings: {{fallbacks: {{a: [b]}}}}\n",
    "context-fallbacks": _router("context_window_fallbacks: [{a: [b]}]"),
    "context-fallbacks-mapping": Entry(_router("context_window_fallbacks: {a: [b]}"), breaks=_NOT_OBEYED),
    "policy-fallbacks-mapping": _router("content_policy_fallbacks: {a: [b]}"),
    "default-fallbacks": _router("default_fallbacks: [b]"),
    "default-fallbacks-word": Entry(_router("default_fallbacks: b"), breaks="it is read letter by letter"),
    "aliases": _router("model_group_alias: {gpt-4o: a}"),
    "aliases-list": _router("model_group_alias: [{gpt-4o: a}]"),
    "aliases-to-list": Entry(_router("model_group_alias: {gpt-4o: [a]}"), breaks="the alias answers 400"),
    "aliases-hidden": _router("model_group_alias: {gpt-4o: {model: a, hidden: true}}"),
    "aliases-without-hidden": _router("model_group_alias: {gpt-4o: {model: a}}"),
    "aliases-missing": Entry(_router("model_group_alias: {gpt-4o: c}"), breaks="the alias answers 400"),
    "aliases-chain": Entry(_router("model_group_alias: {g: h, h: a}"), breaks="the alias answers 400"),
    "aliases-shadow": Entry(_router("model_group_alias: {a: b}"), breaks="the model cannot be reached"),
    "retries": _router("num_retries: 3, timeout: 30, allowed_fails: 1, cooldown_time: 30"),
    "retries-word": Entry(_router("num_retries: some"), breaks=_NOT_OBEYED),
    "retries-misspelled": Entry(_router("num_retires: 3"), breaks=_NOT_OBEYED),
    "retry-policy": _router("retry_policy: {RateLimitErrorRetries: 3}"),
    "retry-policy-word": _router("retry_policy: {RateLimitErrorRetries: many}"),
    "retry-policy-list": Entry(_router("retry_policy: [3]"), breaks=_NOT_OBEYED),
    "retry-policy-unknown": _router("retry_policy: {ZebraRetries: 3}"),
    "allowed-fails-policy": _router("allowed_fails_policy: {TimeoutErrorAllowedFails: 3}"),
    "allowed-fails-policy-word": _router("allowed_fails_policy: {TimeoutErrorAllowedFails: many}"),
    "group-retry-policy": _router("model_group_retry_policy: {a: {TimeoutErrorRetries: 3}}"),
    "checks": _router("optional_pre_call_checks: [enforce_model_rate_limits]"),
    "checks-unknown": Entry(_router("optional_pre_call_checks: [zebra]"), breaks="it checks nothing"),
    "checks-word": _router("optional_pre_call_checks: enforce_model_rate_limits"),
    "unknown": _router("zebra_stripes: 1"),
    "misplaced": Entry(_router("master_key: sk-1234"), breaks=_NOT_OBEYED),
    "health-check-misplaced": _router("health_check_interval: 60"),
    "settings-list": Entry(f"{_TWO}router_settings: [a]\n", breaks=_NOT_OBEYED),
    "settings-word": Entry(f"{_TWO}router_settings: fast\n", breaks=_NOT_OBEYED),
    "settings-nothing": f"{_TWO}router_settings:\n",
    "tag-filtering": _router("enable_tag_filtering: true"),
    "tag-filtering-word": _router("enable_tag_filtering: maybe"),
    "groups": _router("routing_groups: [{group_name: g, models: [a, b], routing_strategy: simple-shuffle}]"),
    "groups-strategy-unknown": _router("routing_groups: [{group_name: g, models: [a], routing_strategy: zebra}]"),
    "groups-without-name": _router("routing_groups: [{models: [a], routing_strategy: simple-shuffle}]"),
    "provider-budget": _router("provider_budget_config: {openai: {budget_limit: 1.0, time_period: 1d}}"),
    "provider-budget-word": _router("provider_budget_config: {openai: {budget_limit: much, time_period: 1d}}"),
    "redis-port-word": _router("redis_host: 127.0.0.1, redis_port: none"),
    "max-fallbacks-negative": _router("max_fallbacks: -1"),
    "cooldowns-off": _router("disable_cooldowns: true"),
}
