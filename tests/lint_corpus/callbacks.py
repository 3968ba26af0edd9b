"""Entries of callbacks: every list, every form, with packages, variables and files of one's own."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_NOTHING = "nothing is called"
_OWN = "from litellm.integrations.custom_logger import CustomLogger\n\n\nclass Own(CustomLogger):\n    pass\n\n\n"
_FILES = {"own.py": f"{_OWN}handler = Own()\n\n\ndef function(kwargs, response, start, end):\n    pass\n"}


def _settings(settings: str) -> str:
    return f"litellm_settings: {{{settings}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "own": Entry(_settings("callbacks: own.handler"), files=_FILES),
    "own-in-list": Entry(_settings("callbacks: [own.handler]"), files=_FILES),
    "own-class": Entry(_settings("callbacks: own.Own"), files=_FILES),
    "own-class-in-list": Entry(_settings("callbacks: [own.Own]"), files=_FILES),
    "own-missing": Entry(_settings("callbacks: [own.hander]"), files=_FILES),
    "own-file-missing": _settings("callbacks: [logger.handler]"),
    "own-with-ending": Entry(_settings("callbacks: [own.py]"), files=_FILES),
    "own-with-path": Entry(_settings("callbacks: [./own.handler]"), files=_FILES),
    "own-without-object": Entry(_settings("callbacks: [own]"), files=_FILES),
    "own-success-function": Entry(_settings("success_callback: [own.function]"), files=_FILES),
    "own-success-instance": Entry(_settings("success_callback: [own.handler]"), files=_FILES),
    "own-success-missing": Entry(_settings("success_callback: [own.nothing]"), files=_FILES),
    "own-failure-file-missing": _settings("failure_callback: [logger.handler]"),
    "own-broken": Entry(_settings("callbacks: [own.handler]"), files={"own.py": "handler = \n"}),
    "own-import-missing": Entry(
        _settings("callbacks: [own.handler]"), files={"own.py": f"import zebra_stripes\n{_OWN}handler = Own()\n"}
    ),
    "own-in-package": Entry(_settings("callbacks: [loggers.own.handler]")),
    "dynamic": "litellm_settings: {success_callback: [dynamic_rate_limiter_v3]}\n",
    "dynamic-in-callbacks": _settings("callbacks: [dynamic_rate_limiter_v3]"),
    "nothing": _settings("callbacks: "),
    "empty": _settings("callbacks: []"),
    "number": _settings("callbacks: 5"),
    "boolean": _settings("callbacks: true"),
    "mapping": _settings("callbacks: {prometheus: {}}"),
    "item-number": _settings("callbacks: [5]"),
    "item-nothing": _settings("callbacks: [null]"),
    "item-list": _settings("callbacks: [[prometheus]]"),
    "unknown": _settings("callbacks: [zebra]"),
    "misspelled": _settings("callbacks: [promtheus]"),
    "success-unknown": Entry(_settings("success_callback: [zebra]"), breaks=_NOTHING),
    "success-misspelled": Entry(_settings("success_callback: [langfues]"), breaks=_NOTHING),
    "success-upper-case": Entry(_settings("success_callback: [Langfuse]"), breaks=_NOTHING),
    "success-word": Entry(_settings("success_callback: langfuse"), breaks=_NOTHING),
    "success-nothing": _settings("success_callback: "),
    "success-mapping": Entry(_settings("success_callback: {zebra: {}}"), breaks=_NOTHING),
    "success-item-mapping": Entry(_settings("success_callback: [{langfuse: {}}]"), breaks=_NOTHING),
    "success-langsmith": Entry(_settings("success_callback: [langsmith]"), environment={"LANGSMITH_API_KEY": "k"}),
    "failure-sentry-word": Entry(_settings("failure_callback: sentry"), breaks=_NOTHING),
    "otel": Entry(_settings("callbacks: [otel]")),
    "arize-without-variables": Entry(_settings("callbacks: [arize]")),
    "langfuse-otel-without-variables": Entry(_settings("callbacks: [langfuse_otel]")),
    "datadog-without-variables": Entry(_settings("callbacks: [datadog]"), breaks="nothing is sent to it"),
    "datadog": Entry(_settings("callbacks: [datadog]"), environment={"DD_API_KEY": "k", "DD_SITE": "x.example"}),
    "slack": _settings("callbacks: [slack]"),
    "s3": _settings("success_callback: [s3_v2], s3_callback_params: {s3_bucket_name: b}"),
    "presidio": Entry(
        _settings("callbacks: [presidio]"),
        environment={
            "PRESIDIO_ANALYZER_API_BASE": "http://127.0.0.1:9",
            "PRESIDIO_ANONYMIZER_API_BASE": "http://127.0.0.1:9",
        },
    ),
    "presidio-without-address": _settings("callbacks: [presidio]"),
    "hide-secrets": _settings("callbacks: [hide_secrets]"),
    "llmguard": _settings("callbacks: [llmguard_moderations]"),
    "banned-keywords": _settings("callbacks: [banned_keywords], banned_keywords_list: [a]"),
    "detect-injection": _settings("callbacks: [detect_prompt_injection]"),
    "batch-limiter": _settings("callbacks: [batch_redis_requests]"),
    "websearch": _settings("callbacks: [websearch_interception]"),
    "websearch-mapping": _settings("callbacks: [{websearch_interception: {enabled_providers: [openai]}}]"),
    "smtp": _settings("callbacks: [smtp_email]"),
    "reference": Entry(_settings("callbacks: [os.environ/LOGGER]"), environment={"LOGGER": "prometheus"}),
    "service": _settings("service_callback: [datadog]"),
    "service-unknown": Entry(_settings("service_callback: [zebra]"), breaks=_NOTHING),
    "audit": _settings("audit_log_callbacks: [s3_v2]"),
    "in-general": Entry(
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, callbacks: [otel]}\n", breaks=_NOTHING
    ),
    "in-router": Entry("router_settings: {success_callback: [langfuse]}\n", breaks=_NOTHING),
    "at-top": Entry("success_callback: [langfuse]\n", breaks=_NOTHING),
    "generic-api": (
        "litellm_settings: {callbacks: [mine]}\n"
        'callback_settings: {mine: {callback_type: generic_api, endpoint: "http://127.0.0.1:9", headers: {A: b}}}\n'
    ),
    "generic-api-without-endpoint": (
        "litellm_settings: {callbacks: [mine]}\ncallback_settings: {mine: {callback_type: generic_api}}\n"
    ),
    "callback-settings-list": "callback_settings: [otel]\n",
}
