"""GGUF models that answer one sentence of your choice, by real inference: tiny ones, or of any other shape.

A test can then tell from the words which backend has answered. How it works: the output projections of
attention and feed-forward are zero, so what reaches the end is the embedding of the last token alone;
``output.weight`` then leads from any ordinary token to the first word, from each word to the next, and from
the last word to the end of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Shape:
    """How large a model is. One of width n says at most n - 1 words.

    Attributes:
        half: matrices in two bytes a number instead of four.
        alike: all layers have the numbers of the first, which are made once.
    """

    width: int = 64
    layers: int = 2
    heads: int = 2
    key_value_heads: int = 1
    feed_forward: int = 128
    half: bool = False
    alike: bool = False

    @property
    def head(self) -> int:
        return self.width // self.heads


_TINY = Shape()


class Vocabulary:
    """A SentencePiece ("llama") vocabulary: specials, all bytes, printable ASCII, and one token a word to be said."""

    def __init__(self, says: str, shape: Shape = _TINY) -> None:
        self._longest = shape.width - 1
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
        if not 1 <= len(words) <= self._longest or len(set(words)) != len(words):
            raise ValueError(f"a tiny model says 1 to {self._longest} words, none of them twice; not {says!r}")
        # A first word of one letter is in the vocabulary already, as a letter of any prompt.
        return [f"{word}\u200b" if word in self.pieces else word for word in words]

    def _add(self, piece: str, kind: gguf.TokenType, score: float = 0.0) -> int:
        self.pieces.append(piece)
        self.scores.append(score)
        self.types.append(int(kind))
        return len(self.pieces) - 1


def write_tiny_gguf(
    path: Path,
    *,
    says: str,
    name: str,
    seed: int = 0,
    template: Template = "plain",
    shape: Shape = _TINY,
    context: int = _CONTEXT,
) -> None:
    """Write a llama model that answers ``says`` to everything, of some 0.5 MB if no other ``shape`` is given; the same
    input, the same bytes.

    By its chat template a server takes what `tool_call_sentence` gives for a call, or what follows ``<think>`` and a
    newline for thinking. ``context`` is the most tokens that servers let it read.

    Raises `ValueError` for a sentence that repeats a word: each word leads to one next word.
    """
    vocabulary = Vocabulary(says, shape)
    writer = _begun(path, "llama", name, shape, context)
    _add_tokenizer(writer, vocabulary)
    writer.add_chat_template(_TEMPLATES[template])
    _finish(writer, _tensors(vocabulary, np.random.default_rng(seed), shape), shape)


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
    shape = _TINY
    writer = _begun(path, "qwen3", name, shape)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_classifier_output_labels(["yes", "no"])
    _add_tokenizer(writer, vocabulary)
    # What comes last is what the model looks at.
    writer.add_chat_template([{"name": "rerank", "template": "{query} {document}"}])
    tensors = _tensors(vocabulary, np.random.default_rng(seed), shape)
    favoured = vocabulary.pieces.index(favours)
    tensors["token_embd.weight"][favoured] = np.eye(shape.width, dtype=np.float32)[-1]
    tensors["cls.output.weight"] = np.zeros((2, shape.width), np.float32)
    tensors["cls.output.weight"][0, -1] = tensors["cls.output.weight"][1, 0] = 1.0
    for layer in range(shape.layers):
        for norm in ("attn_q_norm", "attn_k_norm"):
            tensors[f"blk.{layer}.{norm}.weight"] = np.ones(shape.head, np.float32)
    _finish(writer, tensors, shape)


def _begun(path: Path, architecture: str, name: str, shape: Shape, context: int = _CONTEXT) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_description("tiny generated model for tests")
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if shape.half else gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def _finish(writer: gguf.GGUFWriter, tensors: dict[str, Floats], shape: Shape) -> None:
    for tensor, values in tensors.items():
        # llama.cpp wants vectors, as those of norms, in four bytes whatever the rest is in.
        writer.add_tensor(tensor, values.astype(np.float16) if shape.half and values.ndim > 1 else values)
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


def sentence_weights(tokens: int, width: int, words: list[int], end: int) -> tuple[Floats, Floats]:
    """An embedding and an output that lead from any other token to the first word, and from the last to `end`."""
    embedding, output = np.zeros((tokens, width), np.float32), np.zeros((tokens, width), np.float32)
    embedding[:, 0] = 1.0  # every ordinary token looks the same: axis 0
    chain = [*words, end]
    output[chain[0], 0] = 8.0
    for axis, (word, following) in enumerate(zip(words, chain[1:], strict=True), start=1):
        embedding[word] = 0.0
        embedding[word, axis] = 1.0
        output[following, axis] = 8.0
    return embedding, output


def _tensors(vocabulary: Vocabulary, random: np.random.Generator, shape: Shape) -> dict[str, Floats]:
    width, head = shape.width, shape.head

    def noise(*sizes: int) -> Floats:
        return (random.standard_normal(sizes) * 0.08).astype(np.float32)

    def zeros(*sizes: int) -> Floats:
        return np.zeros(sizes, np.float32)

    embedding, output = sentence_weights(len(vocabulary), width, vocabulary.words, vocabulary.end)
    tensors = {"token_embd.weight": embedding, "output_norm.weight": np.ones(width, np.float32)}
    tensors["output.weight"] = output
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        if layer and shape.alike:
            first = {name: values for name, values in tensors.items() if name.startswith("blk.0.")}
            tensors |= {name.replace("blk.0.", block, 1): values for name, values in first.items()}
            continue
        tensors[block + "attn_norm.weight"] = np.ones(width, np.float32)
        tensors[block + "attn_q.weight"] = noise(shape.heads * head, width)
        tensors[block + "attn_k.weight"] = noise(shape.key_value_heads * head, width)
        tensors[block + "attn_v.weight"] = noise(shape.key_value_heads * head, width)
        tensors[block + "attn_output.weight"] = zeros(width, width)
        tensors[block + "ffn_norm.weight"] = np.ones(width, np.float32)
        tensors[block + "ffn_gate.weight"] = noise(shape.feed_forward, width)
        tensors[block + "ffn_up.weight"] = noise(shape.feed_forward, width)
        tensors[block + "ffn_down.weight"] = zeros(width, shape.feed_forward)
    return tensors
