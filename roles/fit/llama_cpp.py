"""What llama.cpp takes of a card and of main memory for a model.

Sources, in the tree that llama-cpp-python 0.3.36 carries: the cells of the cache are those of `src/llama-context.cpp`
and `src/llama-kv-cache-iswa.cpp`, the sizes of its types those of `ggml/src/ggml-common.h`. The compute buffer is the
most that is alive at one place of the graph; which tensors are was found with `llama-server` itself, whose log
`tests/lab/test_fit.py` holds these formulas against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roles.fit.facts import Layer, ModelFacts

TYPES: Mapping[str, tuple[int, int]] = {
    "f32": (1, 4), "f16": (1, 2), "bf16": (1, 2), "q8_0": (32, 34), "q5_1": (32, 24), "q5_0": (32, 22),
    "q4_1": (32, 20), "q4_0": (32, 18), "iq4_nl": (32, 18),
}  # fmt: skip
"""Type of a KV cache → the numbers in one of its blocks, and the block's bytes."""

_STEP = 256
"""Tokens. llama.cpp rounds a context up to a multiple of them."""
_FLOAT, _MASK = 4, 2


@dataclass(frozen=True)
class Settings:
    """How it is started.

    Attributes:
        context: tokens over all slots; 0 = as the model was trained.
        parallel: slots.
        unified: the slots share one cache.
        batch: tokens that are computed together (`--ubatch-size`).
        embeddings: it serves embeddings, for which each token has an output.
        gpu_layers: the last layers, and the output as one more, that are on the card; None = all.
        cpu_experts: the first layers whose experts stay in main memory (`--n-cpu-moe`).
    """

    context: int = 0
    parallel: int = 1
    unified: bool = False
    batch: int = 512
    flash_attention: bool = True
    key_type: str = "f16"
    value_type: str = "f16"
    embeddings: bool = False
    gpu_layers: int | None = None
    cpu_experts: int = 0


@dataclass(frozen=True)
class Parts:
    """Bytes in one memory."""

    weights: int = 0
    cache: int = 0
    buffers: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.buffers


@dataclass(frozen=True)
class Needs:
    """What it takes, in bytes. On a processor alone, all is in main memory.

    Attributes:
        context: tokens over all slots, as llama.cpp rounds them.
    """

    card: Parts
    main: Parts
    context: int


def needs(model: ModelFacts, settings: Settings, *, with_card: bool) -> Needs:
    """The arithmetic. For an architecture that is not `known`, only its weights can be relied on."""
    cells, streams = _cells(model, settings)
    on_card = _layers_on_card(model, settings) if with_card else 0
    first = len(model.layers) - on_card
    cached = [_cached(layer, cells, streams, settings) if model.cached else 0 for layer in model.layers]
    weights_on_card = sum(
        layer.weights - (layer.experts if number < settings.cpu_experts else 0)
        for number, layer in enumerate(model.layers)
        if number >= first
    )
    has_output = with_card and (settings.gpu_layers is None or settings.gpu_layers > len(model.layers))
    # Tied embeddings are in main memory for the tokens, and once more on the card for the output.
    output = (model.output + (model.embeddings if model.tied else 0)) if has_output else 0
    weights_in_main = model.weights - weights_on_card - (model.output if has_output else 0)
    buffers = compute_buffer(model, settings)
    outputs = (model.vocabulary + model.width) * _outputs(settings, settings.batch) * _FLOAT
    return Needs(
        card=Parts(weights_on_card + output, sum(cached[first:]), buffers) if on_card or has_output else Parts(),
        main=Parts(
            weights_in_main,
            sum(cached[:first]),
            outputs + (0 if with_card and first == 0 else buffers),
        ),
        context=cells * streams,
    )


def compute_buffer(model: ModelFacts, settings: Settings) -> int:
    """Bytes for what is computed between the weights."""
    cells, _ = _cells(model, settings)
    batch = min(settings.batch, cells)
    cached = max((layer.keys + layer.values for layer in model.layers), default=0)
    mask = sum(
        _span(window, cells, settings) * batch for window in {layer.window for layer in model.layers} if model.cached
    )
    feed_forward = 3 * model.feed_forward + 4 * model.width
    attention = 2 * model.queries + 3 * model.width + cached
    attended = mask * (_MASK if settings.flash_attention else _FLOAT)
    if not settings.flash_attention:
        attention += model.heads * cells
    numbers = max(feed_forward, attention) * batch
    outputs = _outputs(settings, batch)
    logits = model.vocabulary * outputs + model.width * (batch + outputs)
    return attended + max(numbers, logits) * _FLOAT


def _outputs(settings: Settings, batch: int) -> int:
    """Tokens of a batch whose output is computed."""
    return batch if settings.embeddings else settings.parallel


def _layers_on_card(model: ModelFacts, settings: Settings) -> int:
    if settings.gpu_layers is None:
        return len(model.layers)
    return max(0, min(settings.gpu_layers - 1, len(model.layers)))


def _cells(model: ModelFacts, settings: Settings) -> tuple[int, int]:
    """Tokens that one stream of the cache holds, and the number of streams."""
    context = _up(settings.context or model.trained, _STEP)
    if settings.unified:
        return context, 1
    return _up(max(context // settings.parallel, 1), _STEP), settings.parallel


def _span(window: int | None, cells: int, settings: Settings) -> int:
    """Tokens of one stream that a layer with that window keeps."""
    if window is None:
        return cells
    return min(cells, _up(window * (settings.parallel if settings.unified else 1) + settings.batch, _STEP))


def _cached(layer: Layer, cells: int, streams: int, settings: Settings) -> int:
    tokens = _span(layer.window, cells, settings) * streams
    return tokens * (_bytes(layer.keys, settings.key_type) + _bytes(layer.values, settings.value_type))


def _bytes(numbers: int, of: str) -> int:
    block, size = TYPES[of]
    return -(-numbers // block) * size


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
