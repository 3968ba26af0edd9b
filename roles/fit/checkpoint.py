"""What the memory plan needs to know of a model in a Hub repository: its `config.json` and its safetensors headers.

The keys of `config.json` are those of Hugging Face's transformers. What vLLM makes of them stands in its
`transformers_utils/model_arch_config_convertor.py` and `model_executor/layers/attention`, release 0.32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_PLAIN = frozenset(
    {"cohere", "gemma", "glm", "glm4", "glm4_moe", "granite", "granitemoe", "internlm2", "llama", "mistral", "mixtral",
     "olmo", "olmoe", "phi3", "qwen2", "qwen2_moe", "qwen2_5_vl", "qwen2_vl", "qwen3", "qwen3_moe", "smollm3",
     "stablelm", "starcoder2"}
)  # fmt: skip
_WINDOWED = {"cohere2": 4, "gemma2": 2, "gemma3_text": 6, "gpt_oss": 2, "olmo3": 4}
"""Architecture → one layer of how many attends to all tokens, the last of them, where its file does not list them."""
_LATENT = frozenset({"deepseek_v2", "deepseek_v3", "kimi_k2"})
"""Multi-head latent attention, in vLLM's list of such."""
_WIDE_TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Types of weights that vLLM holds in the model's own type, and the bytes of each in the file."""


@dataclass(frozen=True)
class CheckpointFacts:
    """A model, as far as its memory in vLLM goes.

    Attributes:
        trained: tokens of context that it was trained for.
        width: numbers in one token's hidden state.
        heads: heads of attention.
        key_value_heads: heads that it caches.
        head_size: numbers of one head.
        latent: numbers that each layer caches of a token, of all heads together; 0 = each head has a key and a value.
        feed_forward: numbers in one token's feed-forward state, over the experts that compute it.
        vocabulary: tokens.
        windows: of each layer the tokens that it attends to; None = all.
        packed: bytes of the weights whose type stays as it is in the file: those of a quantized model.
        wide: the number of all others, which vLLM holds in the model's type.
        dtype: that type; "" = the file does not say it.
        quantization: its method, such as `awq`; "" = none.
        known: whether its architecture is one whose cache we know.
    """

    architecture: str
    trained: int
    width: int
    heads: int
    key_value_heads: int
    head_size: int
    latent: int
    feed_forward: int
    vocabulary: int
    windows: tuple[int | None, ...]
    packed: int
    wide: int
    dtype: str
    quantization: str
    known: bool


def facts_of_checkpoint(config: Mapping[str, Any], tensors: Mapping[str, Any]) -> CheckpointFacts:
    """Read them.

    Args:
        config: the repository's `config.json`.
        tensors: name → entry, of the headers of all its safetensors files together. An entry has `dtype`, `shape` and
            `data_offsets`. The header's `__metadata__` may be among them.

    Raises:
        ValueError: it is not a language model, or a header is none.
    """
    said = _Said(config)
    if not (said.layers and said.width and said.heads):
        raise ValueError("it is no language model: its config.json says no layers, width or heads")
    tied = said.truth("tie_word_embeddings", said.architecture in _TIED)
    packed, wide = 0, 0
    for name, kind, count, size in _tensors(tensors):
        if tied and name.endswith("lm_head.weight"):
            continue
        if kind in _WIDE_TYPES:
            wide += count
        else:
            packed += size
    windows = said.windows()
    return CheckpointFacts(
        architecture=said.architecture,
        trained=said.number("max_position_embeddings"),
        width=said.width,
        heads=said.heads,
        key_value_heads=said.number("num_key_value_heads", said.heads),
        head_size=said.number("head_dim", said.width // said.heads),
        latent=said.latent(),
        feed_forward=said.feed_forward(),
        vocabulary=said.number("vocab_size"),
        windows=windows or (None,) * said.layers,
        packed=packed,
        wide=wide,
        dtype=said.text("torch_dtype") or said.text("dtype"),
        quantization=said.quantization(),
        known=windows is not None,
    )


_TIED = frozenset({"cohere", "cohere2", "gemma", "gemma2", "gemma3_text"})
"""Models whose output is their token embeddings unless they say otherwise."""


class _Said:
    """What a `config.json` says. A model with images has its language model's part in `text_config`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        text = config.get("text_config")
        self._values: Mapping[str, Any] = {**config, **text} if isinstance(text, Mapping) else config
        self.architecture = self.text("model_type")
        self.layers = self.number("num_hidden_layers")
        self.width = self.number("hidden_size")
        self.heads = self.number("num_attention_heads")

    def number(self, key: str, otherwise: int = 0) -> int:
        value = self._values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else otherwise

    def text(self, key: str) -> str:
        value = self._values.get(key)
        return value if isinstance(value, str) else ""

    def truth(self, key: str, otherwise: bool) -> bool:
        value = self._values.get(key)
        return value if isinstance(value, bool) else otherwise

    def latent(self) -> int:
        if self.architecture not in _LATENT or not (rank := self.number("kv_lora_rank")):
            return 0
        return rank + self.number("qk_rope_head_dim")

    def feed_forward(self) -> int:
        dense = self.number("intermediate_size")
        used = self.number("num_experts_per_tok")
        return self.number("moe_intermediate_size", dense) * used or dense

    def quantization(self) -> str:
        value = self._values.get("quantization_config")
        method = value.get("quant_method") if isinstance(value, Mapping) else None
        return method if isinstance(method, str) else ""

    def windows(self) -> tuple[int | None, ...] | None:
        """Of each layer its window; None = we do not know them."""
        if self.architecture not in _PLAIN | _WINDOWED.keys() | _LATENT:
            return None
        tokens = self.number("sliding_window")
        if not tokens or not self.truth("use_sliding_window", self.architecture not in _WITHOUT_A_WORD):
            return (None,) * self.layers
        kinds = self._values.get("layer_types")
        if isinstance(kinds, list) and len(kinds) == self.layers:
            if not set(kinds) <= {"full_attention", "sliding_attention"}:
                return None
            return tuple(tokens if kind == "sliding_attention" else None for kind in kinds)
        every = self.number("sliding_window_pattern", _WINDOWED.get(self.architecture, 0))
        if self.architecture in _WITHOUT_A_WORD:
            first = self.number("max_window_layers")
            return tuple(None if layer < first else tokens for layer in range(self.layers))
        return tuple(None if every and layer % every == every - 1 else tokens for layer in range(self.layers))


_WITHOUT_A_WORD = frozenset({"qwen2", "qwen2_moe", "qwen2_5_vl", "qwen2_vl", "qwen3", "qwen3_moe"})
"""Models whose `sliding_window` counts only with `use_sliding_window`, from the layer `max_window_layers` on."""


def _tensors(entries: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    """Of each its name, its type, how many numbers it has, and its bytes."""
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        try:
            begin, end = entry["data_offsets"]
            yield name, str(entry["dtype"]), math.prod(int(size) for size in entry["shape"]), int(end) - int(begin)
        except (TypeError, KeyError, ValueError):
            raise ValueError(f'the tensor "{name}" in the header of its safetensors file has no type or size') from None
