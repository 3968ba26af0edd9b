"""What a client may write into a request to get it somewhere else: to another address, by another key, to another
provider, to another route, or told to somebody.

Each is sent to each path that the front passes on. `ELSEWHERE` is an address that nobody but a trick names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LOCAL, PAID = "private", "paid"
"""The route whose requests must stay, and one that leads to the cloud."""
ELSEWHERE = "http://203.0.113.7/v1"

_SAID = [{"role": "user", "content": "secret words"}]
_CHAT: Mapping[str, Any] = {"messages": _SAID, "max_tokens": 4}
_RANKED: Mapping[str, Any] = {"query": "secret words", "documents": ["a", "b"]}
_STREAMED = "/v1/chat/completions"
_BODIES: Mapping[str, Mapping[str, Any]] = {
    _STREAMED: _CHAT,
    "/v1/completions": {"prompt": "secret words", "max_tokens": 4},
    "/v1/embeddings": {"input": "secret words"},
    "/v1/rerank": _RANKED,
    "/v2/rerank": _RANKED,
    "/v1/responses": {"input": "secret words"},
    "/v1/responses/compact": {"input": "secret words"},
    "/v1/responses/input_tokens": {"input": "secret words"},
    "/v1/messages": _CHAT,
    "/v1/messages/count_tokens": {"messages": _SAID},
    f"/engines/{LOCAL}/chat/completions": _CHAT,
    f"/openai/deployments/{LOCAL}/chat/completions": _CHAT,
}


def _user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "secret words"}, *parts]}]}


_BASES: list[dict[str, Any]] = [
    {"api_base": ELSEWHERE},
    {"base_url": ELSEWHERE},
    {"api_base": ELSEWHERE, "api_key": "sk-mine"},
    {"api_key": "sk-mine"},
    {"extra_body": {"api_base": ELSEWHERE, "model": PAID}},
    {"litellm_params": {"api_base": ELSEWHERE}},
    {"metadata": {"api_base": ELSEWHERE, "deployment": "openai/x"}},
    {"litellm_metadata": {"api_base": ELSEWHERE, "model_group": PAID}},
    {"allow_client_side_credentials": True, "use_clientside_credentials": True, "api_base": ELSEWHERE},
    {"headers": {"Authorization": "Bearer sk-mine"}, "extra_headers": {"Host": "203.0.113.7"}},
    {"user_config": {"model_list": [{"model_name": LOCAL, "litellm_params": {"model": "openai/x"}}]}},
    {"model_list": [{"model_name": LOCAL, "litellm_params": {"model": "openai/x", "api_base": ELSEWHERE}}]},
    {"sagemaker_base_url": ELSEWHERE, "deployment_url": ELSEWHERE, "azure_endpoint": ELSEWHERE},
    {"aws_bedrock_runtime_endpoint": ELSEWHERE, "aws_region_name": "x"},
    {"proxy": ELSEWHERE, "http_client": ELSEWHERE, "client": ELSEWHERE, "shared_session": ELSEWHERE},
    {"litellm_credential_name": "cloud"},
    {"cache": {"type": "redis", "host": "203.0.113.7"}, "caching": True},
]
_PROVIDERS: list[dict[str, Any]] = [
    {"custom_llm_provider": provider, **key}
    for provider in ("openai", "anthropic", "gemini", "hosted_vllm", "azure", "bedrock", "ollama")
    for key in ({}, {"api_key": "sk-mine"})
]
_NAMES: list[dict[str, Any]] = [
    {"model": name}
    for name in (
        *(f"{LOCAL},{PAID}", [LOCAL, PAID], {"a": PAID}, None, "*", f"{LOCAL} ", f"{LOCAL}/../{PAID}"),
        *("openai/gpt-4o", "anthropic/claude", "ollama/x", "a2a/x", ELSEWHERE, f"openai/{ELSEWHERE}"),
    )
]
_FALLBACKS: list[dict[str, Any]] = [
    *(
        {name: targets}
        for name in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks")
        for targets in (
            [PAID],
            [{LOCAL: [PAID]}, {"*": [PAID]}],
            [{"model": PAID}],
            ["tiny-python@cloud"],
            [{"model": LOCAL, "api_base": ELSEWHERE}],
            [{"model": LOCAL, "fallbacks": [PAID]}],
            [{"model": LOCAL, "custom_llm_provider": "anthropic", "api_key": "sk-mine"}],
        )
    ),
    {"router_settings_override": {"fallbacks": [{LOCAL: [PAID]}]}},
    {"router_settings": {"fallbacks": [{LOCAL: [PAID]}]}},
    {"fallbacks": [PAID], "num_retries": 2, "max_retries": 2},
    {"fallbacks": [PAID], "timeout": 0.001, "stream_timeout": 0.001},
    {"mock_testing_fallbacks": True, "fallbacks": [PAID]},
    {"mock_response": "litellm.RateLimitError", "fallbacks": [PAID]},
    {"mock_timeout": True, "timeout": 0.01, "fallbacks": [PAID]},
]
_MORE: list[dict[str, Any]] = [
    {},
    {"tags": ["cloud"], "metadata": {"tags": ["cloud"]}, "enable_tag_filtering": True},
    {"metadata": {"model_group": PAID, "original_model_group": PAID, "pre_routing_selected_model": PAID}},
    {"specific_deployment": True, "model_id": "tiny-python@cloud", "model_info": {"id": "tiny-python@cloud"}},
    {"_target_order": 2, "_excluded_deployment_ids": ["tiny-native@native"], "deployment_id": "tiny-python@cloud"},
    {"success_callback": ["helicone"], "callbacks": ["langfuse"], "failure_callback": ["lunary"]},
    {"metadata": {"langfuse_host": ELSEWHERE, "langfuse_public_key": "a", "langfuse_secret_key": "b"}},
    {"guardrails": ["x"], "guardrail_config": {"api_base": ELSEWHERE}, "prompt_id": "x"},
    {"tools": [{"type": "mcp", "server_label": "a", "server_url": ELSEWHERE, "require_approval": "never"}]},
    {"tools": [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    {"mcp_servers": [{"type": "url", "url": ELSEWHERE, "name": "x"}], "web_search_options": {}},
    {"use_litellm_proxy": True, "use_in_pass_through": True},
    {"hf_model_name": "org/x", "custom_tokenizer": {"identifier": "org/x"}},
    _user({"type": "image_url", "image_url": {"url": f"{ELSEWHERE}/a.png"}}),
    _user({"type": "image", "source": {"type": "url", "url": f"{ELSEWHERE}/a.png"}}),
    _user({"type": "document", "source": {"type": "url", "url": f"{ELSEWHERE}/a.pdf"}}),
    _user({"type": "file", "file": {"file_id": f"{ELSEWHERE}/a.pdf", "format": "application/pdf"}}),
    {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": f"{ELSEWHERE}/a.png"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": f"{ELSEWHERE}/a.pdf"}]}]},
    {"previous_response_id": "resp_bGl0ZWxsbTptb2RlbF9pZDp0aW55LXB5dGhvbkBjbG91ZDtyZXNwb25zZV9pZDpyMQ=="},
]
_HEADERS: list[dict[str, str]] = [
    {"x-litellm-tags": "cloud"},
    {"x-litellm-api-base": ELSEWHERE, "api-base": ELSEWHERE, "x-api-base": ELSEWHERE},
    {"x-litellm-model": PAID, "x-litellm-model-id": "tiny-python@cloud", "x-litellm-fallbacks": PAID},
    {"x-litellm-timeout": "0.001", "x-litellm-num-retries": "3"},
    {"x-forwarded-host": "203.0.113.7", "forwarded": "host=203.0.113.7"},
    {"target-url": ELSEWHERE, "x-pass-authorization": "Bearer sk-mine", "x-mcp-servers": "x"},
    {"anthropic-beta": "mcp-client-2025-04-04", "openai-organization": "o", "x-litellm-agent-id": "x"},
]
_QUERIES = (
    *(f"?api_base={ELSEWHERE}", f"?model={PAID}", f"?fallbacks={PAID}", f"?base_url={ELSEWHERE}"),
    "?custom_llm_provider=anthropic&api_key=sk-mine",
)


@dataclass(frozen=True)
class Trick:
    """A request as the front gets it."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def tricks() -> Iterator[Trick]:
    """Each on each path, and chats streamed too."""
    for path, usual in _BODIES.items():
        for fields in (*_BASES, *_PROVIDERS, *_NAMES, *_FALLBACKS, *_MORE):
            for stream in ({}, {"stream": True}) if path == _STREAMED else ({},):
                yield Trick(path, _body(usual, {**stream, **fields}))
        for headers in _HEADERS:
            yield Trick(path, _body(usual, {}), headers)
        for query in _QUERIES:
            yield Trick(f"{path}{query}", _body(usual, {}))


def _body(usual: Mapping[str, Any], fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"model": LOCAL, **usual, **fields}).encode()
