"""What known models say of themselves in the Hub: the parts of their `config.json` that count, and tensors of their
shapes.

Written down from the models' own pages; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

Config = Mapping[str, Any]

LLAMA_3_1_8B: Config = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
LLAMA_3_1_70B: Config = {
    **LLAMA_3_1_8B, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
}  # fmt: skip
QWEN2_5_7B: Config = {
    "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_sliding_window": False, "sliding_window": 131072,
    "max_window_layers": 28,
}  # fmt: skip
QWEN2_5_CODER_7B_AWQ: Config = {
    **QWEN2_5_7B, "torch_dtype": "float16",
    "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
}  # fmt: skip
QWEN2_5_1_5B: Config = {
    **QWEN2_5_7B, "hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2,
    "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3_4B: Config = {
    "model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
    "max_position_embeddings": 40960, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "use_sliding_window": False, "sliding_window": None,
}  # fmt: skip
MIXTRAL_8X7B: Config = {
    "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 32768,
    "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None, "torch_dtype": "bfloat16",
}  # fmt: skip
DEEPSEEK_V3: Config = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512,
    "qk_rope_head_dim": 64, "vocab_size": 129280, "max_position_embeddings": 163840, "num_experts_per_tok": 8,
    "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "fp8"},
}  # fmt: skip
GEMMA_3_4B: Config = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 1024,
        "vocab_size": 262208, "max_position_embeddings": 131072,
    },
    "torch_dtype": "bfloat16",
}  # fmt: skip


def tensors_of(config: Config) -> dict[str, Any]:
    """The headers of a dense model's safetensors files, as if they were one; its matrices are 4-bit ones with `awq`."""
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    head = config.get("head_dim", width // config["num_attention_heads"])
    queries, cached = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    shapes = {"q_proj": (width, queries), "k_proj": (width, cached), "v_proj": (width, cached),
              "o_proj": (queries, width), "gate_proj": (width, inner), "up_proj": (width, inner),
              "down_proj": (inner, width)}  # fmt: skip
    half = {"bfloat16": "BF16", "float16": "F16"}[config["torch_dtype"]]
    found: dict[str, tuple[str, tuple[int, ...], int]] = {}
    for layer in range(layers):
        for name, (rows, columns) in shapes.items():
            place = f"model.layers.{layer}.{name}"
            if "quantization_config" in config:
                found[f"{place}.qweight"] = ("I32", (rows, columns // 8), 4)
                found[f"{place}.qzeros"] = ("I32", (rows // 128, columns // 8), 4)
                found[f"{place}.scales"] = (half, (rows // 128, columns), 2)
            else:
                found[f"{place}.weight"] = (half, (rows, columns), 2)
            if config["model_type"] == "qwen2" and name in ("q_proj", "k_proj", "v_proj"):
                found[f"{place}.bias"] = (half, (columns,), 2)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{name}.weight"] = (half, (width,), 2)
    found["model.norm.weight"] = (half, (width,), 2)
    found["model.embed_tokens.weight"] = (half, (config["vocab_size"], width), 2)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (half, (config["vocab_size"], width), 2)
    return {
        name: {"dtype": kind, "shape": list(shape), "data_offsets": [0, prod(shape) * size]}
        for name, (kind, shape, size) in found.items()
    }
