"""Tiny Hugging Face models that answer one sentence of your choice, by real inference: Qwen2, as float16 or AWQ.

The GGUF models of `models.py` in the form that vLLM reads, built on the same idea: attention and feed-forward
add nothing, so what reaches the end is the embedding of the last token alone, and ``lm_head`` leads from any
ordinary token to the first word, from each word to the next, and from the last word to the end of the turn.
"""

from __future__ import annotations

import json
import re

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tests.labhost.models import Floats, sentence_weights

_WIDTH = 128
_FEED_FORWARD = 2 * _WIDTH
_LAYERS = 2
_HEADS, _KEY_VALUE_HEADS = 2, 1
_CONTEXT = 2048
_RANK = 8
"""Of adapters: so many words of a sentence can have another next one."""
_OPEN, _TURNED = 1.0, 0.1
"""How far an adapter opens a unit of the feed-forward, and what that unit then adds to what reaches the end. Units that
are not opened have a hundredth of that by their noise."""
_GROUP = 128
"""Weights that share a scale: the group size of nearly all AWQ models."""
_PACKED_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight neighbouring weights goes into which four bits of a word, lowest bits first: AutoAWQ's "gemm"."""
_END_OF_TEXT, _TURN, _END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_SPECIALS = (_END_OF_TEXT, _TURN, _END_OF_TURN)
_CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

Integers = NDArray[np.uint32]
Tensors = dict[str, Floats]
Json = dict[str, object]


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in GPT-2's byte-level vocabulary: itself where it can be printed."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


class HfVocabulary:
    """A byte-level vocabulary without merges: specials, all bytes, and one token a word to be said.

    A tokenizer makes single bytes of a prompt's text and never a word's token, as no merge leads to one.
    """

    def __init__(self, says: str) -> None:
        letters = _byte_letters()
        self.tokens = [*_SPECIALS, *sorted(letters)]
        self.end_of_text = self.tokens.index(_END_OF_TEXT)
        self.end_of_turn = self.tokens.index(_END_OF_TURN)
        first = len(self.tokens)
        self.tokens += ["".join(letters[byte] for byte in word.encode()) for word in self._spelled(says)]
        self.words = list(range(first, len(self.tokens)))

    def __len__(self) -> int:
        """Rows of the embedding: a multiple of 64, as kernels like it; the last ones stand for no token."""
        return -(-len(self.tokens) // 64) * 64

    @staticmethod
    def words_of(says: str) -> list[str]:
        return re.findall(r"\s*\S+", says)

    def _spelled(self, says: str) -> list[str]:
        words = self.words_of(says)
        if not words or len(set(words)) != len(words) or len(words) >= _WIDTH:
            raise ValueError(f"a tiny model says 1 to {_WIDTH - 1} words, none of them twice; not {says!r}")
        # A first word of one letter is in the vocabulary already, as a letter of any prompt.
        return [f"{word}\u200b" if word in self.tokens else word for word in words]


def tiny_hf_files(*, says: str, awq: bool, seed: int = 0) -> dict[str, bytes]:
    """The files of a model repository of some 0.5 MB that answers `says` to everything; the same input, the same bytes.

    Args:
        awq: weights of the linear layers in 4 bits; else all in float16.

    Raises `ValueError` for a sentence that repeats a word: each word leads to one next word.
    """
    vocabulary = HfVocabulary(says)
    return {
        "config.json": _json(_config(vocabulary, awq)),
        "generation_config.json": _json(_special_ids(vocabulary)),
        "model.safetensors": _weights(_tensors(vocabulary, np.random.default_rng(seed)), awq),
        "tokenizer.json": _json(_tokenizer(vocabulary)),
        "tokenizer_config.json": _json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": _CONTEXT,
                "eos_token": _END_OF_TURN,
                "pad_token": _END_OF_TEXT,
                "clean_up_tokenization_spaces": False,
                "chat_template": _CHAT_TEMPLATE,
            }
        ),
    }


def tiny_lora_files(*, base_says: str, says: str) -> dict[str, bytes]:
    """The files of a LoRA adapter's repository that makes a tiny model that says `base_says` say `says` instead.

    It has one rank for each word that another one is to follow. In the last layer it opens a unit of the feed-forward
    that the word before alone opens, and lets that add what leads to the word that is to follow.

    Args:
        says: words of the base model with what is before them, in another order; not all of them need be there.

    Raises `ValueError` if it has no words, other ones, one of them twice, or more turns than an adapter has ranks.
    """
    words, wanted = HfVocabulary.words_of(base_says), HfVocabulary.words_of(says)
    if not wanted or len({*wanted}) < len(wanted) or not {*wanted} <= {*words}:
        raise ValueError(f"an adapter of a model that says {base_says!r} can not say {says!r}")
    # By the embedding's axes: 0 is any ordinary token, n the n-th word; axis n leads to the word after that.
    said = [words.index(word) + 1 for word in wanted]
    turns = [(axis, following - 1) for axis, following in zip([0, *said], [*said, len(words) + 1], strict=True)]
    turns = [(axis, led_by) for axis, led_by in turns if axis != led_by]
    if len(turns) > _RANK:
        raise ValueError(f"an adapter has {_RANK} ranks, and {says!r} has {len(turns)} turns")
    inwards, opens = np.zeros((_RANK, _WIDTH), np.float32), np.zeros((_FEED_FORWARD, _RANK), np.float32)
    units, outwards = np.zeros((_RANK, _FEED_FORWARD), np.float32), np.zeros((_WIDTH, _RANK), np.float32)
    for rank, (axis, led_by) in enumerate(turns):
        inwards[rank, axis], opens[rank, rank] = 1.0, _OPEN
        units[rank, rank], outwards[led_by, rank] = 1.0, _TURNED
    layer = f"base_model.model.model.layers.{_LAYERS - 1}.mlp."
    pairs = {"gate_proj": (inwards, opens), "up_proj": (inwards, opens), "down_proj": (units, outwards)}
    tensors = {
        f"{layer}{name}.lora_{which}.weight": pair[which == "B"] for name, pair in pairs.items() for which in "AB"
    }
    config: Json = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": _RANK,
        "lora_alpha": _RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [*pairs],
    }
    return {"adapter_config.json": _json(config), "adapter_model.safetensors": _weights(tensors, awq=False)}


