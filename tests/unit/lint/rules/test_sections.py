"""What the rules about the sections beside models say of configurations that LiteLLM was started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from roles.lint import Finding, lint

_KEY = "sk-Tq9f3LmX7vB2cN8d"
_MODELS = 'model_list: [{model_name: a, litellm_params: {model: openai/x, api_base: "http://h/v1", api_key: none}}]\n'
_REST: Mapping[str, str] = {
    "litellm_settings": "litellm_settings: {request_timeout: 60}\n",
    "general_settings": "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}\n",
}


def _document(text: str) -> str:
    rest = "".join(line for section, line in _REST.items() if f"{section}:" not in text)
    return f"{_MODELS}{rest}{text}\n"


def _lint(text: str, *, version: str = "1.106.2", name: str = "x.yaml", **variables: str | None) -> list[Finding]:
    given = {"LITELLM_MASTER_KEY": _KEY, **variables}
    environment = {key: value for key, value in given.items() if value is not None}
    return lint(_document(text), version=version, environment=environment, name=name)


def _settings(text: str) -> str:
    return f"litellm_settings: {{request_timeout: 60, {text}}}"


def _general(text: str) -> str:
    return f"general_settings: {{master_key: os.environ/LITELLM_MASTER_KEY, {text}}}"


def _cache(params: str) -> str:
    return _settings(f"cache: true, cache_params: {params}")


def _guardrail(params: str, beside: str = "guardrail_name: g, ") -> str:
    return f"guardrails: [{{{beside}litellm_params: {params}}}]"


def _server(params: str, name: str = "x") -> str:
    return f'mcp_servers: {{{name}: {{url: "http://127.0.0.1:9/mcp"{params}}}}}'


_STOPS = "does not start"
_WITHOUT = "WITHOUT"

WRONG: Mapping[str, tuple[str, str, str, str]] = {
    # name → text, rule, severity, words of the message
    "key-weak": ("general_settings: {master_key: sk-1234}", "master-key-unsafe", "error", _STOPS),
    "key-empty": ('general_settings: {master_key: ""}', "master-key-unsafe", "error", _STOPS),
    "key-blank": ('general_settings: {master_key: "  "}', "master-key-unsafe", "error", _STOPS),
    "key-null": ("general_settings: {master_key: }", "master-key-missing", "error", _STOPS),
    "key-by-unset-variable": ("general_settings: {master_key: os.environ/NONE}", "master-key-missing", "error", _STOPS),
    "cache-no-type": (_cache("{host: h, port: 1}"), "cache-without-type", "warning", "in memory"),
    "cache-no-type-password": (_cache("{password: p, ttl: 5}"), "cache-without-type", "warning", "`password`"),
    "cache-key": (_cache("{type: redis, host: h, socket_timeout: 1, max_pool: 5}"), "cache-parameter", "error", _STOPS),
    "cache-key-nested": (_cache("{type: redis, host: h, redis_kwargs: {}}"), "cache-parameter", "error", _STOPS),
    "cache-key-s3": (_cache("{type: s3, s3_bucket_name: b, bucket: b}"), "cache-parameter", "error", "S3"),
    "cache-type": (_cache("{type: Redis, host: h}"), "cache-type-unknown", "error", _STOPS),
    "cache-type-memory": (_cache("{type: in-memory}"), "cache-type-unknown", "error", _STOPS),
    "cache-type-null": (_cache("{type: }"), "cache-type-unknown", "error", _STOPS),
    "cache-word": (_settings('cache: "true"'), "cache-value", "error", "each request fails"),
    "cache-number": (_settings("cache: 1"), "cache-value", "error", "each request fails"),
    "cache-redis": (_settings("cache: redis"), "cache-value", "error", "each request fails"),
    "cache-mapping": (_settings("cache: {type: local}"), "cache-value", "error", "each request fails"),
    "cache-no-server": (_settings("cache: true"), "cache-incomplete", "error", _STOPS),
    "cache-no-host": (_cache("{type: redis, ttl: 5}"), "cache-incomplete", "error", _STOPS),
    "cache-semantic": (_cache("{type: redis-semantic, host: h}"), "cache-incomplete", "error", "similarity_threshold"),
    "cache-disk": (_cache("{type: disk}"), "cache-package", "warning", "diskcache"),
    "callback-mapping": (
        _settings("callbacks: [{websearch_interception: {search_tool_name: s}}]"),
        "callback-item",
        "error",
        _STOPS,
    ),
    "callback-null": (_settings("callbacks: [null]"), "callback-item", "error", _STOPS),
    "callback-number": (_settings("success_callback: [5]"), "callback-item", "error", _STOPS),
    "callbacks-null": (_settings("success_callback: "), "callback-item", "error", _STOPS),
    "callback-typo": (_settings("callbacks: [langfusee]"), "callback-unknown", "error", _STOPS),
    "callback-of-the-log": (_settings("callbacks: [sentry]"), "callback-unknown", "error", _STOPS),
    "callback-of-the-list": (_settings("success_callback: [presidio]"), "callback-unknown", "error", "calls nothing"),
    "callback-nowhere": (_settings("failure_callback: [nonsense]"), "callback-unknown", "error", "calls nothing"),
    "package-langfuse": (_settings("success_callback: [langfuse]"), "callback-package", "warning", "every request"),
    "package-sentry": (_settings("failure_callback: [sentry]"), "callback-package", "warning", "sentry-sdk"),
    "package-otel": (_settings("callbacks: [otel]"), "callback-package", "warning", "opentelemetry-sdk"),
    "metrics-system": (_settings("service_callback: [prometheus_system]"), "prometheus-package", "warning", _STOPS),
    "metrics-success": (_settings("success_callback: [prometheus]"), "prometheus-package", "warning", _STOPS),
    "variable-datadog": (_settings("success_callback: [datadog]"), "callback-variable", "error", "every request"),
    "guardrail-mode": (
        _guardrail("{guardrail: lakera_v2, mode: precall, api_key: k}"),
        "guardrail-mode",
        "error",
        _WITHOUT,
    ),
    "guardrail-mode-in-list": (
        _guardrail("{guardrail: lakera_v2, mode: [pre_call, postcall], api_key: k}"),
        "guardrail-mode",
        "error",
        "postcall",
    ),
    "guardrail-mode-by-tag": (
        _guardrail("{guardrail: lakera_v2, mode: {tags: {a: precall}}, api_key: k}"),
        "guardrail-mode",
        "error",
        _WITHOUT,
    ),
    "guardrail-mode-of-another": (
        _guardrail("{guardrail: aporia, mode: pre_call, api_key: k, api_base: b}"),
        "guardrail-mode",
        "error",
        "aporia has no mode",
    ),
    "guardrail-no-mode": (_guardrail("{guardrail: lakera_v2, api_key: k}"), "guardrail-mode", "error", "missing"),
    "guardrail-unknown": (
        _guardrail("{guardrail: lakera_v9, mode: pre_call}"),
        "guardrail-unknown",
        "error",
        _WITHOUT,
    ),
    "guardrail-case": (_guardrail("{guardrail: Presidio, mode: pre_call}"), "guardrail-unknown", "error", _WITHOUT),
    "guardrail-underscore": (
        _guardrail("{guardrail: hide_secrets, mode: pre_call}"),
        "guardrail-unknown",
        "error",
        _WITHOUT,
    ),
    "guardrail-default-on": (
        _guardrail("{guardrail: lakera_v2, mode: pre_call, api_key: k}", "guardrail_name: g, default_on: true, "),
        "misplaced-key",
        "error",
        "litellm_params",
    ),
    "guardrail-mode-beside": (
        _guardrail("{guardrail: lakera_v2, api_key: k}", "guardrail_name: g, mode: pre_call, "),
        "misplaced-key",
        "error",
        "litellm_params",
    ),
    "guardrail-no-name": (
        _guardrail("{guardrail: lakera_v2, mode: pre_call}", ""),
        "guardrail-shape",
        "error",
        _STOPS,
    ),
    "guardrail-word": ("guardrails: [presidio]", "guardrail-shape", "error", _STOPS),
    "guardrail-number": (
        _guardrail("{guardrail: lakera_v2, mode: pre_call}", "guardrail_name: 5, "),
        "guardrail-shape",
        "error",
        _STOPS,
    ),
    "guardrail-in-settings": (
        _settings("guardrails: [{guardrail_name: g, litellm_params: {guardrail: lakera_v2}}]"),
        "guardrail-shape",
        "error",
        _STOPS,
    ),
    "guardrail-no-key": (_guardrail("{guardrail: aim, mode: pre_call}"), "guardrail-incomplete", "error", _STOPS),
    "guardrail-no-base": (
        _guardrail("{guardrail: generic_guardrail_api, mode: pre_call}"),
        "guardrail-incomplete",
        "error",
        _WITHOUT,
    ),
    "mcp-list": ("mcp_servers: [{server_name: x}]", "section-shape", "error", "mapping"),
    "mcp-transport": (_server(", transport: streamable_http"), "mcp-server-value", "error", _STOPS),
    "mcp-transport-case": (_server(", transport: SSE"), "mcp-server-value", "error", _STOPS),
    "mcp-auth": (_server(", auth_type: bearer"), "mcp-server-value", "error", _STOPS),
    "mcp-auth-case": (_server(", auth_type: API_KEY"), "mcp-server-value", "error", _STOPS),
    "mcp-name": (_server("", "my-server"), "mcp-server-shape", "error", _STOPS),
    "mcp-null": ("mcp_servers: {x: }", "mcp-server-shape", "error", _STOPS),
    "mcp-env": ("mcp_servers: {x: {command: npx, env: {PORT: 80}}}", "mcp-server-value", "error", _STOPS),
    "mcp-tools": (_server(", allowed_tools: a"), "mcp-server-value", "error", _STOPS),
    "mcp-flow": (_server(", auth_type: oauth2"), "mcp-oauth", "error", _STOPS),
    "mcp-empty-settings": (f"litellm_settings:\n{_server('')}", "mcp-without-settings", "error", _STOPS),
    "licence-ips": (_general("allowed_ips: [192.0.2.1]"), "enterprise-setting", "warning", _STOPS),
    "licence-params": (_general("enforced_params: [user]"), "enterprise-setting", "warning", _STOPS),
    "licence-jwt": (_general("enable_jwt_auth: true"), "enterprise-setting", "warning", "JWT"),
    "licence-oauth": (_general("enable_oauth2_auth: true"), "enterprise-setting", "warning", "every request"),
    "licence-secrets": (_settings("callbacks: [hide_secrets]"), "enterprise-setting", "warning", _STOPS),
    "credential-no-info": (
        "credential_list: [{credential_name: c, credential_values: {}}]",
        "entry-shape",
        "error",
        "credential_info",
    ),
    "team-no-id": (_settings("default_team_settings: [{success_callback: []}]"), "entry-shape", "error", _STOPS),
    "team-null": (_settings("default_team_settings: "), "setting-stops-start", "error", _STOPS),
    "prompt-no-id": (
        "prompts: [{litellm_params: {prompt_integration: dotprompt}}]",
        "entry-shape",
        "error",
        "prompt_id",
    ),
    "prompt-kind": (
        "prompts: [{prompt_id: p, litellm_params: {prompt_integration: dotpromt}}]",
        "entry-word",
        "error",
        _STOPS,
    ),
    "store-no-provider": (
        "vector_store_registry: [{litellm_params: {vector_store_id: v}}]",
        "entry-shape",
        "error",
        "custom_llm_provider",
    ),
    "agent-no-card": ("agents: [{agent_name: a}]", "entry-dropped", "error", "leaves it out"),
    "manager-unknown": (_general("key_management_system: vault"), "key-management", "error", _STOPS),
    "manager-local": (_general("key_management_system: local"), "key-management", "error", _STOPS),
    "manager-mode": (_general("key_management_settings: {access_mode: all}"), "key-management", "error", _STOPS),
    "alert-typo": (_general("alerting: [slak]"), "alerting", "error", "notifies nobody"),
    "passed-no-path": (_general("pass_through_endpoints: [{target: http://h}]"), "entry-shape", "error", _STOPS),
    "passed-no-slash": (
        _general("pass_through_endpoints: [{path: a, target: http://h}]"),
        "pass-through",
        "error",
        "404",
    ),
    "checks-interval": (
        _general("background_health_checks: true, health_check_interval: 0"),
        "health-check-interval",
        "error",
        "never run",
    ),
}

RIGHT: Mapping[str, str] = {
    "key-of-ones-own": "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}",
    "key-set-by-the-file": "environment_variables: {LITELLM_MASTER_KEY: sk-of-ones-own-1}\ngeneral_settings: {a: }",
    "cache-off": _settings("cache: false"),
    "cache-local": _cache("{type: local, ttl: 5, mode: default_off}"),
    "cache-mode-only": _cache("{mode: default_off}"),
    "cache-redis": _cache("{type: redis, host: h, port: 1, socket_timeout: 1, ssl: true, namespace: n, ttl: 5}"),
    "cache-redis-url": _cache('{type: redis, url: "redis://h:1", socket_timeout: 1}'),
    "cache-sentinel": _cache('{type: redis, sentinel_nodes: [["h", 1]], service_name: s, socket_timeout: 1}'),
    "cache-s3": _cache("{type: s3, s3_bucket_name: b, s3_region_name: r, s3_path: p, supported_call_types: []}"),
    "callbacks": _settings("callbacks: [dynamic_rate_limiter_v3, s3_v2], success_callback: [langsmith]"),
    "callback-of-ones-own": _settings("callbacks: [my_handlers.logger], failure_callback: [my_handlers.failed]"),
    "callback-declared": (
        _settings("callbacks: [hook]")
        + "\ncallback_settings: {hook: {callback_type: generic_api, endpoint: http://h, headers: {a: b}}}"
    ),
    "callbacks-empty": _settings("callbacks: [], success_callback: []"),
    "guardrail": _guardrail("{guardrail: lakera_v2, mode: pre_call, api_key: k, default_on: true}"),
    "guardrail-modes": _guardrail("{guardrail: lakera_v2, mode: [PRE_CALL, post_call], api_key: k}"),
    "guardrail-of-ones-own": _guardrail("{guardrail: my_guard.Guard, mode: during_call}"),
    "guardrail-with-info": _guardrail(
        "{guardrail: bedrock, mode: pre_call, guardrailIdentifier: x, guardrailVersion: DRAFT}",
        "guardrail_name: g, guardrail_info: {a: b}, ",
    ),
    "guardrail-presidio": _guardrail(
        "{guardrail: presidio, mode: pre_call, presidio_analyzer_api_base: http://h, "
        "presidio_anonymizer_api_base: http://h, pii_entities_config: {EMAIL_ADDRESS: MASK}}"
    ),
    "mcp": _server(", transport: http, auth_type: none, allowed_tools: [a], static_headers: {A: b}"),
    "mcp-key": _server(", auth_type: api_key, auth_value: os.environ/LITELLM_MASTER_KEY"),
    "mcp-oauth": _server(", auth_type: oauth2, oauth2_flow: client_credentials, client_id: a, token_url: http://h"),
    "mcp-timeout-as-a-word": _server(', timeout: "30"'),
    "credential": "credential_list: [{credential_name: c, credential_values: {api_key: k}, credential_info: {}}]",
    "team": _settings("default_team_settings: [{team_id: t, success_callback: [s3_v2]}]"),
    "store": (
        "vector_store_registry: [{vector_store_name: v, litellm_params: "
        "{vector_store_id: v, custom_llm_provider: bedrock}}]"
    ),
    "prompt": "prompts: [{prompt_id: p, litellm_params: {prompt_id: p, prompt_integration: dotprompt}}]",
    "search": "search_tools: [{search_tool_name: s, litellm_params: {search_provider: tavily, api_key: k}}]",
    "agent": "agents: [{agent_name: a, agent_card_params: {name: a, url: http://h}}]",
    "manager": _general("key_management_system: aws_secret_manager, key_management_settings: {access_mode: read_only}"),
    "alerts": _general("alerting: [slack, email], alert_types: [llm_exceptions]"),
    "passed": _general("pass_through_endpoints: [{path: /a, target: http://h, methods: [GET]}]"),
    "passed-to-python": _general("pass_through_endpoints: [{path: /a, target: my_file.handler}]"),
    "checks": _general("background_health_checks: true, health_check_interval: 60"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_says_what_litellm_does(name: str) -> None:
    text, rule, severity, words = WRONG[name]
    found = [finding for finding in _lint(text) if finding.rule == rule]
    assert len(found) == 1
    assert found[0].severity == severity
    assert words in found[0].message
    assert found[0].fix


@pytest.mark.parametrize("name", RIGHT)
def test_it_says_nothing_of_what_works(name: str) -> None:
    allowed = {"unknown-key"} if name == "key-set-by-the-file" else set()
    assert [str(finding) for finding in _lint(RIGHT[name]) if finding.rule not in allowed] == []


@pytest.mark.parametrize(
    ("version", "key", "outcome"),
    [
        pytest.param("1.106.2", None, "does not start", id="none"),
        pytest.param("1.84.0", None, "lets everybody in", id="none-older-release"),
        pytest.param("1.106.2", "sk-1234", "does not start", id="weak"),
        pytest.param("1.106.2", " sk-1234 ", "does not start", id="weak-with-spaces"),
        pytest.param("1.84.0", "sk-1234", "the gateway's admin", id="weak-older-release"),
        pytest.param("1.106.2", "", "does not start", id="empty"),
    ],
)
def test_the_master_key_is_judged_as_the_release_does(version: str, key: str | None, outcome: str) -> None:
    found = _lint("", version=version, LITELLM_MASTER_KEY=key)
    findings = [finding for finding in found if finding.rule.startswith("master-key")]
    assert [finding.severity for finding in findings] == ["error"]
    assert outcome in findings[0].message
    assert "1234" not in str(findings[0])


def _permitted(text: str, permitted: str | None) -> list[Finding]:
    return _lint(text, LITELLM_MASTER_KEY=None, LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=permitted)


@pytest.mark.parametrize("setting", ["file", "variable"])
def test_where_the_check_of_the_master_key_is_off_everybody_is_let_in(setting: str) -> None:
    text = "general_settings: {dangerously_permit_weak_or_unset_master_key: true}" if setting == "file" else ""
    permitted = None if setting == "file" else "true"
    if setting == "variable":
        text = "general_settings: {background_health_checks: false}"
    found = {finding.rule: finding for finding in _permitted(text, permitted)}
    assert "lets everybody in" in found["master-key-missing"].message
    assert ("master-key-check-off" in found) == (setting == "file")


def test_a_guardrail_that_is_wrong_stops_an_older_release() -> None:
    text = _guardrail("{guardrail: lakera_v9, mode: pre_call}")
    [finding] = [one for one in _lint(text, version="1.84.0") if one.rule == "guardrail-unknown"]
    assert "does not start" in finding.message


@pytest.mark.parametrize(("value", "is_right"), [("true", True), ("False", True), ("yes", False), ("1", False)])
def test_a_variable_that_turns_the_cache_on_must_say_true(value: str, *, is_right: bool) -> None:
    text = _settings("cache: os.environ/USE_CACHE, cache_params: {type: local}")
    rules = [finding.rule for finding in _lint(text, USE_CACHE=value)]
    assert ("cache-value" not in rules) == is_right


def test_a_cache_that_a_variable_turns_on_is_looked_at() -> None:
    text = _settings("cache: os.environ/USE_CACHE")
    assert "cache-incomplete" in [finding.rule for finding in _lint(text, USE_CACHE="true")]
    assert "cache-incomplete" not in [finding.rule for finding in _lint(text, USE_CACHE="false")]


def test_a_variable_that_turns_the_cache_on_is_told_where_it_is_not_known() -> None:
    text = _document(_settings("cache: os.environ/USE_CACHE"))
    assert "cache-value" in [finding.rule for finding in lint(text, version="1.106.2", environment=None, name="x")]


def test_a_server_in_the_environment_is_one() -> None:
    assert "cache-incomplete" not in [finding.rule for finding in _lint(_settings("cache: true"), REDIS_HOST="h")]
    text = _guardrail("{guardrail: aim, mode: pre_call}")
    assert "guardrail-incomplete" not in [finding.rule for finding in _lint(text, AIM_API_KEY="k")]
    assert "callback-variable" not in [
        finding.rule for finding in _lint(_settings("success_callback: [datadog]"), DD_API_KEY="k")
    ]


def test_a_licence_makes_them_settings_like_any_other() -> None:
    assert _lint(_general("allowed_ips: [192.0.2.1]"), LITELLM_LICENSE="l") == []
    assert _lint(_general("allowed_ips: [192.0.2.1], litellm_license: l")) == []


_HANDLERS = """
import logging
from litellm.integrations.custom_logger import CustomLogger

