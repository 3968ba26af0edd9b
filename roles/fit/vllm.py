"""What vLLM takes of each of its cards.

Sources, in vLLM 0.32: the KV cache is that of `v1/kv_cache_interface.py` and `v1/core/kv_cache_utils.py`; what is
computed at a time, that of `get_batch_defaults` in `engine/arg_utils.py`; what remains for the cache, that of
`Worker.determine_available_memory` in `v1/worker/gpu_worker.py`: the share that is reserved, less the weights, the peak
of a trial run with a full batch, and the CUDA graphs.

The cache is exact. The peak of the trial run is the largest tensors of that batch, and the graphs are an allowance:
neither was compared with a card.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from roles.fit.checkpoint import CheckpointFacts
from roles.fit.llama_cpp import Parts

_HALF, _FLOAT = 2, 4
_BLOCK = 16
"""Tokens. `CacheConfig.DEFAULT_BLOCK_SIZE`."""
_LARGE_CARD = 70 << 30
"""Bytes. From there on it computes more at a time."""
_GRAPHS = 600 << 20
"""Bytes for CUDA graphs: logs of vLLM that people published say 0.2 to 0.6 GiB for models of 7 to 8 billion weights."""
_FULL_DTYPES = frozenset({"float", "float32"})
_MIXTURES = frozenset(
    {"deepseek_v2", "deepseek_v3", "glm4_moe", "gpt_oss", "granitemoe", "kimi_k2", "mixtral", "olmoe", "qwen2_moe",
     "qwen3_moe"}
)  # fmt: skip
"""Mixtures of experts, each of which has a place of its own for adapters."""
_MUCH_LARGER = 1.5
"""So many times larger is one kind of layers before the smaller one gives the size of all groups."""


@dataclass(frozen=True)
class VllmSettings:
    """How it is started.

    Attributes:
        context: tokens of one request (`max_model_len`); 0 = as the model was trained.
        sequences: requests at a time; None = vLLM's choice.
        batch: tokens that are computed together; None = vLLM's choice.
        dtype: type of the weights; `auto` = two bytes.
        cache_type: type of the KV cache; None = that of the weights.
        cache_bytes: bytes for the KV cache; None = what its share of the card leaves.
        tensor_parallel: cards that each layer is split over.
        pipeline_parallel: groups of cards that the layers are distributed over.
        eager: it captures no CUDA graphs.
        adapters: LoRA adapters that it has a place for; 0 = it knows none.
        adapter_rank: the largest rank of one.
    """

    context: int = 0
    sequences: int | None = None
    batch: int | None = None
    dtype: str = "auto"
    cache_type: str | None = None
    cache_bytes: int | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    eager: bool = False
    adapters: int = 0
    adapter_rank: int = 0

    @property
    def number_size(self) -> int:
        """Bytes of one number in weights and activations."""
        return _FLOAT if self.dtype in _FULL_DTYPES else _HALF

    @property
    def cached_number_size(self) -> int:
        return 1 if self.cache_type and self.cache_type.startswith("fp8") else self.number_size


def least(facts: CheckpointFacts, settings: VllmSettings, card: int | None) -> Parts:
    """What it needs of each card at least: with a cache for one request of the longest context, without which it does
    not start, or with the cache that is given.

    Args:
        card: bytes of the card; None = not known.
    """
    cache = settings.cache_bytes
    return Parts(
        weights=_weights(facts, settings) + (adapter_memory(facts, settings) or 0),
        cache=request_cache(facts, settings, card) if cache is None else cache,
        buffers=_peak(facts, settings, card) + (0 if settings.eager else _graphs(settings)),
    )


def adapter_memory(facts: CheckpointFacts, settings: VllmSettings) -> int | None:
    """Bytes of each card that it reserves at its start for LoRA adapters, whatever is in their files; None = not known.

    For each place two matrices of the largest rank beside each linear layer, the embeddings and the output, which a few
    models have none for: `create_lora_weights` of `lora/layers`.
    """
    if not settings.adapters:
        return 0
    if not facts.known or facts.architecture in _MIXTURES:
        return None
    parts, width = settings.tensor_parallel, facts.width
    queries, feed_forward = -(-facts.heads * facts.head_size // parts), -(-facts.feed_forward // parts)
    # Of what a layer is split by, a card has its part; the other matrix is on each card whole.
    attention = 3 * width + queries + _numbers(facts, parts) + queries + width
    layer = attention + 2 * (width + feed_forward) + feed_forward + width
    layers = -(-len(facts.windows) // settings.pipeline_parallel)
    numbers = layers * layer + 2 * (facts.vocabulary + width)
    return settings.adapters * settings.adapter_rank * numbers * settings.number_size


def request_cache(facts: CheckpointFacts, settings: VllmSettings, card: int | None) -> int:
    """Bytes of the KV cache that one request of the longest context takes of each card; 0 = there is no cache that we
    know."""
    return _request_blocks(facts, settings, card) * _block_size(facts, settings)


def cached_tokens(facts: CheckpointFacts, settings: VllmSettings, memory: int, card: int | None = None) -> int:
    """Tokens that a KV cache of that many bytes a card holds, as vLLM's log says them."""
    blocks = _request_blocks(facts, settings, card)
    return memory // _block_size(facts, settings) * _context(facts, settings) // blocks if blocks else 0


