"""Entries of references to the environment."""

from __future__ import annotations

from collections.abc import Mapping

from tests.lint_corpus.entries import Entry

_AS_WRITTEN = "the words are taken as they are written"


def _with(parameter: str) -> str:
    return (
        "model_list:\n"
        f'  - {{model_name: a, litellm_params: {{model: openai/x, api_base: "http://127.0.0.1:9/v1", {parameter}}}}}\n'
    )


ENTRIES: Mapping[str, Entry | str] = {
    "reference": Entry(_with("api_key: os.environ/GPU_KEY"), environment={"GPU_KEY": "k"}),
    "reference-unset": Entry(_with("api_key: os.environ/GPU_KEY"), breaks="the value is None"),
    "reference-with-space": Entry(
        _with('api_key: "os.environ/GPU_KEY "'), environment={"GPU_KEY": "k"}, breaks="the value is None"
    ),
    "reference-in-the-middle": Entry(
        _with('api_key: "Bearer os.environ/GPU_KEY"'), environment={"GPU_KEY": "k"}, breaks=_AS_WRITTEN
    ),
    "shell": Entry(_with('api_key: "${GPU_KEY}"'), breaks=_AS_WRITTEN),
    "shell-default": Entry(_with('api_key: "${GPU_KEY:-none}"'), breaks=_AS_WRITTEN),
    "shell-in-address": Entry(
        'model_list: [{model_name: a, litellm_params: {model: ollama_chat/x, api_base: "http://${GPU}:11434"}}]',
        breaks=_AS_WRITTEN,
    ),
    "bare": Entry(_with("api_key: $GPU_KEY"), breaks=_AS_WRITTEN),
    "template": Entry(_with('api_key: "{{ GPU_KEY }}"'), breaks=_AS_WRITTEN),
    "python": Entry(_with("""api_key: 'os.environ["GPU_KEY"]'"""), breaks=_AS_WRITTEN),
    "in-list": Entry(_with("api_key: k, tags: [os.environ/TAG]"), environment={"TAG": "t"}, breaks=_AS_WRITTEN),
    "model-from-variable": Entry(
        "model_list: [{model_name: a, litellm_params: {model: os.environ/MODEL, api_key: k}}]",
        environment={"MODEL": "openai/gpt-4o"},
    ),
    "model-from-variable-unknown": Entry(
        "model_list: [{model_name: a, litellm_params: {model: os.environ/MODEL, api_key: k}}]",
        environment={"MODEL": "llama_cpp/x"},
    ),
    "base-from-variable": Entry(
        "model_list: [{model_name: a, litellm_params: {model: ollama_chat/x, api_base: os.environ/OLLAMA_HOST}}]",
        environment={"OLLAMA_HOST": "127.0.0.1:11434"},
        breaks="no scheme",
    ),
    "rpm-from-variable": Entry(_with("api_key: k, rpm: os.environ/RPM"), environment={"RPM": "60"}),
    "rpm-from-variable-word": Entry(_with("api_key: k, rpm: os.environ/RPM"), environment={"RPM": "many"}),
    "own-variables": "environment_variables: {LANGFUSE_HOST: http://127.0.0.1:3000}",
    "own-variables-number": "environment_variables: {MY_NUMBER: 5}",
    "own-variables-nothing": "environment_variables: {MY_NUMBER: }",
    "own-variables-list": "environment_variables: [A=1]",
    "own-variables-mapping-inside": "environment_variables: {A: {b: c}}",
    "constant": 'environment_variables: {DEFAULT_MAX_RECURSE_DEPTH: "200"}',
}
