"""The options of llama.cpp's servers, under the servers' own names."""

from __future__ import annotations

import json
from collections.abc import Mapping

from roles.llama_cpp.options import LlamaCppPython, LlamaServer, PythonServerModel
from roles.plan import Json, Layout, model_path

CACHE_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
"""ggml's numbers of tensor types, which the Python server expects. Source: `enum ggml_type` in ggml.h."""


def valued_options(server: LlamaServer, layout: Layout) -> dict[str, object]:
    """The options with a value that differs from llama-server's own default."""
    drafts = server.spec_type or ("draft-simple" if server.draft_model else None)
    return {
        "--threads": server.threads,
        "--threads-batch": server.threads_batch,
        "--batch-size": server.batch_size,
        "--ubatch-size": server.ubatch_size,
        "--n-gpu-layers": server.gpu_layers,
        "--n-cpu-moe": server.n_cpu_moe,
        "--device": ",".join(server.device) or None,
        "--split-mode": server.split_mode,
        "--tensor-split": ",".join(f"{share:g}" for share in server.tensor_split) or None,
        "--main-gpu": server.main_gpu,
        "--flash-attn": server.flash_attention if server.flash_attention != "auto" else None,
        "--cache-type-k": server.cache_type_k,
        "--cache-type-v": server.cache_type_v,
        "--cache-ram": server.cache_ram,
        "--load-mode": server.load_mode if server.load_mode != "auto" else None,
        "--numa": server.numa,
        "--rope-scaling": server.rope_scaling,
        "--rope-scale": _figure(server.rope_scale),
        "--rope-freq-base": _figure(server.rope_freq_base),
        "--yarn-orig-ctx": server.yarn_orig_ctx,
        "--mmproj": model_path(server.mmproj, layout) if server.mmproj else None,
        "--lora": ",".join(model_path(adapter, layout) for adapter in server.lora) or None,
        "--pooling": server.pooling,
        "--chat-template-kwargs": json.dumps(dict(kwargs)) if (kwargs := server.chat_template_kwargs) else None,
        "--reasoning-format": server.reasoning_format if server.reasoning_format != "auto" else None,
        "--reasoning-budget": server.reasoning_budget,
        "--model-draft": model_path(server.draft_model, layout) if server.draft_model else None,
        # Without a type, a draft model is loaded but not used.
        "--spec-type": drafts,
        "--spec-draft-n-max": server.draft_max,
        "--spec-draft-n-min": server.draft_min,
        "--n-gpu-layers-draft": server.draft_gpu_layers,
    }


def switches(server: LlamaServer) -> dict[str, bool]:
    """The options without a value, and whether each is wanted."""
    return {
        "--kv-unified": server.kv_unified is True,
        "--no-kv-unified": server.kv_unified is False,
        "--context-shift": server.context_shift,
        "--embeddings": server.embeddings,
        "--reranking": server.reranking,
        "--jinja": server.jinja is True,
        "--no-jinja": server.jinja is False,
        "--metrics": server.metrics,
        "--no-slots": not server.slots,
    }


def model_settings(model: PythonServerModel, server: LlamaCppPython, layout: Layout) -> dict[str, Json]:
    """A model's settings under llama-cpp-python's names."""
    all_layers = -1 if server.cards else 0
    settings: dict[str, Json] = {
        "model": model_path(model.model, layout),
        "model_alias": model.served_name,
        "n_ctx": model.context_size,
        "n_gpu_layers": all_layers if model.gpu_layers is None else model.gpu_layers,
        # The server's own default is to lock, which then fails with a warning.
        "use_mlock": model.mlock,
        "n_threads": model.threads,
        "n_batch": model.batch_size,
        "tensor_split": list(model.tensor_split) or None,
        "main_gpu": model.main_gpu,
        "flash_attn": model.flash_attention or None,
        "type_k": CACHE_TYPES[model.cache_type_k] if model.cache_type_k else None,
        "type_v": CACHE_TYPES[model.cache_type_v] if model.cache_type_v else None,
        "embedding": model.embedding or None,
        "chat_format": model.chat_format,
        "chat_template_kwargs": dict(model.chat_template_kwargs) or None,
        "clip_model_path": model_path(model.mmproj, layout) if model.mmproj else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def arguments(options: Mapping[str, object]) -> list[str]:
    """Options and their values; those without a value are left out, and a list becomes several values."""
    given: list[str] = []
    for option, value in options.items():
        if isinstance(value, list):
            given += [option, *map(str, value)]
        elif value is not None:
            given += [option, str(value)]
    return given


def shown(value: Json) -> object:
    """A setting in the form of the Python server's command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else value


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.9g}"
