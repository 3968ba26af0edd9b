"""Tiny GGUF models that answer one sentence of your choice, by real inference.

A test can then tell from the words which backend has answered. How it works: the output projections of
attention and feed-forward are zero, so what reaches the end is the embedding of the last token alone;
``output.weight`` then leads from any ordinary token to the first word, from each word to the next, and from
the last word to the end of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

_WIDTH = 64
_LAYERS = 2
_HEADS, _KEY_VALUE_HEADS = 2, 1
_CONTEXT = 2048
_SPACE = "\u2581"  # how SentencePiece writes a space
_CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_TOOLS_TEMPLATE = """\
{%- if tools %}<|im_start|>system
# Tools
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each call, answer <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m['role'] }}
{{ m['content'] or '' }}{% for call in m.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""The form of Qwen 2.5's and Hermes' templates, by which llama.cpp tells how the model calls a tool."""
_THINKING_TEMPLATE = """\
{% for m in messages %}<|im_start|>{{ m['role'] }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m['content'] or '' }}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""The form of Qwen 3's, by which llama.cpp tells what the model thinks from what it says."""

Template = Literal["plain", "tools", "thinking"]
_TEMPLATES: Mapping[Template, str] = {
    "plain": _CHAT_TEMPLATE,
    "tools": _TOOLS_TEMPLATE,
    "thinking": _THINKING_TEMPLATE,
}

Floats = NDArray[np.float32]


class Vocabulary:
    """A SentencePiece ("llama") vocabulary: specials, all bytes, printable ASCII, and one token a word to be said."""

    def __init__(self, says: str) -> None:
        self.pieces: list[str] = []
        self.scores: list[float] = []
        self.types: list[int] = []
        kind = gguf.TokenType
        self.unknown = self._add("<unk>", kind.UNKNOWN)
        self.begin = self._add("<s>", kind.CONTROL)
        self.end = self._add("</s>", kind.CONTROL)
        for byte in range(256):
            self._add(f"<0x{byte:02X}>", kind.BYTE)
        self._add("<|im_start|>", kind.CONTROL)
        self.end_of_turn = self._add("<|im_end|>", kind.CONTROL)
        self._add(_SPACE, kind.NORMAL, -1.0)
        for code in range(33, 127):
            self._add(chr(code), kind.NORMAL, -2.0)
        # The low score keeps the tokenizer from making these of a prompt's text.
        self.words = [self._add(word, kind.NORMAL, -1000.0) for word in self._words(says)]
        while len(self.pieces) % 32:
            self._add(f"<|unused{len(self.pieces)}|>", kind.UNUSED)

    def __len__(self) -> int:
        return len(self.pieces)

    def _words(self, says: str) -> list[str]:
        words = [word.replace(" ", _SPACE) for word in re.findall(r"\s*\S+", says)]
        if not words or len(set(words)) != len(words) or len(words) >= _WIDTH:
            raise ValueError(f"a tiny model says 1 to {_WIDTH - 1} words, none of them twice; not {says!r}")
        # A first word of one letter is in the vocabulary already, as a letter of any prompt.
        return [f"{word}\u200b" if word in self.pieces else word for word in words]

    def _add(self, piece: str, kind: gguf.TokenType, score: float = 0.0) -> int:
        self.pieces.append(piece)
        self.scores.append(score)
        self.types.append(int(kind))
        return len(self.pieces) - 1


def write_tiny_gguf(path: Path, *, says: str, name: str, seed: int = 0, template: Template = "plain") -> None:
    """Write a llama model of some 0.5 MB that answers ``says`` to everything; the same input, the same bytes.

    By its chat template a server takes what `tool_call_sentence` gives for a call, or what follows ``<think>`` and a
    newline for thinking.

    Raises `ValueError` for a sentence that repeats a word: each word leads to one next word.
    """
    vocabulary = Vocabulary(says)
    writer = _begun(path, "llama", name)
    _add_tokenizer(writer, vocabulary)
    writer.add_chat_template(_TEMPLATES[template])
    _finish(writer, _tensors(vocabulary, np.random.default_rng(seed)))


def tool_call_sentence(tool: str, **arguments: str) -> str:
    """What a model with the template "tools" says to call one."""
    return f"<tool_call>\n{json.dumps({'name': tool, 'arguments': arguments})}\n</tool_call>"


