"""Entries of keys, licences, secret managers, alerts, health checks, endpoints, teams and local providers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import KEY, Entry

_NOT_OBEYED = "it is not obeyed"
_OPEN = "everybody is let in"
_MASTER = "master_key: os.environ/LITELLM_MASTER_KEY"
_NO_KEY: Mapping[str, str | None] = {"LITELLM_MASTER_KEY": None}
_TARGET = 'target: "http://127.0.0.1:9"'


def _general(settings: str) -> str:
    return f"general_settings: {{{_MASTER}, {settings}}}\n"


def _litellm(settings: str) -> str:
    return f"litellm_settings: {{{settings}}}\n"


def _passed(params: str) -> str:
    return _general(f"pass_through_endpoints: [{{{params}}}]")


ENTRIES: Mapping[str, Entry | str] = {
    "key-none": Entry("", environment=_NO_KEY),
    "key-none-no-section": Entry("general_settings:\n", environment=_NO_KEY),
    "key-by-variable-alone": "general_settings: {}\n",
    "key-weak": "general_settings: {master_key: sk-1234}\n",
    "key-weak-spaces": 'general_settings: {master_key: " sk-1234 "}\n',
    "key-weak-by-other-variable": Entry(
        "general_settings: {master_key: os.environ/PROXY_KEY}\n", environment={"PROXY_KEY": "sk-1234"}
    ),
    "key-weak-by-own-variables": (
        "general_settings: {master_key: os.environ/PROXY_KEY}\nenvironment_variables: {PROXY_KEY: sk-1234}\n"
    ),
    "key-empty-by-variable": Entry("", environment={"LITELLM_MASTER_KEY": ""}),
    "key-spaces": 'general_settings: {master_key: "  "}\n',
    "key-nothing": Entry("general_settings: {master_key: }\n", environment=_NO_KEY),
    "key-nothing-and-variable": "general_settings: {master_key: }\n",
    "key-number": "general_settings: {master_key: 1234567890}\n",
    "key-list": f"general_settings: {{master_key: [{KEY}]}}\n",
    "key-in-file": f"general_settings: {{master_key: {KEY}}}\n",
    "key-without-prefix": "general_settings: {master_key: Tq9f3LmX7vB2cN8dZ}\n",
    "key-short": "general_settings: {master_key: sk-ab}\n",
    "key-at-top": Entry(f"master_key: {KEY}\n", breaks=_NOT_OBEYED),
    "key-in-litellm-settings": Entry(f"litellm_settings: {{master_key: {KEY}}}\n", breaks=_NOT_OBEYED),
    "key-permit": Entry(
        "general_settings: {dangerously_permit_weak_or_unset_master_key: true}\n", environment=_NO_KEY, breaks=_OPEN
    ),
    "key-permit-word": Entry(
        'general_settings: {dangerously_permit_weak_or_unset_master_key: "true"}\n', environment=_NO_KEY
    ),
    "key-permit-variable": Entry(
        "general_settings: {}\n",
        environment={**_NO_KEY, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "True"},
        breaks=_OPEN,
    ),
    "key-permit-variable-one": Entry(
        "general_settings: {}\n",
        environment={**_NO_KEY, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "1"},
    ),
    "licence-allowed-ips": _general("allowed_ips: [127.0.0.1]"),
    "licence-enforced-params": _general("enforced_params: [user]"),
    "licence-tag-budget": _litellm("tag_budget_config: {a: {max_budget: 1, budget_duration: 1d}}"),
    "licence-jwt": _general("enable_jwt_auth: true"),
    "licence-public-routes": _general("public_routes: [/x]"),
    "licence-audit": _litellm("store_audit_logs: true"),
    "licence-vault": _general("key_management_system: hashicorp_vault"),
    "licence-google": _general("key_management_system: google_secret_manager"),
    "licence-banned-list": _litellm("banned_keywords_list: [a]"),
    "licence-pass-through-auth": _passed(f"path: /x, {_TARGET}, auth: true"),
    "licence-jwt-settings": _general("enable_jwt_auth: true, litellm_jwtauth: {user_id_jwt_field: sub}"),
    "licence-jwt-settings-unknown": _general("enable_jwt_auth: true, litellm_jwtauth: {zebra: sub}"),
    "licence-jwt-settings-word": _general("enable_jwt_auth: true, litellm_jwtauth: sub"),
    "secrets-aws-kms": _general("key_management_system: aws_kms"),
    "secrets-aws": Entry(
        _general("key_management_system: aws_secret_manager, key_management_settings: {access_mode: read_only}")
    ),
    "secrets-google-kms": _general("key_management_system: google_kms"),
    "secrets-azure": _general("key_management_system: azure_key_vault"),
    "secrets-local": _general("key_management_system: local"),
    "secrets-custom-without": _general("key_management_system: custom"),
    "secrets-upper-case": _general("key_management_system: AWS_SECRET_MANAGER"),
    "secrets-number": Entry(_general("key_management_system: 5"), breaks="it reads no secret"),
    "secrets-settings-list": _general("key_management_settings: [a]"),
    "secrets-settings-alone": _general("key_management_settings: {store_virtual_keys: true}"),
    "secrets-hosted-word": _general("key_management_settings: {hosted_keys: A}"),
    "secrets-store-word": _general("key_management_settings: {store_virtual_keys: maybe}"),
    "alerts-unknown": Entry(_general("alerting: [zebra]"), breaks="nobody is notified"),
    "alerts-number": _general("alerting: 5"),
    "alerts-args-word": _general("alerting: [slack], alerting_args: fast"),
    "alerts-args-value-word": _general("alerting: [slack], alerting_args: {daily_report_frequency: often}"),
    "alerts-threshold-word": _general("alerting: [slack], alerting_threshold: slow"),
    "alerts-types-unknown": Entry(_general("alerting: [slack], alert_types: [zebra]"), breaks="nobody is notified"),
    "alerts-types-word": _general("alerting: [slack], alert_types: llm_exceptions"),
    "alerts-webhooks": _general('alerting: [slack], alert_to_webhook_url: {llm_exceptions: "http://127.0.0.1:9"}'),
    "alerts-webhooks-list": _general('alerting: [slack], alert_to_webhook_url: ["http://127.0.0.1:9"]'),
    "alerts-webhooks-variable-unset": _general(
        "alerting: [slack], alert_to_webhook_url: {llm_exceptions: os.environ/SLACK_X}"
    ),
    "health-interval-text": Entry(
        _general('background_health_checks: true, health_check_interval: "300"'), breaks="they never run"
    ),
    "health-interval-zero": Entry(
        _general("background_health_checks: true, health_check_interval: 0"), breaks="they never run"
    ),
    "health-interval-float": Entry(
        _general("background_health_checks: true, health_check_interval: 0.5"), breaks="they never run"
    ),
    "health-word": Entry(_general('background_health_checks: "false"'), breaks="they are on"),
    "health-in-router": Entry("router_settings: {background_health_checks: true}\n", breaks=_NOT_OBEYED),
    "health-in-litellm": Entry(_litellm("background_health_checks: true"), breaks=_NOT_OBEYED),
    "health-concurrency-word": _general("background_health_checks: true, health_check_concurrency: many"),
    "pass-path-relative": Entry(_passed(f"path: x, {_TARGET}"), breaks="404"),
    "pass-target-bare": Entry(_passed("path: /x, target: 127.0.0.1:9"), breaks="each request fails"),
    "pass-methods": _passed(f"path: /x, {_TARGET}, methods: [GET, POST]"),
    "pass-methods-lower-case": Entry(_passed(f"path: /x, {_TARGET}, methods: [get]"), breaks="405"),
    "pass-methods-word": Entry(_passed(f"path: /x, {_TARGET}, methods: GET"), breaks="405"),
    "pass-headers-variable": Entry(
        _passed(f'path: /x, {_TARGET}, headers: {{Authorization: "bearer os.environ/K"}}'), environment={"K": "k"}
    ),
    "pass-headers-variable-unset": _passed(f'path: /x, {_TARGET}, headers: {{Authorization: "bearer os.environ/K"}}'),
    "pass-headers-number": _passed(f"path: /x, {_TARGET}, headers: {{A: 5}}"),
    "pass-path-number": _passed(f"path: 5, {_TARGET}"),
    "pass-entry-word": _general("pass_through_endpoints: [/x]"),
    "pass-in-litellm": Entry(_litellm(f"pass_through_endpoints: [{{path: /x, {_TARGET}}}]"), breaks=_NOT_OBEYED),
    "pass-at-top": Entry(f"pass_through_endpoints: [{{path: /x, {_TARGET}}}]\n", breaks=_NOT_OBEYED),
    "pass-unknown-key": _passed(f"path: /x, {_TARGET}, zebra: 1"),
    "pass-cost-word": _passed(f"path: /x, {_TARGET}, cost_per_request: cheap"),
    "pass-subpath-word": _passed(f"path: /x, {_TARGET}, include_subpath: maybe"),
    "pass-twice": _general(f"pass_through_endpoints: [{{path: /x, {_TARGET}}}, {{path: /x, {_TARGET}}}]"),
    "teams-number": _litellm("default_team_settings: [{team_id: 5}]"),
    "teams-callback-word": _litellm("default_team_settings: [{team_id: t, success_callback: langfuse}]"),
    "teams-nothing": _litellm("default_team_settings: "),
    "teams-in-general": Entry(_general("default_team_settings: [{team_id: t}]"), breaks=_NOT_OBEYED),
    "credential-list-word": "credential_list: c\n",
    "credential-values-list": "credential_list: [{credential_name: c, credential_values: [k], credential_info: {}}]\n",
    "credential-name-number": (
        "credential_list: [{credential_name: 5, credential_values: {api_key: k}, credential_info: {}}]\n"
    ),
    "credential-unknown-name": Entry(
        "credential_list: [{credential_name: c, credential_values: {api_key: k}, credential_info: {}}]\n"
        "model_list: [{model_name: a, litellm_params: {model: openai/x, litellm_credential_name: d}}]\n",
        breaks="it is asked without a key",
    ),
    "credential-in-general": Entry(
        _general("credential_list: [{credential_name: c, credential_values: {}, credential_info: {}}]"),
        breaks=_NOT_OBEYED,
    ),
    "prompts-dotprompt-folder": (
        "prompts: [{prompt_id: p, litellm_params: {prompt_id: p, prompt_integration: dotprompt, "
        "prompt_directory: ./none}}]\n"
    ),
    "prompts-nothing": "prompts:\n",
    "prompts-word": "prompts: p\n",
    "prompts-id-number": ("prompts: [{prompt_id: 5, litellm_params: {prompt_id: p, prompt_integration: dotprompt}}]\n"),
    "prompts-in-litellm": Entry(
        _litellm("prompts: [{prompt_id: p, litellm_params: {prompt_id: p, prompt_integration: dotprompt}}]"),
        breaks=_NOT_OBEYED,
    ),
    "vector-store-unknown-provider": (
        "vector_store_registry: [{vector_store_name: v, litellm_params: {vector_store_id: i, "
        "custom_llm_provider: zebra}}]\n"
    ),
    "vector-store-nothing": "vector_store_registry:\n",
    "vector-store-without-provider": (
        "vector_store_registry: [{vector_store_name: v, litellm_params: {vector_store_id: i}}]\n"
    ),
}