def token_cache(facts: CheckpointFacts, settings: VllmSettings) -> int:
    """Bytes that all layers together cache of one token, over all cards."""
    return len(facts.windows) * _numbers(facts, 1) * settings.cached_number_size


def _context(facts: CheckpointFacts, settings: VllmSettings) -> int:
    return settings.context or facts.trained


def _weights(facts: CheckpointFacts, settings: VllmSettings) -> int:
    # Norms and the like are on each card whole; they are small.
    parts = settings.tensor_parallel * settings.pipeline_parallel
    return -(-(facts.packed + facts.wide * settings.number_size) // parts)


def _graphs(settings: VllmSettings) -> int:
    """With adapters it captures each graph twice, with and without one: `v1/cudagraph_dispatcher.py`."""
    return 2 * _GRAPHS if settings.adapters else _GRAPHS


def _peak(facts: CheckpointFacts, settings: VllmSettings, card: int | None) -> int:
    """The trial run: the hidden state of a full batch twice with a layer's feed-forward part, or the output of all
    requests with the sampler's copies in four bytes a number, whichever is more."""
    batch, sequences = _at_a_time(settings, card)
    feed_forward = 3 * -(-facts.feed_forward // settings.tensor_parallel)
    layers = batch * (2 * facts.width + feed_forward) * settings.number_size
    outputs = sequences * facts.vocabulary * (settings.number_size + 3 * _FLOAT)
    return max(layers, outputs)


def _at_a_time(settings: VllmSettings, card: int | None) -> tuple[int, int]:
    """Tokens and requests that it computes together."""
    large = card is not None and card >= _LARGE_CARD
    batch, sequences = (8192, 1024) if large else (2048, 256)
    return settings.batch or batch, settings.sequences or sequences


def _numbers(facts: CheckpointFacts, tensor_parallel: int) -> int:
    """Numbers that one layer caches of a token on one card."""
    if facts.latent:
        return facts.latent
    heads = max(1, facts.key_value_heads // tensor_parallel)
    return 2 * heads * facts.head_size


def _groups(facts: CheckpointFacts, settings: VllmSettings) -> tuple[int, list[int | None]]:
    """The layers in one group, and of all groups their windows: `_get_kv_cache_groups_uniform_page_size`."""
    counts = Counter(facts.windows)
    if settings.pipeline_parallel > 1:
        counts = Counter({window: -(-count // settings.pipeline_parallel) for window, count in counts.items()})
    fewest, most = min(counts.values()), max(counts.values())
    size = most if most < fewest * _MUCH_LARGER else fewest
    return size, [window for window, count in counts.items() for _ in range(-(-count // size))]


def _block_size(facts: CheckpointFacts, settings: VllmSettings) -> int:
    """Bytes of one block of one group."""
    layers, _ = _groups(facts, settings)
    return layers * _BLOCK * _numbers(facts, settings.tensor_parallel) * settings.cached_number_size


def _request_blocks(facts: CheckpointFacts, settings: VllmSettings, card: int | None) -> int:
    if not facts.known:
        return 0
    context, (batch, _) = _context(facts, settings), _at_a_time(settings, card)
    blocks = 0
    for window in _groups(facts, settings)[1]:
        if window is None:
            blocks += -(-context // _BLOCK)
        else:
            # Windows do not begin with a block.
            blocks += -(-min(window - 1 + batch, context) // _BLOCK) + 1
    return blocks
