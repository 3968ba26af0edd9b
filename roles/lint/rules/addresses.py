"""Rules about the addresses of servers: is there one, and does its path fit what LiteLLM adds to it?

What LiteLLM asks below an address was tried with 1.106.2, each provider and mode against a server that notes the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from roles.lint.config import Config, Model
from roles.lint.rule import Found, rule

_OLLAMA = ("ollama", "ollama_chat")
_OPENAI_CLIENTS = ("openai", "custom_openai", "text-completion-openai", "openai_like")
_ADD_ENDPOINT = (*_OPENAI_CLIENTS, "lm_studio", "llamafile", "litellm_proxy", "xinference", "docker_model_runner")
"""Providers for which LiteLLM adds the endpoint without a look at how the address ends."""
_OF_ONES_OWN = (*_ADD_ENDPOINT, *_OLLAMA, "hosted_vllm", "infinity", "huggingface", "oobabooga", "azure")

_NO_DEFAULT: Mapping[str, tuple[str, ...]] = {
    "hosted_vllm": ("HOSTED_VLLM_API_BASE",),
    "lm_studio": ("LM_STUDIO_API_BASE",),
    "litellm_proxy": ("LITELLM_PROXY_API_BASE",),
    "openai_like": ("OPENAI_LIKE_API_BASE",),
    "xinference": ("XINFERENCE_API_BASE",),
    "infinity": ("INFINITY_API_BASE",),
    "azure": ("AZURE_API_BASE",),
    "custom_openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
}
"""Servers without a default address → the variables that LiteLLM reads."""
_DEFAULTS: Mapping[str, tuple[str, str]] = {
    "ollama": ("http://localhost:11434", "OLLAMA_API_BASE"),
    "ollama_chat": ("http://localhost:11434", "OLLAMA_API_BASE"),
    "llamafile": ("http://127.0.0.1:8080/v1", "LLAMAFILE_API_BASE"),
    "docker_model_runner": ("http://localhost:22088/engines/llama.cpp", "DOCKER_MODEL_RUNNER_API_BASE"),
}
"""Servers with one → it, and the variable that LiteLLM reads."""

_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|responses|rerank|audio/\w+|images/generations)/?$")
_NO_VERSION: Mapping[str, str] = {"anthropic": "/v1/messages", "oobabooga": "/v1/chat/completions"}
"""Providers for which LiteLLM adds the version too → what it adds."""
_RERANK_ADDS: Mapping[str, str] = {"cohere": "/v2/rerank", "litellm_proxy": "/v1/rerank"}
_V1 = re.compile(r"/v\d+/?$")


def _on_base(model: Model, message: str, fix: str = "") -> Found:
    return Found(model.parameter(model.base_key), f"{model.title}: `{model.base_key}` {message}", fix)


def _without_base(config: Config) -> Iterator[tuple[Model, str]]:
    """Models that name no address, with their provider."""
    for model in config.models:
        if (
            not model.has_credential
            and model.params.get(model.base_key) is None
            and "mock_response" not in model.params
        ):
            yield model, model.provider or ""


@rule(
    "error",
    fix="write `api_base`",
    source="read in 1.106.2: without it vLLM's and LM Studio's requests go to OpenAI's own address",
)
def api_base_missing(config: Config) -> Iterator[Found]:
    """A server of one's own without its address, of a kind that LiteLLM knows no default for."""
    for model, provider in _without_base(config):
        variables = _NO_DEFAULT.get(provider, ())
        if variables and not any(config.variable_is_given(name) for name in variables):
            unless = f" (unless {variables[0]} is set)" if config.environment is None else ""
            message = f"{model.title} has no `api_base`: LiteLLM does not know where the server is{unless}"
            yield Found((*model.path, "litellm_params"), message)


@rule(
    "warning",
    fix="write `api_base`: in a container, localhost is the container itself",
    source="read in 1.106.2: OLLAMA_API_BASE or http://localhost:11434 (OllamaModelInfo.get_api_base), and its like",
)
def api_base_by_default(config: Config) -> Iterator[Found]:
    """A server of one's own without its address, where LiteLLM takes one on its own host."""
    for model, provider in _without_base(config):
        if provider in _DEFAULTS and not config.variable_is_given(_DEFAULTS[provider][1]):
            default, variable = _DEFAULTS[provider]
            unless = f" (unless {variable} is set)" if config.environment is None else ""
            message = f"{model.title} has no `api_base`: LiteLLM asks {default}{unless}"
            yield Found((*model.path, "litellm_params"), message)


@rule(
    "error",
    fix="write `http://HOST:PORT` before the path",
    source="tried with 1.106.2: connection error at each request",
)
def api_base_without_scheme(config: Config) -> Iterator[Found]:
    """An address that does not begin with `http://` or `https://`."""
    for model in config.models:
        if model.base is not None and model.address is None and model.provider in _OF_ONES_OWN:
            yield _on_base(model, "does not begin with http:// or https://: no request gets through")


