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


def _base(address: str) -> str:
    return f'model_list: [{{model_name: a, litellm_params: {{model: openai/x, api_base: "{address}", api_key: k}}}}]\n'


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
    "bare-in-address": Entry(_base("$LLM_BASE/v1"), breaks=_AS_WRITTEN),
    "template-in-address": Entry(_base("{{OLLAMA_URL}}/v1"), breaks=_AS_WRITTEN),
    "template-block": Entry(_with('api_key: "{{- .Values.key -}}"'), breaks=_AS_WRITTEN),
    "template-function": Entry(_with("""api_key: "{{ env('GPU_KEY') }}" """), breaks=_AS_WRITTEN),
    "reference-in-address": Entry(_base("http://os.environ/GPU_HOST:8000/v1"), breaks=_AS_WRITTEN),
    "reference-with-path": Entry(
        _base("os.environ/GPU_BASE/v1"), environment={"GPU_BASE": "http://127.0.0.1:9"}, breaks="the value is None"
    ),
    "reference-hyphen": Entry(_with("api_key: os.environ/GPU-KEY"), breaks="the value is None"),
    "reference-empty": Entry(_with("api_key: os.environ/"), breaks="the value is None"),
    "reference-brackets": Entry(_with("api_key: 'os.environ[GPU_KEY]'"), breaks=_AS_WRITTEN),
    "reference-dot": Entry(_with("api_key: os.environ.GPU_KEY"), breaks=_AS_WRITTEN),
    "reference-colon": Entry(_with('api_key: "os.environ:GPU_KEY"'), breaks=_AS_WRITTEN),
    "reference-getenv": Entry(_with("""api_key: 'os.getenv("GPU_KEY")'"""), breaks=_AS_WRITTEN),
    "reference-backslash": Entry(_with("api_key: 'os.environ\\GPU_KEY'"), breaks=_AS_WRITTEN),
    "reference-two": Entry(_with("api_key: os.environ/A os.environ/B"), breaks="the value is None"),
    "javascript": Entry(_with("api_key: process.env.GPU_KEY"), breaks=_AS_WRITTEN),
    "env-colon": Entry(_with('api_key: "${env:GPU_KEY}"'), breaks=_AS_WRITTEN),
    "env-prefix": Entry(_with('api_key: "env:GPU_KEY"'), breaks=_AS_WRITTEN),
    "workflow": Entry(_with('api_key: "${{ secrets.GPU_KEY }}"'), breaks=_AS_WRITTEN),
    "shell-lower-case": Entry(_with('api_key: "$gpu_key"'), breaks=_AS_WRITTEN),
    "shell-with-spaces": Entry(_with('api_key: "${ GPU_KEY }"'), breaks=_AS_WRITTEN),
    "shell-without-quotes": _with("api_key: ${GPU_KEY:?no key} "),
    "shell-nested-default": Entry(_with('api_key: "${GPU_KEY:-${OTHER_KEY}}"'), breaks=_AS_WRITTEN),
    "double-at": Entry(_with('api_key: "@@GPU_KEY@@"'), breaks=_AS_WRITTEN),
    "hash-braces": Entry(_with('api_key: "#{GPU_KEY}#"'), breaks=_AS_WRITTEN),
    "sops": Entry(_with('api_key: "ENC[AES256_GCM,data:Zm9v,iv:YmFy,tag:YmF6,type:str]"'), breaks=_AS_WRITTEN),
    "yaml-tag": _with("api_key: !ENV GPU_KEY"),
    "model-in-part": Entry(
        "model_list: [{model_name: a, litellm_params: {model: 'openai/${MODEL}', api_key: k}}]", breaks=_AS_WRITTEN
    ),
    "name-in-part": Entry(
        "model_list: [{model_name: '${NAME}', litellm_params: {model: openai/gpt-4o, api_key: k}}]", breaks=_AS_WRITTEN
    ),
    "header": Entry(_with('api_key: k, extra_headers: {Authorization: "Bearer ${TOKEN}"}'), breaks=_AS_WRITTEN),
    "master-key-shell": Entry('general_settings: {master_key: "${LITELLM_MASTER_KEY}"}', breaks=_AS_WRITTEN),
    "master-key-template": Entry('general_settings: {master_key: "{{ litellm_key }}"}', breaks=_AS_WRITTEN),
    "cache-host-shell": Entry(
        "litellm_settings: {cache: true, cache_params: {type: redis, host: '${REDIS_HOST}', socket_timeout: 1}}",
        breaks=_AS_WRITTEN,
    ),
    "own-variables-shell": Entry('environment_variables: {LANGFUSE_HOST: "http://${HOST}:3000"}', breaks=_AS_WRITTEN),
    "rpm-shell": _with('api_key: k, rpm: "${RPM}"'),
    "timeout-bare": Entry(_with("api_key: k, timeout: $TIMEOUT"), breaks=_AS_WRITTEN),
    "honest-key-with-dollars": _with('api_key: "sk-a$b$c"'),
    "honest-address-with-percent": _with("api_key: k").replace("/v1", "/a%20b%20/v1"),
    "honest-stop-words": _with('api_key: k, extra_body: {stop: ["$END_OF_TEXT", "{{END}}", "${"]}'),
    "honest-chat-template": _with('api_key: k, extra_body: {chat_template: "{{ messages }}"}'),
    "honest-price": _with('api_key: k, extra_headers: {X-Price: "$5"}'),
    "honest-description": _with('api_key: k}, model_info: {description: "asks ${X}"'),
}
