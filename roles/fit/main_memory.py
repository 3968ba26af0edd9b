"""The memory plan of main memory: what all servers of a host take of it, and what would fit.

It knows llama.cpp's formulas alone. What vLLM takes of main memory has none here, and a model without facts is named
as not known: neither is a reason to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roles.fit.facts import ModelFacts
from roles.fit.llama_cpp import Parts, Settings, needs
from roles.fit.table import mebibytes
from roles.fit.uses import Use, largest_context, with_small_cache
from roles.fit.vllm import VllmSettings

_SYSTEM = 1 << 30
"""Bytes that are left to the operating system, to HAProxy and Redis, and to what the servers' programs take for
themselves."""
_GATEWAY = 330 << 20
"""Bytes of one LiteLLM process (`docs/benchmark.md`)."""


@dataclass(frozen=True)
class MainPlan:
    """What all servers take of the host's main memory.

    Attributes:
        size: bytes that the host has; None = not known.
        reserve: bytes that are kept for everything but models.
        rows: the uses that are known, with what each takes.
        unknown: the others.
    """

    size: int | None
    reserve: int
    rows: tuple[tuple[Use, Parts], ...]
    unknown: tuple[Use, ...]

    @property
    def taken(self) -> int:
        return self.reserve + sum(parts.total for _, parts in self.rows)

    @property
    def fits(self) -> bool:
        return self.size is None or not self.rows or self.taken <= self.size

    def problem(self) -> str:
        """Why it does not fit, with what would; empty = it fits, or nobody knows."""
        if self.size is None or self.fits:
            return ""
        remedies = "; or ".join(self._remedies()) or "take smaller models, or move a server to another host"
        return (
            f"{mebibytes(self.taken)} MiB of main memory are planned, and the host has {mebibytes(self.size)}: "
            f"{remedies}"
        )

    def _remedies(self) -> Iterator[str]:
        """Single changes after which all fits."""
        assert self.size is not None
        for use, parts in self.rows:
            room = self.size - self.taken + parts.total
            if context := largest_context(use, room, _total):
                yield f"give {use.server} a context of at most {context} tokens for {use.model}"
            elif (smaller := with_small_cache(use)) and _total(smaller) <= room:
                yield f"give {use.server} a KV cache of the type q8_0"
            own = [each.total for other, each in self.rows if other.provider == use.provider]
            if use.at_once is not None and own[0] == parts.total and self.taken - sum(own[1:]) <= self.size:
                yield f"let {use.server} keep one model at a time (`max_loaded_models=1`)"

    def table(self) -> str:
        """Its rows are servers with their models, its columns parts, in MiB."""
        width = max([len(use.label) for use, _ in self.rows] + [len("the system and the gateway"), 28])
        lines = [f"{'MiB of main memory':<{width}}" + "".join(f"{head:>10}" for head in _HEADS)]
        for use, parts in self.rows:
            sizes = (parts.weights, parts.cache, parts.buffers, parts.total)
            lines.append(f"{use.label:<{width}}" + "".join(f"{mebibytes(size):>10}" for size in sizes))
        wide = 10 * len(_HEADS)
        lines.append(f"{'the system and the gateway':<{width}}{mebibytes(self.reserve):>{wide}}")
        lines.append(f"{'together':<{width}}{mebibytes(self.taken):>{wide}}")
        if self.size is not None:
            lines.append(f"{'there is':<{width}}{mebibytes(self.size):>{wide}}")
        lines += [f"not known: {use.label}: {_why(use)}" for use in self.unknown]
        if problem := self.problem():
            lines.append(problem)
        elif self.size is not None and self.unknown:
            lines.append("What is known fits.")
        elif self.size is not None:
            lines.append(f"It fits: {mebibytes(self.size - self.taken)} MiB are left.")
        return "\n".join(lines)


_HEADS = ("weights", "KV cache", "buffers", "together")


def main_plan(uses: Sequence[Use], size: int | None, *, gateways: int) -> MainPlan:
    """The plan of a host.

    Args:
        uses: what its servers load.
        size: bytes of main memory that it has.
        gateways: how many LiteLLM processes it has.
    """
    rows = [(use, parts) for use in uses if (parts := _parts(use)) is not None]
    kept: list[tuple[Use, Parts]] = []
    for provider in dict.fromkeys(use.provider for use, _ in rows):
        # Of a server that loads some of its models at a time, the largest ones.
        own = sorted((row for row in rows if row[0].provider == provider), key=lambda row: -row[1].total)
        kept += own[: own[0][0].at_once]
    return MainPlan(
        size,
        _SYSTEM + gateways * _GATEWAY,
        tuple(kept),
        # What a server on cards takes of main memory besides is small, and it is in the table of its card.
        tuple(use for use in uses if _parts(use) is None and not use.on_cards),
    )


def main_bytes(use: Use) -> int | None:
    """Bytes of main memory that a use takes; None = not known."""
    parts = _parts(use)
    return parts.total if parts else None


def _parts(use: Use) -> Parts | None:
    if use.unknown or not isinstance(use.facts, ModelFacts) or not isinstance(use.settings, Settings):
        return None
    return needs(use.facts, use.settings, with_card=use.on_cards).main


def _total(use: Use) -> int:
    return main_bytes(use) or 0


def _why(use: Use) -> str:
    if isinstance(use.settings, VllmSettings) and not use.unknown:
        return "what vLLM takes of main memory has no arithmetic here"
    return use.unknown