@rule(
    "error",
    fix="end it with `/v1`",
    source="tried with 1.106.2: it asks /chat/completions; vLLM has /v1/chat/completions, and /rerank in both places",
)
def vllm_api_base_without_v1(config: Config) -> Iterator[Found]:
    """The address of a vLLM server has no path: vLLM answers below `/v1` only, but for reranking and responses."""
    for model in config.models:
        if model.provider != "hosted_vllm" or model.reranks or model.mode == "responses":
            continue
        if model.address and model.address.path in ("", "/"):
            yield _on_base(model, "lacks /v1: vLLM answers 404")


@rule(
    "error",
    fix="end it with `/v1`",
    source="tried with 1.106.2: it asks /chat/completions below the address; LM Studio and Xinference answer below /v1",
)
def server_api_base_without_v1(config: Config) -> Iterator[Found]:
    """The address of an LM Studio or Xinference server has no path: they answer below `/v1` only."""
    for model in config.models:
        if model.provider in ("lm_studio", "xinference") and model.address and model.address.path in ("", "/"):
            yield _on_base(model, "lacks /v1: the server has no such endpoint")


@rule(
    "warning",
    fix="end it with `/v1`",
    source="tried with 1.106.2: it asks /chat/completions below the address as it is",
)
def openai_api_base_without_v1(config: Config) -> Iterator[Found]:
    """The address of an OpenAI-compatible server has no path: most answer below `/v1` only."""
    for model in config.models:
        if model.provider in _OPENAI_CLIENTS and model.address and model.address.path in ("", "/"):
            yield _on_base(model, "has no path: LiteLLM asks /chat/completions and its like, without /v1")


@rule("error", fix="end it with `/v1`", source="tried with 1.106.2: …/chat/completions/chat/completions")
def api_base_with_endpoint(config: Config) -> Iterator[Found]:
    """The address of an OpenAI-compatible server has the endpoint too: LiteLLM adds it again."""
    for model in config.models:
        if model.provider in _ADD_ENDPOINT and model.address and _ENDPOINT.search(model.address.path):
            yield _on_base(model, "ends with an endpoint, and LiteLLM adds it once more")


@rule(
    "error",
    fix="end it before the version, e.g. `https://HOST`",
    source="tried with 1.106.2: /v1/v1/messages, /v1/v1/chat/completions, /v1/v2/rerank, /v1/v1/rerank",
)
def api_base_with_version(config: Config) -> Iterator[Found]:
    """The address ends with `/v1` where LiteLLM adds the version itself (Anthropic, rerankers of Cohere's kind)."""
    for model in config.models:
        provider = model.provider or ""
        adds = _RERANK_ADDS.get(provider) if model.reranks else _NO_VERSION.get(provider)
        if adds and model.address and _V1.search(model.address.path):
            path = model.address.path.rstrip("/")
            yield _on_base(
                model, f"ends with {path[path.rindex('/') :]}, and LiteLLM adds {adds}: the server answers 404"
            )
        elif provider == "huggingface" and model.reranks and model.address and _V1.search(model.address.path):
            yield _on_base(model, "ends with a version, and LiteLLM adds /rerank: TEI has /rerank only")


@rule(
    "error",
    fix="write `http://HOST:11434`",
    source="tried with 1.106.2: /v1/api/chat, /api/api/chat and //api/chat, which Ollama does not have",
)
def ollama_api_base_with_path(config: Config) -> Iterator[Found]:
    """The address of an Ollama server ends with `/v1`, `/api` or a slash: Ollama answers 404."""
    for model in config.models:
        if model.provider not in _OLLAMA or model.address is None:
            continue
        path = model.address.path
        last = path.rstrip("/").rpartition("/")[2]
        if last in ("v1", "api"):
            yield _on_base(model, f"ends with /{last}, and LiteLLM adds /api/…: Ollama answers 404")
        elif path.endswith("/"):
            yield _on_base(model, "ends with a slash: Ollama answers 404")


@rule(
    "error",
    fix="write `https://openrouter.ai/api/v1`, or leave it out",
    source="tried with 1.106.2: it asks /chat/completions below the address as it is",
)
def openrouter_api_base(config: Config) -> Iterator[Found]:
    """The address of OpenRouter is not that of its API."""
    for model in config.models:
        address = model.address
        if model.provider != "openrouter" or address is None or not address.netloc.endswith("openrouter.ai"):
            continue
        if address.path.rstrip("/") not in ("/api/v1", "/api/v1/chat/completions"):
            yield _on_base(model, "is not the address of OpenRouter's API: it answers with a web page")


@rule(
    "error",
    fix="write `https://NAME.openai.azure.com`, and the version as `api_version`; or `openai/` for its /openai/v1",
    source="tried with 1.106.2: /openai/openai/deployments/X/chat/completions, /openai/v1/openai/deployments/X/…",
)
def azure_api_base_with_path(config: Config) -> Iterator[Found]:
    """The address of Azure OpenAI ends with `/openai` or `/openai/v1`: LiteLLM adds them again."""
    for model in config.models:
        if model.provider == "azure" and model.address:
            path = model.address.path.rstrip("/")
            if path.endswith(("/openai", "/openai/v1")):
                yield _on_base(model, f"ends with {path[path.rindex('/openai') :]}, and LiteLLM adds it once more")