logging.basicConfig()

class Logger(CustomLogger):
    pass

def failed(*_):
    pass

logger = Logger()
"""


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        pytest.param(
            _settings("callbacks: [handler.logger]"), "python-file-missing", "no handler.py beside this file", id="file"
        ),
        pytest.param(
            _settings("success_callback: [hooks.more.logger]"),
            "python-file-missing",
            "no hooks/more.py",
            id="file-in-folder",
        ),
        pytest.param(
            _settings("callbacks: [handlers.lgger]"), "python-object-missing", 'handlers.py has no "lgger"', id="object"
        ),
        pytest.param(_settings("callbacks: [handlers.Logger]"), "python-object-missing", "a class", id="class"),
        pytest.param(
            _settings("callbacks: [handlers.failed]"), "python-object-missing", "every request fails", id="function"
        ),
        pytest.param(
            _guardrail("{guardrail: handlers.Guard, mode: pre_call}"),
            "python-object-missing",
            'no "Guard"',
            id="guardrail",
        ),
        pytest.param(_general("custom_auth: auth.check"), "python-file-missing", "no auth.py", id="auth"),
        pytest.param(_general("custom_auth: auth"), "python-name", "names no object", id="no-dot"),
        pytest.param(_settings("callbacks: [handlers.logger]"), "", "", id="right"),
        pytest.param(_settings("callbacks: handlers.logger"), "", "", id="right-word"),
        pytest.param(_settings("failure_callback: [handlers.failed]"), "", "", id="right-function"),
        pytest.param(_settings("callbacks: [litellm.integrations.mine.logger]"), "", "", id="litellm"),
        pytest.param(
            _settings("callbacks: [some.package.logger]"), "python-package-missing", "unless a package", id="package"
        ),
        pytest.param(_guardrail("{guardrail: handlers.Logger, mode: pre_call}"), "", "", id="right-guardrail"),
    ],
)
def test_the_python_that_is_named_is_looked_for_beside_the_file(
    text: str, rule: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "handlers.py").write_text(_HANDLERS)
    (tmp_path / "hooks").mkdir()
    file = tmp_path / "config.yaml"
    file.write_text(_document(text))
    found = [finding for finding in _lint(text, name=str(file)) if finding.rule.startswith("python-")]
    assert [finding.rule for finding in found] == ([rule] if rule else [])
    assert not rule or words in found[0].message


def test_without_a_file_no_python_is_looked_for() -> None:
    assert [
        finding for finding in _lint(_settings("callbacks: [none.logger]")) if finding.rule.startswith("python")
    ] == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("def (", id="no-python"),
        pytest.param("\0", id="nul"),
        pytest.param("", id="empty"),
        pytest.param("a" * 2_000_000, id="large"),
    ],
)
def test_a_python_file_that_cannot_be_read_breaks_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(content)
    text = _settings("callbacks: [handlers.logger]")
    (tmp_path / "config.yaml").write_text(_document(text))
    rules = {finding.rule for finding in _lint(text, name=str(tmp_path / "config.yaml"))}
    assert rules <= {"python-object-missing", "python-file-broken"}
