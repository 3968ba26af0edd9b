"""Entries of `guardrails` and `policies`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_PRESIDIO: Mapping[str, str] = {
    "PRESIDIO_ANALYZER_API_BASE": "http://127.0.0.1:9",
    "PRESIDIO_ANONYMIZER_API_BASE": "http://127.0.0.1:9",
}
_UNCHECKED = "requests pass unchecked"
_OWN = "from litellm.integrations.custom_guardrail import CustomGuardrail\n\n\nclass Own(CustomGuardrail):\n    pass\n"
_PATTERNS = "categories: [], patterns: [{pattern_type: prebuilt, pattern_name: email, action: BLOCK}]"


def _guard(params: str, *, more: str = "", name: str = "guardrail_name: g, ") -> str:
    return f"guardrails:\n  - {{{name}litellm_params: {{{params}}}{more}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "own": Entry(_guard("guardrail: own.Own, mode: pre_call"), files={"own.py": _OWN}),
    "own-in-folder": Entry(_guard("guardrail: guards.own.Own, mode: pre_call")),
    "own-class-missing": Entry(_guard("guardrail: own.Other, mode: pre_call"), files={"own.py": _OWN}),
    "own-file-missing": _guard("guardrail: own.Own, mode: pre_call"),
    "own-broken-file": Entry(_guard("guardrail: own.Own, mode: pre_call"), files={"own.py": "def (:\n"}),
    "own-mode-unknown": Entry(
        _guard("guardrail: own.Own, mode: precall"), files={"own.py": _OWN}, breaks="it never runs"
    ),
    "mode-list": Entry(_guard("guardrail: own.Own, mode: [pre_call, post_call]"), files={"own.py": _OWN}),
    "mode-list-unknown": _guard("guardrail: litellm_content_filter, mode: [pre_call, postcall], " + _PATTERNS),
    "mode-upper-case": _guard(f"guardrail: litellm_content_filter, mode: PRE_CALL, {_PATTERNS}"),
    "mode-number": _guard(f"guardrail: litellm_content_filter, mode: 1, {_PATTERNS}"),
    "mode-empty": _guard(f"guardrail: litellm_content_filter, mode: [], {_PATTERNS}"),
    "mode-dash": _guard(f"guardrail: litellm_content_filter, mode: pre-call, {_PATTERNS}"),
    "content-filter": _guard(f"guardrail: litellm_content_filter, mode: pre_call, {_PATTERNS}"),
    "content-filter-pattern-unknown": _guard(
        "guardrail: litellm_content_filter, mode: pre_call, "
        "patterns: [{pattern_type: prebuilt, pattern_name: zebra, action: BLOCK}]"
    ),
    "content-filter-regex-broken": _guard(
        "guardrail: litellm_content_filter, mode: pre_call, "
        'patterns: [{pattern_type: regex, pattern: "[", name: x, action: BLOCK}]'
    ),
    "presidio": Entry(
        _guard("guardrail: presidio, mode: pre_call"),
        environment=_PRESIDIO,
    ),
    "presidio-without-address": _guard("guardrail: presidio, mode: pre_call"),
    "presidio-entities": Entry(
        _guard("guardrail: presidio, mode: pre_call, pii_entities_config: {CREDIT_CARD: MASK}"),
        environment=_PRESIDIO,
    ),
    "presidio-action-unknown": Entry(
        _guard("guardrail: presidio, mode: pre_call, pii_entities_config: {CREDIT_CARD: HIDE}"),
        environment=_PRESIDIO,
    ),
    "presidio-entity-unknown": Entry(
        _guard("guardrail: presidio, mode: pre_call, pii_entities_config: {ZEBRA: MASK}"),
        environment=_PRESIDIO,
    ),
    "presidio-entities-list": Entry(
        _guard("guardrail: presidio, mode: pre_call, pii_entities_config: [CREDIT_CARD]"),
        environment=_PRESIDIO,
    ),
    "lakera": _guard("guardrail: lakera_v2, mode: pre_call, api_key: k"),
    "lakera-without-key": _guard("guardrail: lakera_v2, mode: pre_call"),
    "lakera-key-by-variable": Entry(
        _guard("guardrail: lakera_v2, mode: pre_call, api_key: os.environ/LAKERA_API_KEY"),
        environment={"LAKERA_API_KEY": "k"},
    ),
    "aim": _guard("guardrail: aim, mode: during_call, api_key: k"),
    "aim-without-key": _guard("guardrail: aim, mode: during_call"),
    "bedrock": _guard("guardrail: bedrock, mode: pre_call, guardrailIdentifier: g, guardrailVersion: DRAFT"),
    "bedrock-number": _guard("guardrail: bedrock, mode: pre_call, guardrailIdentifier: g, guardrailVersion: 1"),
    "bedrock-without-id": _guard("guardrail: bedrock, mode: pre_call"),
    "name-misspelled": _guard("guardrail: presidoi, mode: pre_call"),
    "name-upper-case": _guard("guardrail: Presidio, mode: pre_call"),
    "type-missing": _guard("mode: pre_call"),
    "type-list": _guard("guardrail: [presidio], mode: pre_call"),
    "name-nothing": _guard(
        f"guardrail: litellm_content_filter, mode: pre_call, {_PATTERNS}", name="guardrail_name: , "
    ),
    "name-as-name": _guard(f"guardrail: litellm_content_filter, mode: pre_call, {_PATTERNS}", name="name: g, "),
    "twice": _guard(f"guardrail: litellm_content_filter, mode: pre_call, {_PATTERNS}")
    + _guard(f"guardrail: litellm_content_filter, mode: post_call, {_PATTERNS}").partition("\n")[2],
    "mode-misplaced": Entry(
        _guard(f"guardrail: litellm_content_filter, {_PATTERNS}", more=", mode: pre_call"), breaks=_UNCHECKED
    ),
    "default-on-word": _guard(f"guardrail: litellm_content_filter, mode: pre_call, default_on: always, {_PATTERNS}"),
    "default-on-yes": _guard(f'guardrail: litellm_content_filter, mode: pre_call, default_on: "yes", {_PATTERNS}'),
    "params-misspelled": Entry("guardrails: [{guardrail_name: g, litellm_param: {guardrail: aim, mode: pre_call}}]\n"),
    "params-list": "guardrails: [{guardrail_name: g, litellm_params: [{guardrail: aim}, {mode: pre_call}]}]\n",
    "mapping": "guardrails: {g: {litellm_params: {guardrail: aim, mode: pre_call}}}\n",
    "word": "guardrails: aim\n",
    "nothing": "guardrails:\n",
    "empty": "guardrails: []\n",
    "entry-word": "guardrails: [aim]\n",
    "in-litellm-settings": (
        "litellm_settings: {guardrails: [{guardrail_name: g, litellm_params: {guardrail: aim, mode: pre_call}}]}\n"
    ),
    "old-shape": "litellm_settings: {guardrails: [{g: {callbacks: [hide_secrets], default_on: false}}]}\n",
    "in-general-settings": Entry(
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, guardrails: [{guardrail_name: g}]}\n",
        breaks=_UNCHECKED,
    ),
    "openai-moderation": _guard("guardrail: openai_moderation, mode: pre_call, api_key: k"),
    "hide-secrets": _guard("guardrail: hide-secrets, mode: pre_call"),
    "generic-api": _guard('guardrail: generic_guardrail_api, mode: pre_call, api_base: "http://127.0.0.1:9"'),
    "generic-api-without-address": _guard("guardrail: generic_guardrail_api, mode: pre_call"),
    "tool-permission": _guard(
        "guardrail: tool_permission, mode: post_call, rules: [{id: r, tool_name: Bash, decision: allow}], "
        "default_action: deny, on_disallowed_action: block"
    ),
    "tool-permission-decision": _guard(
        "guardrail: tool_permission, mode: post_call, rules: [{id: r, tool_name: Bash, decision: maybe}]"
    ),
    "tool-permission-action": _guard("guardrail: tool_permission, mode: post_call, default_action: maybe"),
    "policy-parent-missing": (
        "policies: {p: {inherit: q, guardrails: {add: [g]}}}\npolicy_attachments: [{policy: p, scope: '*'}]\n"
    ),
    "policy-attached": "policies: {p: {guardrails: {add: []}}}\npolicy_attachments: [{policy: p, scope: '*'}]\n",
    "policy-add-word": ("policies: {p: {guardrails: {add: g}}}\npolicy_attachments: [{policy: p, scope: '*'}]\n"),
    "policy-guardrails-list": "policies: {p: {guardrails: [g]}}\npolicy_attachments: [{policy: p, scope: '*'}]\n",
}
