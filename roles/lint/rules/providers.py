"""Rules about providers: the prefix before the slash, the address, the key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from roles.lint.config import REFERENCE, Config
from roles.lint.nearest import nearest
from roles.lint.rule import Found, rule

_DROPPED = "LiteLLM drops the deployment in silence"

_MISTAKEN: Mapping[str, str] = {
    "llama_cpp": "openai",
    "llama-cpp": "openai",
    "llamacpp": "openai",
    "llama.cpp": "openai",
    "llama-server": "openai",
    "llama_cpp_python": "openai",
    "localai": "openai",
    "tgi": "openai",
    "sglang": "openai",
    "vllm_hosted": "hosted_vllm",
    "hosted-vllm": "hosted_vllm",
    "lmstudio": "lm_studio",
    "google": "gemini",
    "claude": "anthropic",
    "local": "openai",
    "text-generation-inference": "huggingface",
    "text-generation-webui": "openai",
    "tei": "huggingface",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "azureopenai": "azure",
    "open_router": "openrouter",
    "open-router": "openrouter",
    "lm-studio": "lm_studio",
    "kobold": "openai",
    "koboldcpp": "openai",
    "tabbyapi": "openai",
    "exllama": "openai",
    "lmdeploy": "openai",
    "jan": "openai",
    "gpt4all": "openai",
    "mlx": "openai",
    "llama_server": "openai",
    "ollama_embeddings": "ollama",
}
"""Prefixes that people write by mistake → the provider that they mean."""

_OPENAI_CLIENTS = ("openai", "custom_openai", "text-completion-openai")
"""Providers whose requests use OpenAI's client, which requires a key."""

_REGION = re.compile(r"(^|[/:])[a-z]{2}(-[a-z]+)+-\d[/:]")
"""In the name of a model of Bedrock: `bedrock/eu-central-1/X`, `arn:aws:bedrock:eu-central-1:…`."""

_CANNOT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "openai": (("rerank",), "write `hosted_vllm/`, `infinity/`, `cohere/` or `jina_ai/`, as the server speaks"),
    "lm_studio": (("rerank",), "LM Studio has no such endpoint"),
    "custom_openai": (("embedding", "rerank"), "write `openai/` for embeddings"),
    "ollama_chat": (("embedding", "rerank", "audio_transcription", "audio_speech"), "write `ollama/` for embeddings"),
    "ollama": (("rerank", "audio_transcription", "audio_speech"), "Ollama has no such endpoint"),
    "anthropic": (("embedding", "rerank", "audio_transcription", "audio_speech"), "Anthropic has no such endpoint"),
    "infinity": (("chat", "completion"), "write `openai/` with the same address"),
    "openai_like": (("rerank",), "write `hosted_vllm/`, `infinity/`, `cohere/` or `jina_ai/`, as the server speaks"),
    "xinference": (("rerank",), "write `infinity/` or `jina_ai/` with the same address"),
    "llamafile": (("rerank",), "write `hosted_vllm/` with the same address: it asks /rerank"),
}
"""Provider → the modes for which LiteLLM sends nothing to it, and what to do."""


@rule(
    "error",
    fix="write `PROVIDER/MODEL` with a provider that LiteLLM knows",
    source="tried with 1.106.2",
    versions="by release",
)
def unknown_provider(config: Config) -> Iterator[Found]:
    """The word before the slash (or `custom_llm_provider`) is no provider: the deployment is dropped in silence."""
    for model in config.models:
        if model.model.startswith(REFERENCE):
            if model.provider is None:
                message = f"{model.title}: the value of `{model.model}` begins with no provider: {_DROPPED}"
                yield Found(model.parameter("model"), message)
            continue
        prefix, slash, rest = model.model.partition("/")
        given = model.params.get("custom_llm_provider")
        if isinstance(given, str) and not given.startswith(REFERENCE):
            prefix, slash, rest = given, "/", model.model
        if not slash or model.provider is not None:
            continue
        right = _MISTAKEN.get(prefix.lower()) or nearest(prefix, config.known.providers)
        fix = f'write "{right}/{rest}"' if right else ""
        if not right and model.base is not None:
            fix = f'for an OpenAI-compatible server write "openai/{model.model}"'
        yield Found(model.parameter("model"), f'{model.title}: "{prefix}" is no provider: {_DROPPED}', fix)


@rule("error", fix="write `PROVIDER/MODEL`", source="tried with 1.106.2", versions="by release")
def missing_provider(config: Config) -> Iterator[Found]:
    """A model without a provider before it that is in none of LiteLLM's lists: the deployment is dropped in silence."""
    for model in config.models:
        if "/" in model.model or "custom_llm_provider" in model.params or model.provider is not None:
            continue
        unless = "" if model.base is not None else " unless its online list of prices knows the name"
        message = f'{model.title}: "{model.model}" names no provider: {_DROPPED}{unless}'
        fix = "" if model.base is None else f'for an OpenAI-compatible server write "openai/{model.model}"'
        yield Found(model.parameter("model"), message, fix)


