"""Entries of `model_list`: shapes, values, modes."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

LATER = "requests fail, or get something else than is written"


def _one(params: str = "", *, entry: str = "", info: str = "") -> str:
    """A model with further parameters, keys of the entry, and `model_info`."""
    model = f'litellm_params: {{model: openai/x, api_base: "http://127.0.0.1:9/v1", api_key: none{params}}}'
    info = f", model_info: {{{info}}}" if info else ""
    return f"model_list:\n  - {{model_name: a, {model}{info}{entry}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "plain": "",
    "list-empty": "model_list: []",
    "list-nothing": "model_list:",
    "list-mapping": "model_list: {a: b}",
    "list-word": "model_list: gpt-4o",
    "entry-word": "model_list: [gpt-4o]",
    "entry-without-name": "model_list: [{litellm_params: {model: openai/x, api_key: none}}]",
    "entry-without-params": "model_list: [{model_name: a}]",
    "entry-without-model": "model_list: [{model_name: a, litellm_params: {api_key: none}}]",
    "entry-name-number": "model_list: [{model_name: 4, litellm_params: {model: openai/x, api_key: none}}]",
    "entry-params-list": "model_list: [{model_name: a, litellm_params: [{model: openai/x}]}]",
    "entry-info-list": _one(entry=", model_info: [a]"),
    "entry-info-nothing": _one(entry=", model_info: null"),
    "entry-key-unknown": _one(entry=", zebra_stripes: 1"),
    "entry-section": Entry(_one(entry=", litellm_settings: {success_callback: [langsmith]}"), breaks=LATER),
    "entry-router-settings": Entry(_one(entry=", router_settings: {num_retries: 3}"), breaks=LATER),
    "info-misplaced": Entry(_one(", supports_vision: true"), breaks=LATER),
    "rpm": _one(", rpm: 60"),
    "rpm-text": _one(', rpm: "60"'),
    "rpm-word": _one(", rpm: many"),
    "rpm-half": _one(", rpm: 1.5"),
    "tpm-whole-float": _one(", tpm: 1000.0"),
    "tpm-list": _one(", tpm: [1]"),
    "max-retries-word": _one(", max_retries: few"),
    "budget": _one(", max_budget: 10, budget_duration: 1d"),
    "budget-word": _one(", max_budget: much"),
    "budget-duration-number": _one(", max_budget: 10, budget_duration: 1"),
    "cost": _one(", input_cost_per_token: 0.000001, output_cost_per_token: 1e-6"),
    "cost-word": _one(", input_cost_per_token: cheap"),
    "timeout": _one(", timeout: 30, stream_timeout: 5"),
    "timeout-text": _one(', timeout: "30"'),
    "timeout-word": Entry(_one(", timeout: long"), breaks=LATER),
    "timeout-list": _one(", timeout: [30]"),
    "weight": _one(", weight: 3"),
    "weight-word": Entry(_one(", weight: heavy"), breaks=LATER),
    "order": _one(", order: 1"),
    "tags": _one(", tags: [free, paid]"),
    "tags-word": _one(", tags: free"),
    "tags-mapping": _one(", tags: {a: b}"),
    "tags-numbers": _one(", tags: [1, 2]"),
    "api-key-number": _one("").replace("api_key: none", "api_key: 12345"),
    "api-key-list": _one("").replace("api_key: none", "api_key: [a]"),
    "api-base-number": _one("").replace('"http://127.0.0.1:9/v1"', "8080"),
    "base-url": _one("").replace("api_base", "base_url"),
    "headers": _one(", extra_headers: {X-Team: a}"),
    "headers-list": Entry(_one(", extra_headers: [a]"), breaks=LATER),
    "extra-body": _one(", extra_body: {min_p: 0.1}"),
    "parameter-misspelled": Entry(_one(", stream_timeuot: 5"), breaks=LATER),
    "parameter-unknown": _one(", zebra_stripes: 5"),
    "mock": _one(", mock_response: hello"),
    "id": _one(info="id: one"),
    "id-number": _one(info="id: 1"),
    "id-twice": Entry(_one(info="id: one") + _one(info="id: one").partition("\n")[2], breaks=LATER),
    "mode": _one(info="mode: embedding"),
    "mode-unknown": _one(info="mode: talking"),
    "mode-list": _one(info="mode: [chat]"),
    "modes-differ": Entry(_one(info="mode: chat") + _one(info="mode: embedding").partition("\n")[2], breaks=LATER),
    "context": _one(info="max_input_tokens: 8192, max_output_tokens: 1024"),
    "context-word": _one(info="max_input_tokens: 8k"),
    "base-model": _one(info="base_model: gpt-4o"),
    "info-misspelled": Entry(_one(info="max_input_token: 8192"), breaks=LATER),
    "info-team": _one(info="team_id: t1, team_public_model_name: b"),
    "access-groups": _one(info="access_groups: [beta]"),
    "supported-environments": _one(info="supported_environments: [production]"),
    "supported-environments-set": Entry(
        _one(info="supported_environments: [production]"), environment={"LITELLM_ENVIRONMENT": "production"}
    ),
    "credential": """
credential_list:
  - {credential_name: c, credential_values: {api_key: none, api_base: "http://127.0.0.1:9/v1"}, credential_info: {}}
model_list: [{model_name: a, litellm_params: {model: openai/x, litellm_credential_name: c}}]
""",
    "credential-without-values": """
credential_list: [{credential_name: c, credential_info: {}}]
""",
    "wildcard": 'model_list: [{model_name: "openai/*", litellm_params: {model: "openai/*", api_key: none}}]',
    "wildcard-all": 'model_list: [{model_name: "*", litellm_params: {model: "*"}}]',
}
