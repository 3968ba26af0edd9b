"""Entries of providers: the prefix, the address, the mode."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_HOST = "http://127.0.0.1:9"
_404 = "the server has nothing at the path that LiteLLM asks"
_NO_ENDPOINT = "LiteLLM has no such request for this provider"


def _server(model: str, base: str = "", mode: str = "", more: str = ", api_key: none") -> str:
    base = f', api_base: "{base}"' if base else ""
    info = f", model_info: {{mode: {mode}}}" if mode else ""
    return f"model_list:\n  - {{model_name: a, litellm_params: {{model: {model}{base}{more}}}{info}}}\n"


ENTRIES: Mapping[str, Entry | str] = {
    "openai": _server("openai/gpt-4o", more=""),
    "openai-local": _server("openai/x", f"{_HOST}/v1"),
    "openai-local-no-key": Entry(_server("openai/x", f"{_HOST}/v1", more=""), breaks="no credentials"),
    "openai-no-scheme": Entry(_server("openai/x", "127.0.0.1:9/v1"), breaks="no connection"),
    "openai-endpoint": Entry(_server("openai/x", f"{_HOST}/v1/chat/completions"), breaks=_404),
    "openai-rerank": Entry(_server("openai/x", f"{_HOST}/v1", "rerank"), breaks=_NO_ENDPOINT),
    "openai-bare-name": "model_list: [{model_name: a, litellm_params: {model: gpt-4o, api_key: none}}]",
    "bare-name-unknown": "model_list: [{model_name: a, litellm_params: {model: qwen-of-mine, api_key: none}}]",
    "bare-name-claude": "model_list: [{model_name: a, litellm_params: {model: claude-sonnet-4-5, api_key: none}}]",
    "custom-provider-key": _server("x", f"{_HOST}/v1", more=", api_key: none, custom_llm_provider: openai"),
    "custom-provider-unknown": _server("x", f"{_HOST}/v1", more=", api_key: none, custom_llm_provider: nope"),
    "vllm-server": _server("hosted_vllm/x", f"{_HOST}/v1"),
    "vllm-no-v1": Entry(_server("hosted_vllm/x", _HOST), breaks=_404),
    "vllm-embedding-no-v1": Entry(_server("hosted_vllm/x", _HOST, "embedding"), breaks=_404),
    "vllm-rerank": _server("hosted_vllm/x", _HOST, "rerank"),
    "vllm-rerank-v1": _server("hosted_vllm/x", f"{_HOST}/v1", "rerank"),
    "vllm-audio-no-v1": Entry(_server("hosted_vllm/x", _HOST, "audio_transcription"), breaks=_404),
    "vllm-no-base": Entry(_server("hosted_vllm/x"), breaks="LiteLLM does not know where the server is"),
    "vllm-base-by-variable": Entry(_server("hosted_vllm/x"), environment={"HOSTED_VLLM_API_BASE": f"{_HOST}/v1"}),
    "vllm-in-process": Entry(_server("vllm/x", f"{_HOST}/v1"), breaks="it imports vLLM"),
    "ollama-chat": _server("ollama_chat/llama3.2", _HOST),
    "ollama-generate": _server("ollama/llama3.2", _HOST),
    "ollama-embedding": _server("ollama/nomic-embed-text", _HOST, "embedding"),
    "ollama-chat-embedding": Entry(_server("ollama_chat/x", _HOST, "embedding"), breaks=_NO_ENDPOINT),
    "ollama-rerank": Entry(_server("ollama/x", _HOST, "rerank"), breaks=_NO_ENDPOINT),
    "ollama-v1": Entry(_server("ollama_chat/x", f"{_HOST}/v1"), breaks=_404),
    "ollama-api": Entry(_server("ollama_chat/x", f"{_HOST}/api"), breaks=_404),
    "ollama-slash": Entry(_server("ollama_chat/x", f"{_HOST}/"), breaks=_404),
    "ollama-behind-path": _server("ollama_chat/x", f"{_HOST}/ollama"),
    "ollama-no-base": _server("ollama_chat/x"),
    "ollama-base-by-variable": Entry(_server("ollama_chat/x"), environment={"OLLAMA_API_BASE": _HOST}),
    "llama-cpp": _server("llama_cpp/x", f"{_HOST}/v1"),
    "llama-cpp-dash": _server("llama-cpp/x", f"{_HOST}/v1"),
    "llama-server": _server("openai/x", _HOST),
    "llamafile": _server("llamafile/x", f"{_HOST}/v1"),
    "llamafile-no-base": _server("llamafile/x"),
    "llamafile-endpoint": Entry(_server("llamafile/x", f"{_HOST}/v1/chat/completions"), breaks=_404),
    "lm-studio": _server("lm_studio/x", f"{_HOST}/v1"),
    "lm-studio-no-v1": Entry(_server("lm_studio/x", _HOST), breaks=_404),
    "lm-studio-no-base": Entry(_server("lm_studio/x"), breaks="LiteLLM does not know where the server is"),
    "lmstudio": _server("lmstudio/x", f"{_HOST}/v1"),
    "tgi": _server("huggingface/tgi", _HOST),
    "tgi-prefix": _server("tgi/x", _HOST),
    "tei-rerank": _server("huggingface/x", _HOST, "rerank"),
    "tei-rerank-v1": Entry(_server("huggingface/x", f"{_HOST}/v1", "rerank"), breaks=_404),
    "infinity": _server("infinity/x", _HOST, "rerank"),
    "infinity-chat": Entry(_server("infinity/x", _HOST, "chat"), breaks=_NO_ENDPOINT),
    "infinity-no-base": Entry(_server("infinity/x", mode="rerank"), breaks="LiteLLM does not know where the server is"),
    "sglang": _server("sglang/x", f"{_HOST}/v1"),
    "localai": _server("localai/x", f"{_HOST}/v1"),
    "xinference": _server("xinference/x", f"{_HOST}/v1"),
    "xinference-no-v1": Entry(_server("xinference/x", _HOST), breaks=_404),
    "litellm-proxy": _server("litellm_proxy/x", _HOST),
    "litellm-proxy-rerank-v1": Entry(_server("litellm_proxy/x", f"{_HOST}/v1", "rerank"), breaks=_404),
    "anthropic": _server("anthropic/claude-sonnet-4-5", more=""),
    "anthropic-v1": Entry(_server("anthropic/claude-sonnet-4-5", f"{_HOST}/v1"), breaks=_404),
    "anthropic-messages": _server("anthropic/claude-sonnet-4-5", f"{_HOST}/v1/messages"),
    "anthropic-embedding": Entry(_server("anthropic/x", mode="embedding"), breaks=_NO_ENDPOINT),
    "claude-prefix": _server("claude/claude-sonnet-4-5"),
    "openrouter": _server("openrouter/meta-llama/llama-3.3-70b-instruct"),
    "openrouter-web": Entry(_server("openrouter/x", "https://openrouter.ai/v1"), breaks=_404),
    "azure": _server("azure/x", "https://name.openai.azure.com", more=', api_key: none, api_version: "2024-10-21"'),
    "azure-no-base": Entry(_server("azure/x"), breaks="LiteLLM does not know where the server is"),
    "azure-openai-path": Entry(_server("azure/x", "https://name.openai.azure.com/openai/v1"), breaks=_404),
    "azure-version-date": _server(
        "azure/x", "https://name.openai.azure.com", more=", api_key: none, api_version: 2024-10-21"
    ),
    "azure-openai-prefix": _server("azure_openai/x", "https://name.openai.azure.com"),
    "gemini": _server("gemini/gemini-2.5-flash", more=""),
    "google-prefix": _server("google/gemini-2.5-flash"),
    "cohere-rerank-v1": Entry(_server("cohere/rerank-v3.5", f"{_HOST}/v1", "rerank"), breaks=_404),
    "hugging-face-name": _server("Qwen/Qwen2.5-7B-Instruct", f"{_HOST}/v1"),
    "provider-upper-case": _server("OpenAI/gpt-4o"),
    "own-provider": Entry(
        "model_list: [{model_name: a, litellm_params: {model: mine/x}}]\n"
        "litellm_settings: {custom_provider_map: [{provider: mine, custom_handler: own.handler}]}\n",
        files={"own.py": "import litellm\nclass Own(litellm.CustomLLM):\n    pass\nhandler = Own()\n"},
    ),
    "own-provider-without-file": "litellm_settings: {custom_provider_map: [{provider: p, custom_handler: own.h}]}",
    "own-provider-without-handler": "litellm_settings: {custom_provider_map: [{provider: mine}]}",
    "space-before-slash": _server("openai /x", f"{_HOST}/v1"),
    "space-behind-slash": _server('"openai/ x"', f"{_HOST}/v1"),
    "colon": _server("openai:gpt-4o", f"{_HOST}/v1"),
    "backslash": _server("'openai\\gpt-4o'", f"{_HOST}/v1"),
    "slash-first": _server("/openai/x", f"{_HOST}/v1"),
    "ollama-dash": _server("ollama-chat/x", _HOST),
    "ollama-upper-case": _server("Ollama/x", _HOST),
    "ollama-colon": _server("ollama:llama3.2", _HOST),
    "vertex-dash": _server("vertex-ai/gemini-2.5-pro", more=""),
    "together-joined": _server("togetherai/meta-llama/Llama-3-8b-chat-hf"),
    "mistral-ai": _server("mistralai/mistral-small-latest"),
    "fireworks": _server("fireworks/llama-v3p1-8b-instruct"),
    "deep-seek": _server("deep-seek/deepseek-chat"),
    "grok": _server("grok/grok-4"),
    "nvidia": _server("nvidia/llama-3.1-nemotron-70b"),
    "vllm-openai": _server("vllm-openai/x", f"{_HOST}/v1"),
    "openai-compatible": _server("openai_compatible/x", f"{_HOST}/v1"),
    "custom-provider-upper-case": _server("x", f"{_HOST}/v1", more=", api_key: none, custom_llm_provider: OpenAI"),
    "custom-provider-list": _server("x", f"{_HOST}/v1", more=", api_key: none, custom_llm_provider: [openai]"),
    "custom-provider-and-prefix": _server(
        "openai/x", f"{_HOST}/v1", more=", api_key: none, custom_llm_provider: openai"
    ),
    "text-completion": _server("text-completion-openai/x", f"{_HOST}/v1"),
    "docker-model-runner": _server("docker_model_runner/ai/smollm2", "http://127.0.0.1:9/engines/llama.cpp"),
}
