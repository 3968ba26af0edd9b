"""Entries of `litellm_settings` and `general_settings` that are no cache, callback, guardrail or key."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_NOT_OBEYED = "it is not obeyed"
_KEY = "master_key: os.environ/LITELLM_MASTER_KEY"


def _litellm(settings: str) -> str:
    return f"litellm_settings: {{{settings}}}\n"


def _general(settings: str) -> str:
    return f"general_settings: {{{_KEY}, {settings}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "litellm-list": "litellm_settings: [drop_params]",
    "litellm-word": "litellm_settings: fast",
    "litellm-nothing": "litellm_settings:",
    "general-list": "general_settings: [a]",
    "general-word": "general_settings: fast",
    "drop-params": _litellm("drop_params: true"),
    "drop-params-word": _litellm("drop_params: maybe"),
    "timeout-word": Entry(_litellm("request_timeout: long"), breaks=_NOT_OBEYED),
    "unknown": _litellm("zebra_stripes: 1"),
    "misspelled": Entry(_litellm("drop_parms: true"), breaks=_NOT_OBEYED),
    "misplaced-general": Entry(_litellm("database_connection_timeout: 5"), breaks=_NOT_OBEYED),
    "misplaced-router": Entry(_litellm("routing_strategy: least-busy"), breaks=_NOT_OBEYED),
    "misplaced-section": Entry(_litellm("router_settings: {num_retries: 3}"), breaks=_NOT_OBEYED),
    "json-logs": _litellm("json_logs: true"),
    "budget": _litellm("max_budget: 10, budget_duration: 30d"),
    "budget-word": _litellm("max_budget: much"),
    "internal-budget-word": _litellm("max_internal_user_budget: much"),
    "ui-budget-word": _litellm("max_ui_session_budget: much"),
    "team-settings": _litellm("default_team_settings: [{team_id: t1, success_callback: [langfuse]}]"),
    "team-settings-no-id": _litellm("default_team_settings: [{success_callback: [langfuse]}]"),
    "team-settings-word": _litellm("default_team_settings: [t1]"),
    "team-settings-mapping": _litellm("default_team_settings: {team_id: t1}"),
    "upperbound": _litellm("upperbound_key_generate_params: {max_budget: 10, duration: 30d}"),
    "upperbound-word": _litellm("upperbound_key_generate_params: much"),
    "upperbound-list": _litellm("upperbound_key_generate_params: [10]"),
    "upperbound-value-word": _litellm("upperbound_key_generate_params: {max_budget: much}"),
    "internal-user-params": _litellm("default_internal_user_params: {user_role: internal_user, max_budget: 10}"),
    "internal-user-params-word": _litellm("default_internal_user_params: {max_budget: much}"),
    "budget-reset-time": _litellm('budget_reset_time: "03:00"'),
    "budget-reset-time-word": _litellm("budget_reset_time: night"),
    "alias-pattern": _litellm('key_alias_pattern: "^[a-z]+$"'),
    "alias-pattern-broken": _litellm('key_alias_pattern: "["'),
    "priority": _litellm("priority_reservation: {prod: 0.9, dev: 0.1}"),
    "priority-settings": _litellm("priority_reservation_settings: {default_priority: 0.2}"),
    "priority-settings-word": _litellm("priority_reservation_settings: {default_priority: high}"),
    "model-group-settings": _litellm("model_group_settings: {forward_client_headers_to_llm_api: [a]}"),
    "model-group-settings-word": _litellm("model_group_settings: {forward_client_headers_to_llm_api: a}"),
    "responses": _litellm("responses: {background_mode: {polling_via_cache: [openai]}}"),
    "responses-word": _litellm("responses: on"),
    "rules-missing": _litellm("post_call_rules: own.check"),
    "rules-list": _litellm("post_call_rules: [own.check]"),
    "prompt-folder-missing": _litellm("global_prompt_directory: ./none"),
    "general-unknown": _general("zebra_stripes: 1"),
    "general-misspelled": Entry(_general("healthcheck_intervall: 5"), breaks=_NOT_OBEYED),
    "general-misplaced": Entry(_general("num_retries: 3"), breaks=_NOT_OBEYED),
    "server-settings": "server_settings: {port: 4000}",
    "alerting": _general("alerting: [slack]"),
    "alerting-word": _general("alerting: slack"),
    "alerting-at-top": "alerting: {alertmanagers: []}",
    "health-checks": _general("background_health_checks: true, health_check_interval: 300"),
    "health-checks-word": Entry(
        _general("background_health_checks: true, health_check_interval: often"), breaks="they never run"
    ),
    "health-check-groups": _general("background_health_checks: true, background_health_check_model_groups: [m]"),
    "health-check-groups-word": _general("background_health_checks: true, background_health_check_model_groups: m"),
    "health-check-staleness-word": _general("enable_health_check_routing: true, health_check_staleness_threshold: old"),
    "pass-through": _general('pass_through_endpoints: [{path: /x, target: "http://127.0.0.1:9"}]'),
    "pass-through-no-target": Entry(_general("pass_through_endpoints: [{path: /x}]"), breaks="it is left out"),
    "pass-through-no-path": _general('pass_through_endpoints: [{target: "http://127.0.0.1:9"}]'),
    "pass-through-word": Entry(_general("pass_through_endpoints: /x"), breaks="there is no endpoint"),
    "pass-through-mapping": Entry(
        _general('pass_through_endpoints: {path: /x, target: "http://127.0.0.1:9"}'), breaks="there is no endpoint"
    ),
    "pass-through-headers-list": _general(
        'pass_through_endpoints: [{path: /x, target: "http://127.0.0.1:9", headers: [a]}]'
    ),
    "key-cache-ttl-word": _general("user_api_key_cache_ttl: long"),
    "key-cache-size-word": _general("user_api_key_cache_max_size: large"),
    "role-permissions-unknown": _general("role_permissions: [{role: zebra, models: [a]}]"),
    "custom-auth-missing": _general("custom_auth: own.check"),
    "custom-auth": Entry(
        _general("custom_auth: own.check"), files={"own.py": "async def check(request, api_key):\n    return api_key\n"}
    ),
    "vector-stores-deny-word": _general("vector_store_deny_by_default: maybe"),
    "mcp-versions": _general('mcp_advertised_versions: ["1999-01-01"]'),
    "team-metadata-schema-word": _general("team_metadata_schema: any"),
    "key-management-unknown": _general("key_management_system: my_vault"),
    "key-management-settings-unknown": _general("key_management_settings: {access_mode: zebra}"),
    "tracing-word": _general("tracing: on"),
}
