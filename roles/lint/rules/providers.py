"""Rules about providers: the prefix before the slash, the address, the key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from roles.lint.config import REFERENCE, Config, Model
from roles.lint.document import Path
from roles.lint.known import nearest
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
}
"""Prefixes that people write by mistake → the provider that they mean."""

_BASE_VARIABLES: Mapping[str, str] = {"hosted_vllm": "HOSTED_VLLM_API_BASE", "lm_studio": "LM_STUDIO_API_BASE"}
"""Self-hosted servers without a default address → the variable that LiteLLM reads."""
_OLLAMA = ("ollama", "ollama_chat")
_OPENAI_CLIENTS = ("openai", "custom_openai", "text-completion-openai")
"""Providers whose requests use OpenAI's client, which requires a key."""
_OF_ONES_OWN = ("openai", "custom_openai", "hosted_vllm", "lm_studio", "text-completion-openai", *_OLLAMA)

_ENDPOINT = re.compile(r"/(chat/completions|completions|embeddings|responses)/?$")


def _parameter(model: Model, key: str) -> Path:
    return (*model.path, "litellm_params", key)


@rule(
    "error",
    fix="write `PROVIDER/MODEL` with a provider that LiteLLM knows",
    source="tried with 1.106.2",
    versions="by release",
)
def unknown_provider(config: Config) -> Iterator[Found]:
    """The word before the slash (or `custom_llm_provider`) is no provider: the deployment is dropped in silence."""
    for model in config.models:
        prefix, slash, rest = model.model.partition("/")
        given = model.params.get("custom_llm_provider")
        if isinstance(given, str) and not given.startswith(REFERENCE):
            prefix, slash, rest = given, "/", model.model
        if not slash or config.provider(model) is not None:
            continue
        right = _MISTAKEN.get(prefix.lower()) or nearest(prefix, config.known.providers, 0.75)
        fix = f'write "{right}/{rest}"' if right else ""
        if not right and model.base is not None:
            fix = f'for an OpenAI-compatible server write "openai/{model.model}"'
        yield Found(_parameter(model, "model"), f'{model.title}: "{prefix}" is no provider: {_DROPPED}', fix)


@rule("error", fix="write `PROVIDER/MODEL`", source="tried with 1.106.2", versions="by release")
def missing_provider(config: Config) -> Iterator[Found]:
    """A model without a provider before it that is in none of LiteLLM's lists: the deployment is dropped in silence."""
    for model in config.models:
        if "/" in model.model or "custom_llm_provider" in model.params or config.provider(model) is not None:
            continue
        unless = "" if model.base is not None else " unless its online list of prices knows the name"
        message = f'{model.title}: "{model.model}" names no provider: {_DROPPED}{unless}'
        fix = "" if model.base is None else f'for an OpenAI-compatible server write "openai/{model.model}"'
        yield Found(_parameter(model, "model"), message, fix)


@rule(
    "warning",
    fix="write `ollama_chat/MODEL`",
    source="tried with 1.106.2: POST /api/generate; BerriAI/litellm issue 5048",
)
def ollama_generate(config: Config) -> Iterator[Found]:
    """`ollama/` for a chat model: LiteLLM makes one prompt of the messages, without the model's template and tools."""
    for model in config.models:
        if config.provider(model) == "ollama" and model.mode in ("", "chat") and "embed" not in model.model.lower():
            message = f"{model.title}: `ollama/` asks /api/generate: the model's chat template and its tools are lost"
            yield Found(_parameter(model, "model"), message)


@rule("error", fix="write `hosted_vllm/MODEL`", source="tried with 1.106.2: \"No module named 'vllm'\"")
def vllm_in_process(config: Config) -> Iterator[Found]:
    """`vllm/` loads the model in LiteLLM's own process; a vLLM server is `hosted_vllm/`."""
    for model in config.models:
        if config.provider(model) == "vllm":
            message = f"{model.title}: `vllm/` imports vLLM into LiteLLM instead of asking a server"
            yield Found(_parameter(model, "model"), message, f'write "hosted_vllm/{model.model.partition("/")[2]}"')


@rule("error", fix="write `api_base`", source="read in 1.106.2 (load_config runs `ollama serve`; HostedVLLMChatConfig)")
def api_base_missing(config: Config) -> Iterator[Found]:
    """A server of one's own without its address."""
    for model in config.models:
        if model.has_credential or model.params.get(model.base_key) is not None:
            continue
        provider, where = config.provider(model), (*model.path, "litellm_params")
        variable = _BASE_VARIABLES.get(provider or "")
        if "ollama" in model.model and provider is not None:
            yield Found(where, f"{model.title} has no `api_base`: LiteLLM runs `ollama serve` by itself when it starts")
        elif variable and not config.variable_is_set(variable):
            unless = f" (unless {variable} is set)" if config.environment is None else ""
            yield Found(where, f"{model.title} has no `api_base`: LiteLLM does not know where the server is{unless}")