@rule(
    "warning",
    fix="write `ollama_chat/MODEL`",
    source="tried with 1.106.2: POST /api/generate; BerriAI/litellm issue 5048",
)
def ollama_generate(config: Config) -> Iterator[Found]:
    """`ollama/` for a chat model: LiteLLM makes one prompt of the messages, without the model's template and tools."""
    for model in config.models:
        if model.provider == "ollama" and model.mode in ("", "chat") and not model.embeds:
            message = f"{model.title}: `ollama/` asks /api/generate: the model's chat template and its tools are lost"
            yield Found(model.parameter("model"), message)


@rule(
    "error",
    fix="name a provider that has such an endpoint",
    source='tried with 1.106.2: "Unmapped LLM provider for this endpoint" and its like, at each request',
)
def provider_without_mode(config: Config) -> Iterator[Found]:
    """A model whose `mode` LiteLLM has no request for at this provider (rerank at `openai/`)."""
    for model in config.models:
        modes, fix = _CANNOT.get(model.provider or "", ((), ""))
        if model.mode in modes:
            message = f"{model.title}: LiteLLM sends no {model.mode} to `{model.provider}/`: each request fails"
            yield Found((*model.path, "model_info", "mode"), message, fix)


@rule("error", fix="write `hosted_vllm/MODEL`", source="tried with 1.106.2: \"No module named 'vllm'\"")
def vllm_in_process(config: Config) -> Iterator[Found]:
    """`vllm/` loads the model in LiteLLM's own process; a vLLM server is `hosted_vllm/`."""
    for model in config.models:
        if model.provider == "vllm":
            message = f"{model.title}: `vllm/` imports vLLM into LiteLLM instead of asking a server"
            yield Found(model.parameter("model"), message, f'write "hosted_vllm/{model.model.partition("/")[2]}"')


@rule(
    "error",
    fix="write any `api_key`, for a server that asks for none too: `api_key: none`",
    source='tried with 1.106.2: "Missing credentials" at each request; with OPENAI_API_KEY set, that is sent',
)
def api_key_missing(config: Config) -> Iterator[Found]:
    """An OpenAI-compatible server without a key: requests fail, or get the key that is meant for OpenAI."""
    settings = config.section("litellm_settings")
    if config.variable_is_given("OPENAI_API_KEY") or {"api_key", "openai_key"} & set(settings):
        return
    for model in config.models:
        if model.provider not in _OPENAI_CLIENTS or model.has_credential or model.params.get("api_key"):
            continue
        address = model.address
        if address is None or _is_openai(address.netloc) or "mock_response" in model.params:
            continue
        outcome = "requests fail"
        if config.environment is None:
            outcome += ", or carry the OPENAI_API_KEY of the environment to this server"
        yield Found((*model.path, "litellm_params"), f"{model.title} has an `api_base` and no `api_key`: {outcome}")


@rule(
    "warning",
    fix="write `api_version`, with the version that the resource was made for",
    source="read in 1.106.2: `AZURE_DEFAULT_API_VERSION` = 2025-02-01-preview",
)
def azure_version_by_default(config: Config) -> Iterator[Found]:
    """A model of Azure OpenAI without `api_version`: LiteLLM asks for a version of its own, which releases change."""
    if config.variable_is_given("AZURE_API_VERSION") or config.section("litellm_settings").get("api_version"):
        return
    for model in config.models:
        if model.provider != "azure" or model.has_credential or model.params.get("api_version"):
            continue
        if model.address and "api-version" not in model.address.query and "mock_response" not in model.params:
            message = f"{model.title} has no `api_version`: LiteLLM takes its own, which other releases change"
            yield Found((*model.path, "litellm_params"), message)


@rule(
    "warning",
    fix="write `aws_region_name: eu-central-1`, the region whose models you may use",
    source="read in 1.106.2: `_get_aws_region_name`",
)
def bedrock_region_by_default(config: Config) -> Iterator[Found]:
    """A model of Bedrock without a region: LiteLLM asks us-west-2, and prompts go there."""
    if any(map(config.variable_is_given, ("AWS_REGION_NAME", "AWS_REGION", "AWS_PROFILE_NAME"))):
        return
    for model in config.models:
        params = model.params
        if model.provider != "bedrock" or model.has_credential or params.get("aws_region_name") or model.base:
            continue
        if params.get("aws_profile_name") or _REGION.search(model.model) or "mock_response" in params:
            continue
        unless = " unless its environment has AWS_REGION" if config.environment is None else ""
        yield Found((*model.path, "litellm_params"), f"{model.title} has no region: LiteLLM asks us-west-2{unless}")


def _is_openai(host: str) -> bool:
    return host.rpartition("@")[2].partition(":")[0].lower().endswith("openai.com")