def write_tiny_reranker(path: Path, *, favours: str, name: str, seed: int = 0) -> None:
    """Write a reranking model (Qwen 3's form) to which a document is the better if it ends with ``favours``.

    Raises `ValueError` unless that is one printable character.
    """
    vocabulary = Vocabulary(name)
    if len(favours) != 1 or favours not in vocabulary.pieces:
        raise ValueError(f"a tiny reranker favours one printable character, not {favours!r}")
    writer = _begun(path, "qwen3", name)
    writer.add_key_length(_WIDTH // _HEADS)
    writer.add_value_length(_WIDTH // _HEADS)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_classifier_output_labels(["yes", "no"])
    _add_tokenizer(writer, vocabulary)
    # What comes last is what the model looks at.
    writer.add_chat_template([{"name": "rerank", "template": "{query} {document}"}])
    tensors = _tensors(vocabulary, np.random.default_rng(seed))
    favoured = vocabulary.pieces.index(favours)
    tensors["token_embd.weight"][favoured] = np.eye(_WIDTH, dtype=np.float32)[-1]
    tensors["cls.output.weight"] = np.zeros((2, _WIDTH), np.float32)
    tensors["cls.output.weight"][0, -1] = tensors["cls.output.weight"][1, 0] = 1.0
    for layer in range(_LAYERS):
        for norm in ("attn_q_norm", "attn_k_norm"):
            tensors[f"blk.{layer}.{norm}.weight"] = np.ones(_WIDTH // _HEADS, np.float32)
    _finish(writer, tensors)


def _begun(path: Path, architecture: str, name: str) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_description("tiny generated model for tests")
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(2 * _WIDTH)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_VALUE_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def _finish(writer: gguf.GGUFWriter, tensors: dict[str, Floats]) -> None:
    for tensor, values in tensors.items():
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(vocabulary.pieces)
    writer.add_token_scores(vocabulary.scores)
    writer.add_token_types(vocabulary.types)
    writer.add_bos_token_id(vocabulary.begin)
    writer.add_eos_token_id(vocabulary.end)
    writer.add_unk_token_id(vocabulary.unknown)
    writer.add_eot_token_id(vocabulary.end_of_turn)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _tensors(vocabulary: Vocabulary, random: np.random.Generator) -> dict[str, Floats]:
    def noise(*shape: int) -> Floats:
        return (random.standard_normal(shape) * 0.08).astype(np.float32)

    def zeros(*shape: int) -> Floats:
        return np.zeros(shape, np.float32)

    embedding, output = zeros(len(vocabulary), _WIDTH), zeros(len(vocabulary), _WIDTH)
    embedding[:, 0] = 1.0  # every ordinary token looks the same: axis 0
    chain = [*vocabulary.words, vocabulary.end]
    output[chain[0], 0] = 8.0
    for axis, (word, following) in enumerate(zip(vocabulary.words, chain[1:], strict=True), start=1):
        embedding[word] = 0.0
        embedding[word, axis] = 1.0
        output[following, axis] = 8.0

    head = _WIDTH // _HEADS
    tensors = {"token_embd.weight": embedding, "output_norm.weight": np.ones(_WIDTH, np.float32)}
    tensors["output.weight"] = output
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        tensors[block + "attn_norm.weight"] = np.ones(_WIDTH, np.float32)
        tensors[block + "attn_q.weight"] = noise(_HEADS * head, _WIDTH)
        tensors[block + "attn_k.weight"] = noise(_KEY_VALUE_HEADS * head, _WIDTH)
        tensors[block + "attn_v.weight"] = noise(_KEY_VALUE_HEADS * head, _WIDTH)
        tensors[block + "attn_output.weight"] = zeros(_WIDTH, _WIDTH)
        tensors[block + "ffn_norm.weight"] = np.ones(_WIDTH, np.float32)
        tensors[block + "ffn_gate.weight"] = noise(2 * _WIDTH, _WIDTH)
        tensors[block + "ffn_up.weight"] = noise(2 * _WIDTH, _WIDTH)
        tensors[block + "ffn_down.weight"] = zeros(_WIDTH, 2 * _WIDTH)
    return tensors