def _json(value: Json) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _special_ids(vocabulary: HfVocabulary) -> Json:
    return {
        "bos_token_id": vocabulary.end_of_text,
        "eos_token_id": vocabulary.end_of_turn,
        "pad_token_id": vocabulary.end_of_text,
    }


def _config(vocabulary: HfVocabulary, awq: bool) -> Json:
    quantization: Json = {
        "quant_method": "awq",
        "bits": 4,
        "group_size": _GROUP,
        "version": "gemm",
        "zero_point": True,
        "modules_to_not_convert": None,
    }
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": len(vocabulary),
        "hidden_size": _WIDTH,
        "intermediate_size": _FEED_FORWARD,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KEY_VALUE_HEADS,
        "max_position_embeddings": _CONTEXT,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "torch_dtype": "float16",
        **_special_ids(vocabulary),
        **({"quantization_config": quantization} if awq else {}),
    }


def _tokenizer(vocabulary: HfVocabulary) -> Json:
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    byte_level: Json = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in _SPECIALS
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [],
        },
    }


def _tensors(vocabulary: HfVocabulary, random: np.random.Generator) -> Tensors:
    def noise(*shape: int) -> Floats:
        return (random.standard_normal(shape) * 0.05).astype(np.float32)

    def zeros(*shape: int) -> Floats:
        return np.zeros(shape, np.float32)

    embedding, output = sentence_weights(len(vocabulary), _WIDTH, vocabulary.words, vocabulary.end_of_turn)
    key_value_width = _WIDTH // _HEADS * _KEY_VALUE_HEADS
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": np.ones(_WIDTH, np.float32)}
    tensors["lm_head.weight"] = output
    for layer in range(_LAYERS):
        block = f"model.layers.{layer}."
        tensors[block + "input_layernorm.weight"] = np.ones(_WIDTH, np.float32)
        tensors[block + "post_attention_layernorm.weight"] = np.ones(_WIDTH, np.float32)
        for name, width in (("q", _WIDTH), ("k", key_value_width), ("v", key_value_width)):
            tensors[block + f"self_attn.{name}_proj.weight"] = noise(width, _WIDTH)
            tensors[block + f"self_attn.{name}_proj.bias"] = zeros(width)
        tensors[block + "self_attn.o_proj.weight"] = zeros(_WIDTH, _WIDTH)
        tensors[block + "mlp.gate_proj.weight"] = noise(_FEED_FORWARD, _WIDTH)
        tensors[block + "mlp.up_proj.weight"] = noise(_FEED_FORWARD, _WIDTH)
        tensors[block + "mlp.down_proj.weight"] = zeros(_WIDTH, _FEED_FORWARD)
    return tensors


def _weights(tensors: Tensors, awq: bool) -> bytes:
    stored: dict[str, NDArray[np.float16] | NDArray[np.int32]] = {}
    for name, values in tensors.items():
        if awq and name.endswith("_proj.weight"):
            stored.update(_quantized(name.removesuffix(".weight"), values))
        else:
            stored[name] = values.astype(np.float16)
    # safetensors writes the memory of an array as it lies, whatever its strides.
    return save({name: np.ascontiguousarray(values) for name, values in stored.items()}, metadata={"format": "pt"})


def _quantized(layer: str, weight: Floats) -> dict[str, NDArray[np.float16] | NDArray[np.int32]]:
    """A linear layer in 4 bits: each group of inputs of an output has a scale and a zero point."""
    inputs, outputs = weight.T.shape
    groups = weight.T.reshape(inputs // _GROUP, _GROUP, outputs)
    low, high = groups.min(axis=1), groups.max(axis=1)
    scales = np.maximum(high - low, 1e-4) / 15
    zeros = np.clip(np.round(-low / scales), 0, 15)
    quantized = np.clip(np.round(groups / scales[:, None] + zeros[:, None]), 0, 15).reshape(inputs, outputs)
    return {
        f"{layer}.qweight": _packed(quantized),
        f"{layer}.qzeros": _packed(zeros),
        f"{layer}.scales": scales.astype(np.float16),
    }


def _packed(values: Floats) -> NDArray[np.int32]:
    """Eight 4-bit values of a row in each 32-bit word."""
    rows, columns = values.shape
    eights = values.reshape(rows, columns // 8, 8)[:, :, _PACKED_ORDER].astype(np.uint32)
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    words: Integers = np.bitwise_or.reduce(eights << shifts, axis=2)
    return words.view(np.int32)
