"""What options give: arguments of llama-server, in each of their spellings, and variables of the Python server."""

from __future__ import annotations

from collections.abc import Mapping

from roles.options import OURS

_OPTIONS: Mapping[str, str] = {
    "api_key": "--api-key --api-key-file",
    "batch_size": "-b --batch-size",
    "bind": "--host",
    "cache_ram": "-cram --cache-ram",
    "cache_type_k": "-ctk --cache-type-k",
    "cache_type_v": "-ctv --cache-type-v",
    "chat_template": "--chat-template --chat-template-file",
    "chat_template_kwargs": "--chat-template-kwargs",
    "context_shift": "--context-shift --no-context-shift",
    "context_size": "-c --ctx-size",
    "device": "-dev --device",
    "draft_gpu_layers": "-ngld --gpu-layers-draft --n-gpu-layers-draft --spec-draft-ngl",
    "draft_max": "--spec-draft-n-max --draft --draft-n --draft-max",
    "draft_min": "--spec-draft-n-min --draft-min --draft-n-min",
    "draft_model": "-md --model-draft --spec-draft-model --spec-draft-hf -hfd -hfrd --hf-repo-draft",
    "embeddings": "--embedding --embeddings",
    "flash_attention": "-fa --flash-attn",
    "gpu_layers": "-ngl --gpu-layers --n-gpu-layers",
    "jinja": "--jinja --no-jinja",
    "kv_unified": "-kvu --kv-unified -no-kvu --no-kv-unified",
    "load_mode": "-lm --load-mode --mlock --mmap --no-mmap -dio --direct-io -ndio --no-direct-io",
    "lora": "--lora --lora-scaled --lora-init-without-apply",
    "main_gpu": "-mg --main-gpu",
    "metrics": "--metrics",
    "mmproj": "-mm --mmproj -mmu --mmproj-url --mmproj-auto --no-mmproj --no-mmproj-auto",
    "model": "-m --model -mu --model-url -hf -hfr --hf-repo -hff --hf-file -dr --docker-repo "
    "--models-dir --models-preset --embd-gemma-default --fim-qwen-1 --fim-qwen-3b-default --fim-qwen-7b-default "
    "--fim-qwen-7b-spec --fim-qwen-14b-spec --fim-qwen-30b-default --gpt-oss-20b-default --gpt-oss-120b-default "
    "--vision-gemma-4b-default --vision-gemma-12b-default",
    "n_cpu_moe": "-ncmoe --n-cpu-moe",
    "numa": "--numa",
    "parallel": "-np --parallel",
    "pooling": "--pooling",
    "port": "--port",
    "reasoning_budget": "--reasoning-budget",
    "reasoning_format": "--reasoning-format",
    "reranking": "--rerank --reranking",
    "rope_freq_base": "--rope-freq-base",
    "rope_scale": "--rope-scale",
    "rope_scaling": "--rope-scaling",
    "served_name": "-a --alias",
    "slots": "--slots --no-slots",
    "spec_type": "--spec-type",
    "split_mode": "-sm --split-mode",
    "tensor_split": "-ts --tensor-split",
    "threads": "-t --threads",
    "threads_batch": "-tb --threads-batch",
    "ubatch_size": "-ub --ubatch-size",
    "yarn_orig_ctx": "--yarn-orig-ctx",
}
_OF_THE_PLAN = (
    # The gateway and the verifier ask without TLS, at the root.
    "--ssl-key-file --ssl-cert-file --api-prefix --reuse-port --offline "
    # A token would show in the list of processes; the deploy fetches models.
    "-hft --hf-token "
    # These print something, and end.
    "-h --help --usage --version -cl --cache-list --completion-bash --list-devices"
)
HELD_ARGUMENTS: Mapping[str, str] = {
    **{argument: option for option, arguments in _OPTIONS.items() for argument in arguments.split()},
    **dict.fromkeys(_OF_THE_PLAN.split(), OURS),
}
"""Argument → the option that gives it, or `OURS`: it would undo what the rest of the plan relies on.

Source: `llama-server --help` of the pinned source tree; `--mlock` and its like are of earlier ones.
"""

HELD_SETTINGS: Mapping[str, str] = {
    "API_KEY": "api_key",
    "CHAT_FORMAT": "chat_format",
    "CHAT_TEMPLATE_KWARGS": "chat_template_kwargs",
    "CLIP_MODEL_PATH": "mmproj",
    "CONFIG_FILE": OURS,
    "EMBEDDING": "embedding",
    "FLASH_ATTN": "flash_attention",
    "HOST": "bind",
    "INTERRUPT_REQUESTS": OURS,
    "LLAMA_CPP_LIB_PATH": OURS,
    "MAIN_GPU": "main_gpu",
    "MODEL": "model",
    "MODEL_ALIAS": "served_name",
    "MODELS": "models",
    "N_BATCH": "batch_size",
    "N_CTX": "context_size",
    "N_GPU_LAYERS": "gpu_layers",
    "N_THREADS": "threads",
    "PORT": "port",
    "ROOT_PATH": OURS,
    "SSL_CERTFILE": OURS,
    "SSL_KEYFILE": OURS,
    "TENSOR_SPLIT": "tensor_split",
    "TYPE_K": "cache_type_k",
    "TYPE_V": "cache_type_v",
    "USE_MLOCK": "mlock",
}
"""Variable → option: llama-cpp-python takes each of its settings from its environment too, in any case."""
