"""What vLLM loads, for the memory plan."""

from __future__ import annotations

from roles.fit.table import size_of
from roles.fit.vllm import VllmSettings
from roles.plan import Load
from roles.vllm.options import LORA_RANK, Vllm


def loads_of(vllm: Vllm) -> tuple[Load, ...]:
    """Its one model, with the places of its adapters."""
    settings = VllmSettings(
        context=vllm.max_model_len or 0,
        sequences=vllm.max_num_seqs,
        dtype=vllm.dtype,
        cache_type=vllm.kv_cache_dtype,
        cache_bytes=size_of(vllm.kv_cache_memory_bytes) if vllm.kv_cache_memory_bytes else None,
        tensor_parallel=vllm.tensor_parallel_size,
        pipeline_parallel=vllm.pipeline_parallel_size,
        eager=vllm.enforce_eager,
        adapters=vllm.adapter_places,
        adapter_rank=vllm.max_lora_rank or LORA_RANK,
    )
    share = (vllm.gpu_memory_utilization or 0) if vllm.gpus else None
    return (Load(vllm, vllm.model_name, vllm.model, settings, vllm.gpus, share),)
