"""GGUF models of known architectures and any size whose weights are holes in a sparse file.

llama.cpp loads them as it loads any other, so its own log says what memory such a model takes, and the file takes no
room on the disk. They answer nothing that makes sense.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

_BLOCK = 32
"""Numbers in one block of Q8_0, the type of the matrices."""


@dataclass(frozen=True)
class Hollow:
    """A model's shape, in the terms of GGUF's metadata.

    Attributes:
        key_length: numbers in one head's key; 0 = `width / heads`.
        value_length: numbers in one head's value; 0 = as its key.
        experts: for each token `experts_used` of them compute.
        further: further metadata below the architecture's name.
    """

    architecture: str = "llama"
    width: int = 1024
    layers: int = 4
    heads: int = 8
    key_value_heads: int = 2
    key_length: int = 0
    value_length: int = 0
    feed_forward: int = 2816
    vocabulary: int = 32_000
    trained: int = 32_768
    experts: int = 0
    experts_used: int = 0
    tied: bool = False
    further: Mapping[str, int | float | Sequence[bool]] = field(default_factory=dict)

    @property
    def head(self) -> int:
        return self.key_length or self.width // self.heads


def write_hollow(path: Path, model: Hollow) -> Path:
    """Write one; gives its path."""
    writer = gguf.GGUFWriter(path, model.architecture)
    writer.add_context_length(model.trained)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.feed_forward)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.key_value_heads)
    if model.key_length:
        writer.add_key_length(model.key_length)
        writer.add_value_length(model.value_length or model.key_length)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_layer_norm_eps(1e-6)
    if model.experts:
        writer.add_expert_count(model.experts)
        writer.add_expert_used_count(model.experts_used)
        writer.add_expert_feed_forward_length(model.feed_forward)
    for key, value in model.further.items():
        name = f"{model.architecture}.{key}"
        if isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_array(name, value)
    _add_vocabulary(writer, model.vocabulary)
    for name, shape in _tensors(model):
        _add_hole(writer, name, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    alignment = 32
    size = sum(-(-_bytes(shape) // alignment) * alignment for _, shape in _tensors(model))
    header = -(-path.stat().st_size // alignment) * alignment
    os.truncate(path, header + size)
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    pieces = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256))]
    pieces += [b"w%d" % number for number in range(size - len(pieces))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * (size - 259)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([-1.0] * size)
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _tensors(model: Hollow) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each one's name and shape, the outermost dimension first as numpy has it."""
    yield "token_embd.weight", (model.vocabulary, model.width)
    yield "output_norm.weight", (model.width,)
    if not model.tied:
        yield "output.weight", (model.vocabulary, model.width)
    for layer in range(model.layers):
        for name, shape in _layer(model):
            yield f"blk.{layer}.{name}", shape


def _layer(model: Hollow) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, head = model.width, model.head
    yield "attn_norm.weight", (width,)
    if model.architecture == "deepseek2":
        yield from _latent_attention(model)
    else:
        yield "attn_q.weight", (model.heads * head, width)
        yield "attn_k.weight", (model.key_value_heads * head, width)
        yield "attn_v.weight", (model.key_value_heads * head, width)
        yield "attn_output.weight", (width, model.heads * head)
    if model.architecture == "qwen2":
        yield "attn_q.bias", (model.heads * head,)
        yield "attn_k.bias", (model.key_value_heads * head,)
        yield "attn_v.bias", (model.key_value_heads * head,)
    if model.architecture in ("qwen3", "qwen3moe", "gemma3"):
        yield "attn_q_norm.weight", (head,)
        yield "attn_k_norm.weight", (head,)
    if model.architecture in ("gemma2", "gemma3"):
        yield "post_attention_norm.weight", (width,)
        yield "post_ffw_norm.weight", (width,)
    if model.architecture != "cohere2":
        yield "ffn_norm.weight", (width,)
    forward = model.feed_forward
    if model.experts:
        yield "ffn_gate_inp.weight", (model.experts, width)
        yield "ffn_gate_exps.weight", (model.experts, forward, width)
        yield "ffn_up_exps.weight", (model.experts, forward, width)
        yield "ffn_down_exps.weight", (model.experts, width, forward)
    else:
        yield "ffn_gate.weight", (forward, width)
        yield "ffn_up.weight", (forward, width)
        yield "ffn_down.weight", (width, forward)


def _latent_attention(model: Hollow) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Multi-head latent attention, as llama.cpp's `deepseek2` has it."""
    of = {key: value for key, value in model.further.items() if isinstance(value, int)}
    latent, rotated = of["attention.kv_lora_rank"], of["rope.dimension_count"]
    queries, key = of["attention.q_lora_rank"], of["attention.key_length_mla"]
    value = of["attention.value_length_mla"]
    yield "attn_q_a.weight", (queries, model.width)
    yield "attn_q_a_norm.weight", (queries,)
    yield "attn_q_b.weight", (model.heads * key, queries)
    yield "attn_kv_a_mqa.weight", (latent + rotated, model.width)
    yield "attn_kv_a_norm.weight", (latent,)
    yield "attn_k_b.weight", (model.heads, latent, key - rotated)
    yield "attn_v_b.weight", (model.heads, value, latent)
    yield "attn_output.weight", (model.width, model.heads * value)


def _bytes(shape: Sequence[int]) -> int:
    count = int(np.prod(shape))
    return count * 4 if len(shape) == 1 else count // _BLOCK * 34


def _add_hole(writer: gguf.GGUFWriter, name: str, shape: Sequence[int]) -> None:
    if len(shape) == 1:
        writer.add_tensor_info(name, shape, np.dtype(np.float32), _bytes(shape))
        return
    # The writer takes the shape of the raw bytes: the innermost dimension in bytes.
    raw = [*shape[:-1], shape[-1] // _BLOCK * 34]
    writer.add_tensor_info(name, raw, np.dtype(np.uint8), _bytes(shape), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
