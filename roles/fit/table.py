"""The memory plan as people read it, and what would fit."""

from __future__ import annotations

import re
from dataclasses import replace

from roles.fit.facts import ModelFacts
from roles.fit.llama_cpp import Parts, Settings, needs

CONTEXT_OF_CUDA = 694 << 20
"""Bytes of a card that one process takes beside its buffers. Measured on an H100 (`tests/gpu/README.md`): 518 MiB
before it computes, and 176 more once it does: a llama-server whose buffers are 1462 MiB held 2156."""
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_LEAST_CONTEXT = 256


def size_of(text: str) -> int:
    """Bytes, of a size as systemd writes it: `24G` is 24 * 2^30.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,9})([KMGT])", text)
    if not found:
        raise ValueError(f'"{text}" is no size; give a number with K, M, G or T, such as 24G')
    return int(found[1]) << _UNITS[found[2]]


def fits(model: ModelFacts, settings: Settings, memory: int, *, with_card: bool) -> bool:
    """Whether it fits into that many bytes of the card or, without one, of main memory."""
    return _taken(model, settings, with_card=with_card) <= memory


def largest_context(model: ModelFacts, settings: Settings, memory: int, *, with_card: bool) -> int | None:
    """Tokens over all slots that would fit, up to what the model was trained for in each slot; None = not even the
    smallest."""
    step = _LEAST_CONTEXT * settings.parallel
    most = max(model.trained, _LEAST_CONTEXT) // _LEAST_CONTEXT
    low, high = 0, most
    while low < high:  # what it takes only grows with its context
        middle = (low + high + 1) // 2
        if fits(model, replace(settings, context=middle * step), memory, with_card=with_card):
            low = middle
        else:
            high = middle - 1
    return low * step or None


def table(model: ModelFacts, settings: Settings, *, with_card: bool, memory: int | None) -> str:
    """Its rows are parts, its columns the card and main memory, in MiB.

    Args:
        memory: bytes that it must fit into; None = nothing is said of that.
    """
    need = needs(model, settings, with_card=with_card)
    columns: list[tuple[str, Parts]] = [("card", need.card)] if with_card else []
    columns.append(("main memory", need.main))
    rows = [
        ("weights", [parts.weights for _, parts in columns]),
        (f"KV cache, {need.context} tokens", [parts.cache for _, parts in columns]),
        ("buffers", [parts.buffers for _, parts in columns]),
    ]
    if with_card:
        rows.append(("CUDA context", [CONTEXT_OF_CUDA if need.card.total else 0, 0]))
    rows.append(("together", [sum(sizes[column] for _, sizes in rows) for column in range(len(columns))]))
    lines = ["".join([f"{'MiB':<28}", *(f"{name:>14}" for name, _ in columns)])]
    lines += ["".join([f"{name:<28}", *(f"{mebibytes(size):>14}" for size in sizes)]) for name, sizes in rows]
    if not model.known:
        lines.append(
            f"Only the weights are sure: the cache of the architecture {model.architecture} is not known here."
        )
    if memory:
        lines.append(_answer(model, settings, memory, with_card=with_card))
    return "\n".join(lines)


def _answer(model: ModelFacts, settings: Settings, memory: int, *, with_card: bool) -> str:
    taken = _taken(model, settings, with_card=with_card)
    if taken <= memory:
        return f"It fits into {mebibytes(memory)} MiB: {mebibytes(memory - taken)} MiB are left."
    lacking = f"It does not fit into {mebibytes(memory)} MiB: {mebibytes(taken - memory)} MiB are missing."
    most = largest_context(model, settings, memory, with_card=with_card)
    if most is None:
        return f"{lacking} No context fits: take a smaller model or quantization, or keep layers in main memory."
    return f"{lacking} The largest context that fits is {most} tokens ({most // settings.parallel} for each slot)."


def _taken(model: ModelFacts, settings: Settings, *, with_card: bool) -> int:
    need = needs(model, settings, with_card=with_card)
    if not with_card:
        return need.main.total
    return need.card.total + (CONTEXT_OF_CUDA if need.card.total else 0)


def mebibytes(size: int) -> int:
    return -(-size // (1 << 20))
