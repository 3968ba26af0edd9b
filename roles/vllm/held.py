"""The arguments of `vllm serve` that options give, in each of their spellings."""

from __future__ import annotations

from collections.abc import Mapping

from roles.options import OURS

_OPTIONS: Mapping[str, str] = {
    "api_key": "--api-key",
    "bind": "--host",
    "chat_template": "--chat-template",
    "dtype": "--dtype",
    "enable_prefix_caching": "--enable-prefix-caching --no-enable-prefix-caching",
    "enforce_eager": "--enforce-eager --no-enforce-eager",
    "gpu_memory_utilization": "--gpu-memory-utilization --device-memory-utilization",
    "kv_cache_dtype": "--kv-cache-dtype",
    "kv_cache_memory_bytes": "--kv-cache-memory-bytes",
    "lora_modules": "--lora-modules --enable-lora --no-enable-lora",
    "max_lora_rank": "--max-lora-rank",
    "max_loras": "--max-loras",
    "max_model_len": "--max-model-len",
    "max_num_seqs": "--max-num-seqs",
    "model": "--model --revision",
    "pipeline_parallel_size": "-pp --pipeline-parallel-size",
    "port": "--port",
    "quantization": "-q --quantization",
    "reasoning_parser": "--reasoning-parser",
    "runner": "--runner",
    "served_model_name": "--served-model-name",
    "tensor_parallel_size": "-tp --tensor-parallel-size",
    "tool_call_parser": "--tool-call-parser --enable-auto-tool-choice --no-enable-auto-tool-choice",
    "trust_remote_code": "--trust-remote-code --no-trust-remote-code",
}
_OF_THE_PLAN = (
    # A file with any of these.
    "--config "
    # The gateway and the verifier ask over TCP, without TLS, at the root.
    "--uds --ssl-keyfile --ssl-certfile --ssl-ca-certs --ssl-cert-reqs --root-path --headless "
    "--shutdown-timeout --disable-fastapi-docs "
    # It would show in the list of processes; the deploy fetches models.
    "--hf-token "
    # These print something, and end.
    "-h --help -v --version"
)
HELD_ARGUMENTS: Mapping[str, str] = {
    **{argument: option for option, arguments in _OPTIONS.items() for argument in arguments.split()},
    **dict.fromkeys(_OF_THE_PLAN.split(), OURS),
}
"""Argument → the option that gives it, or `OURS`: it would undo what the rest of the plan relies on.

Source: `vllm serve --help=all` of the pinned release.
"""
