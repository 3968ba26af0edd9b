"""What the memory plan needs to know of a model, from the header of its GGUF file.

The names of the metadata are those of ggml's `docs/gguf.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roles.contract.gguf import Header, Tensor
from roles.fit.architectures import LATENT, WINDOWED, WITHOUT_CACHE, is_known


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        keys: numbers that it caches of each token as key.
        values: likewise as value; 0 where the key holds both (multi-head latent attention).
        window: it attends to the last so many tokens; None = to all.
        weights: bytes.
        experts: bytes of those weights that are of its experts.
    """

    keys: int
    values: int
    window: int | None
    weights: int
    experts: int


@dataclass(frozen=True)
class ModelFacts:
    """A model, as far as its memory goes.

    Attributes:
        trained: tokens of context that it was trained for.
        width: numbers in one token's hidden state.
        heads: heads of attention.
        queries: numbers in one token's queries, over all heads.
        feed_forward: numbers in one token's feed-forward state, over the experts that compute it.
        vocabulary: tokens.
        embeddings: bytes of the token embeddings.
        output: bytes of the output, and of all else outside the layers.
        tied: the token embeddings are the output too.
        cached: whether it keeps a KV cache.
        known: whether its architecture is one whose cache and buffers we know.
    """

    architecture: str
    trained: int
    width: int
    heads: int
    queries: int
    feed_forward: int
    vocabulary: int
    layers: tuple[Layer, ...]
    embeddings: int
    output: int
    tied: bool
    cached: bool
    known: bool

    @property
    def weights(self) -> int:
        """Bytes of all its tensors."""
        return self.embeddings + self.output + sum(layer.weights for layer in self.layers)


_EXPERTS = re.compile(r"_(ch)?exps\.")


def facts_of(header: Header, *further: Header) -> ModelFacts:
    """Read them from a GGUF file's header.

    Args:
        further: the headers of the other files of a model in several, after that of its first one.

    Raises:
        ValueError: it is not a whole language model.
    """
    count = header.number("split.count", 1) or 1
    if count != 1 + len(further):
        raise ValueError(f"it is a model in {count} files, and {1 + len(further)} is given; only a whole one has facts")
    tensors = [tensor for each in (header, *further) for tensor in each.tensors]
    said = _Said(header)
    if not (said.layers and said.width):
        raise ValueError("it is no language model: its header says no layers or no width")
    sizes = _sizes(tensors, said.layers)
    layers = tuple(
        Layer(keys=keys, values=values, window=window, weights=weights, experts=experts)
        for keys, values, window, (weights, experts) in zip(
            said.keys(), said.values(), said.windows(), sizes, strict=True
        )
    )
    outside = {tensor.name: tensor.size for tensor in tensors if _layer(tensor, said.layers) is None}
    embeddings = outside.pop("token_embd.weight", 0)
    return ModelFacts(
        architecture=said.architecture,
        trained=said.number("context_length"),
        width=said.width,
        heads=max(said.heads),
        queries=max(said.heads) * (said.number("attention.key_length_mla") or said.key_length),
        feed_forward=said.feed_forward(),
        vocabulary=header.number("tokenizer.ggml.tokens"),
        layers=layers,
        embeddings=embeddings,
        output=sum(outside.values()),
        tied="output.weight" not in outside,
        cached=said.architecture not in WITHOUT_CACHE,
        known=is_known(said.architecture),
    )


class _Said:
    """What the header says below its architecture's name, with what llama.cpp takes where it says nothing."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self.architecture = header.text("general.architecture")
        self.layers = self.number("block_count")
        self.width = self.number("embedding_length")
        self.heads = self._of_layers("attention.head_count", 1)
        self.key_length = self.number("attention.key_length", self.width // (max(self.heads, default=1) or 1))

    def number(self, key: str, otherwise: int = 0) -> int:
        return self._header.number(f"{self.architecture}.{key}", otherwise)

    def _of_layers(self, key: str, otherwise: int) -> list[int]:
        """What it says once, or of each layer."""
        value = self._header.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple) and len(value) >= self.layers:
            return [int(found) for found in value[: self.layers]]
        return [self.number(key, otherwise)] * self.layers

    def _cached_heads(self) -> list[int]:
        return self._of_layers("attention.head_count_kv", max(self.heads))

    def keys(self) -> list[int]:
        return [self.key_length * heads for heads in self._cached_heads()]

    def values(self) -> list[int]:
        if self.architecture in LATENT and self.number("attention.key_length_mla"):
            return [0] * self.layers
        length = self.number("attention.value_length", self.width // (max(self.heads) or 1))
        return [length * heads for heads in self._cached_heads()]

    def windows(self) -> list[int | None]:
        rule = WINDOWED.get(self.architecture)
        tokens = self.number("attention.sliding_window", rule.tokens if rule else 0)
        if rule is None or not tokens:
            return [None] * self.layers
        pattern = "attention.sliding_window_pattern"
        if isinstance(self._header.values.get(f"{self.architecture}.{pattern}"), tuple):
            return [tokens if windowed else None for windowed in self._of_layers(pattern, 0)]
        every = self.number(pattern, rule.every)
        full = 0 if rule.first else every - 1
        return [None if every and layer % every == full else tokens for layer in range(self.layers)]

    def feed_forward(self) -> int:
        dense = max(self._of_layers("feed_forward_length", 0))
        used = max(self._of_layers("expert_used_count", 0))
        return self.number("expert_feed_forward_length", dense) * used or dense


def _layer(tensor: Tensor, layers: int) -> int | None:
    """The number of its layer; None = it is outside of them, or of one that the model does not count."""
    return tensor.layer if tensor.layer is not None and tensor.layer < layers else None


def _sizes(tensors: Sequence[Tensor], layers: int) -> list[tuple[int, int]]:
    """Of each layer the bytes of its weights, and of those of its experts."""
    sizes = [(0, 0)] * layers
    for tensor in tensors:
        layer = _layer(tensor, layers)
        if layer is not None:
            weights, experts = sizes[layer]
            sizes[layer] = (weights + tensor.size, experts + (tensor.size if _EXPERTS.search(tensor.name) else 0))
    return sizes