@rule(
    "error",
    fix="write `http://HOST:PORT` before the path",
    source="tried with 1.106.2: connection error at each request",
)
def api_base_without_scheme(config: Config) -> Iterator[Found]:
    """An address that does not begin with `http://` or `https://`."""
    for model in config.models:
        if model.base is not None and model.address is None and config.provider(model) in _OF_ONES_OWN:
            message = (
                f"{model.title}: `{model.base_key}` does not begin with http:// or https://: no request gets through"
            )
            yield Found(_parameter(model, model.base_key), message)


@rule(
    "error",
    fix="end it with `/v1`",
    source="tried with 1.106.2: it asks /chat/completions; vLLM has /v1/chat/completions",
)
def vllm_api_base_without_v1(config: Config) -> Iterator[Found]:
    """The address of a vLLM server has no path: vLLM answers below `/v1` only."""
    for model in config.models:
        if config.provider(model) == "hosted_vllm" and model.address and model.address.path in ("", "/"):
            yield Found(
                _parameter(model, model.base_key), f"{model.title}: `{model.base_key}` lacks /v1: vLLM answers 404"
            )


@rule(
    "warning",
    fix="end it with `/v1`",
    source="tried with 1.106.2: it asks /chat/completions below the address as it is",
)
def openai_api_base_without_v1(config: Config) -> Iterator[Found]:
    """The address of an OpenAI-compatible server has no path: most answer below `/v1` only."""
    for model in config.models:
        if config.provider(model) in _OPENAI_CLIENTS and model.address and model.address.path in ("", "/"):
            message = f"{model.title}: `{model.base_key}` has no path: LiteLLM asks /chat/completions, without /v1"
            yield Found(_parameter(model, model.base_key), message)


@rule("error", fix="end it with `/v1`", source="tried with 1.106.2: …/chat/completions/chat/completions")
def api_base_with_endpoint(config: Config) -> Iterator[Found]:
    """The address of an OpenAI-compatible server has the endpoint too: LiteLLM adds it again."""
    for model in config.models:
        address = model.address
        if config.provider(model) in ("openai", "custom_openai") and address and _ENDPOINT.search(address.path):
            message = f"{model.title}: `{model.base_key}` ends with an endpoint, and LiteLLM adds it once more"
            yield Found(_parameter(model, model.base_key), message)


@rule(
    "error",
    fix="write `http://HOST:11434`",
    source="tried with 1.106.2: /v1/api/chat and //api/chat, which Ollama does not have",
)
def ollama_api_base_with_path(config: Config) -> Iterator[Found]:
    """The address of an Ollama server ends with `/v1` or with a slash: Ollama answers 404."""
    for model in config.models:
        if config.provider(model) not in _OLLAMA or model.address is None:
            continue
        path = model.address.path
        if path.endswith("/") or path == "/v1":
            ends = "a slash" if path.endswith("/") and path != "/v1/" else "/v1"
            yield Found(
                _parameter(model, model.base_key),
                f"{model.title}: `{model.base_key}` ends with {ends}: Ollama answers 404",
            )


@rule(
    "error",
    fix="write any `api_key`, for a server that asks for none too: `api_key: none`",
    source='tried with 1.106.2: "Missing credentials" at each request; with OPENAI_API_KEY set, that is sent',
)
def api_key_missing(config: Config) -> Iterator[Found]:
    """An OpenAI-compatible server without a key: requests fail, or get the key that is meant for OpenAI."""
    settings = config.section("litellm_settings")
    variables = config.section("environment_variables")
    if (
        config.variable_is_set("OPENAI_API_KEY")
        or "OPENAI_API_KEY" in variables
        or {"api_key", "openai_key"} & set(settings)
    ):
        return
    for model in config.models:
        if config.provider(model) not in _OPENAI_CLIENTS or model.has_credential or model.params.get("api_key"):
            continue
        address = model.address
        if address is None or _is_openai(address.netloc) or "mock_response" in model.params:
            continue
        outcome = "requests fail"
        if config.environment is None:
            outcome += ", or carry the OPENAI_API_KEY of the environment to this server"
        yield Found((*model.path, "litellm_params"), f"{model.title} has an `api_base` and no `api_key`: {outcome}")


def _is_openai(host: str) -> bool:
    return host.rpartition("@")[2].partition(":")[0].lower().endswith("openai.com")
