"""The memory plan of one card: all servers on it together, what each takes, and what would fit.

A server without facts of its model is named as not known, and never a reason to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from roles.fit.facts import ModelFacts
from roles.fit.llama_cpp import Parts, needs
from roles.fit.table import CONTEXT_OF_CUDA, mebibytes
from roles.fit.uses import Use, largest_context, with_small_cache
from roles.fit.vllm import VllmSettings, cached_tokens, least, request_cache

DRIVERS_SHARE = 0.015
"""Of a card's nominal memory the driver keeps about so much for itself: of the 24564 MiB of an RTX 4090, CUDA sees
24208 (23.64 GiB), as PyTorch prints it."""
_SPARE = 0.02
"""Of a card, what derived shares leave free: not all of the arithmetic was compared with a card."""


@dataclass(frozen=True)
class Row:
    """Bytes that a use takes of a card. Its `cuda` is the driver's for the process."""

    use: Use
    parts: Parts
    cuda: int

    @property
    def total(self) -> int:
        return self.parts.total + self.cuda


@dataclass(frozen=True)
class CardPlan:
    """What all servers take of one card.

    Attributes:
        name: the card's UUID; "" = it was not named.
        size: bytes that programs can have of it; None = not known.
        foreign: bytes that processes of others use.
        unknown: the uses of whose memory nothing is known.
    """

    name: str
    size: int | None
    foreign: int
    rows: tuple[Row, ...]
    unknown: tuple[Use, ...]

    @property
    def taken(self) -> int:
        return self.foreign + sum(row.total for row in self.rows)

    @property
    def fits(self) -> bool:
        return self.size is None or (self.taken <= self.size and not list(self._without_cache()))

    def _without_cache(self) -> Iterator[tuple[Row, int]]:
        """The servers whose share leaves less for the KV cache than one request takes, and what that takes."""
        for row in self.rows:
            facts, settings = row.use.facts, row.use.settings
            if isinstance(settings, VllmSettings) and not isinstance(facts, str | ModelFacts):
                one = request_cache(facts, settings, self.size)
                if row.parts.cache < one:
                    yield row, one

    def problems(self) -> list[str]:
        """Why it does not fit, each with what would; empty = it fits, or nobody knows."""
        if self.size is None:
            return []
        found = [
            f"{row.use.server}: its share of {self._shown} leaves {mebibytes(max(row.parts.cache, 0))} MiB for the KV "
            f"cache, and one request of its longest context takes {mebibytes(one)}; raise `gpu_memory_utilization` or "
            f"leave it out, or lower `max_model_len`"
            for row, one in self._without_cache()
        ]
        if self.taken > self.size:
            missing = f"{mebibytes(self.taken)} MiB of {self._shown} are planned, and it has {mebibytes(self.size)}"
            found.append(f"{missing}: {'; or '.join(self._remedies()) or 'move a server to another card'}")
        return found

    def _remedies(self) -> list[str]:
        """Single changes after which all fits."""
        assert self.size is not None
        found = []
        for row in self.rows:
            room = self.size - self.taken + row.total
            context = largest_context(row.use, room, self._total)
            if context:
                found.append(f"give {row.use.server} a context of at most {context} tokens for {row.use.model}")
            elif (smaller := with_small_cache(row.use)) and self._total(smaller) <= room:
                found.append(f"give {row.use.server} a KV cache of the type q8_0")
            if layers := _most_layers(row.use, room, self.size):
                found.append(f"keep only the last layers of {row.use.model} on the card (`gpu_layers={layers}`)")
            first = next(each for each in self.rows if each.use.provider == row.use.provider)
            others = sum(
                each.total for each in self.rows if each.use.provider == row.use.provider and each is not first
            )
            if row is first and others and self.taken - others <= self.size and row.use.at_once is not None:
                found.append(f"let {row.use.server} keep one model at a time (`max_loaded_models=1`)")
        return found

    def _total(self, use: Use) -> int:
        return _row(use, self.size).total

    @property
    def _shown(self) -> str:
        return self.name or "the card"

    def table(self) -> str:
        """Its rows are servers with their models, its columns parts, in MiB."""
        width = max([len(row.use.label) for row in self.rows] + [len("processes of others"), 28])
        heads = ("weights", "KV cache", "buffers", "CUDA", "together")
        lines = [f"{'MiB of ' + self._shown:<{width}}" + "".join(f"{head:>10}" for head in heads)]
        for row in self.rows:
            sizes = (row.parts.weights, row.parts.cache, row.parts.buffers, row.cuda, row.total)
            lines.append(f"{row.use.label:<{width}}" + "".join(f"{mebibytes(size):>10}" for size in sizes))
        if self.foreign:
            lines.append(f"{'processes of others':<{width}}{mebibytes(self.foreign):>50}")
        lines.append(f"{'together':<{width}}{mebibytes(self.taken):>50}")
        if self.size is not None:
            lines.append(f"{'there is':<{width}}{mebibytes(self.size):>50}")
        for row in self.rows:
            if self.size is not None and (tokens := _cached_tokens(row, self.size)) is not None:
                lines.append(f"{row.use.server} has room for {tokens} tokens in its KV cache.")
        lines += [f"not known: {use.label}: {use.unknown}" for use in self.unknown]
        lines += self.problems()
        if self.size is not None and self.fits:
            rest = "" if self.unknown else f": {mebibytes(self.size - self.taken)} MiB are left"
            lines.append(f"What is known fits{rest}." if self.unknown else f"It fits{rest}.")
        return "\n".join(lines)


def card_plans(
    uses: Sequence[Use], sizes: Mapping[str, int], foreign: Mapping[str, int] | None = None
) -> list[CardPlan]:
    """The plan of each card.

    Args:
        uses: what the servers of the host load, their shares known.
        sizes: UUID → bytes of each card that is known; with the UUID "" for all that the inventory does not name.
        foreign: UUID → bytes that processes of others use.
    """
    named = {uuid for use in uses if use.on_cards for uuid in use.uuids}
    names = sorted({*named, *sizes} - {""}) or [""]
    return [
        _card_plan(
            [use for use in uses if use.on_cards and (not use.uuids or not name or name in use.uuids)],
            name,
            sizes.get(name, sizes.get("")),
            (foreign or {}).get(name, 0),
        )
        for name in names
    ]


def _card_plan(uses: Sequence[Use], name: str, size: int | None, foreign: int) -> CardPlan:
    rows = [_row(use, size) for use in uses if not isinstance(use.facts, str)]
    unknown = tuple(use for use in uses if use.unknown)
    kept: list[Row] = []
    for provider in dict.fromkeys(row.use.provider for row in rows):
        # Of a server that loads some of its models at a time, the largest ones.
        own = sorted((row for row in rows if row.use.provider == provider), key=lambda row: -row.total)
        kept += own[: own[0].use.at_once]
    return CardPlan(name, size, foreign, tuple(kept), unknown)


def card_bytes(use: Use, size: int | None) -> int:
    """What a use whose memory is known takes of all its cards together.

    Args:
        size: bytes that programs can have of each; None = not known.
    """
    settings = use.settings
    parts = settings.tensor_parallel * settings.pipeline_parallel if isinstance(settings, VllmSettings) else 1
    return _row(use, size).total * max(len(use.uuids), parts)


def derived_shares(uses: Sequence[Use], size: int | None) -> dict[str, float]:
    """Provider → share of a card, for those whose share is to be derived: what each needs at least, and an even part of
    what all others leave. Empty: the card, or a model on it, is not known.

    Args:
        size: bytes that programs can have of each card.
    """
    wanting = [use for use in uses if use.share == 0 and use.on_cards]
    if size is None or not wanting or any(use.unknown for use in uses if use.on_cards):
        return {}
    uuids = {use.uuids for use in uses if use.on_cards}
    if len(uuids) > 1:
        return {}
    rows = {use.provider: _row(use, size) for use in wanting}
    others = _card_plan([use for use in uses if use.on_cards and use.share != 0], "", size, 0).taken
    rest = max(0, int(size * (1 - _SPARE)) - others - sum(row.total for row in rows.values())) // len(rows)
    return {name: max(0.01, int(100 * (row.total + rest) / size) / 100) for name, row in rows.items()}


def _row(use: Use, size: int | None) -> Row:
    assert not isinstance(use.facts, str)
    cards = len(use.uuids) or 1
    if isinstance(use.settings, VllmSettings):
        assert not isinstance(use.facts, ModelFacts)
        parts = least(use.facts, use.settings, size)
        if use.share and size is not None and use.settings.cache_bytes is None:
            reserved = int(use.share * size)
            parts = replace(parts, cache=reserved - parts.weights - parts.buffers - CONTEXT_OF_CUDA)
        return Row(use, parts, CONTEXT_OF_CUDA)
    assert isinstance(use.facts, ModelFacts)
    whole = needs(use.facts, use.settings, with_card=True).card
    parts = Parts(weights=-(-whole.weights // cards))
    if use.facts.known:
        parts = replace(parts, cache=-(-whole.cache // cards), buffers=whole.buffers)
    return Row(use, parts, CONTEXT_OF_CUDA if whole.total else 0)


def _most_layers(use: Use, room: int, size: int) -> int:
    """Layers with which a server that puts all of them on the card would take no more than that; 0 = none, or it has no
    such option."""
    if isinstance(use.settings, VllmSettings) or not isinstance(use.facts, ModelFacts) or use.at_once is not None:
        return 0
    counts = range(len(use.facts.layers), 0, -1)
    tried = ((count, replace(use, settings=replace(use.settings, gpu_layers=count))) for count in counts)
    return next((count for count, smaller in tried if _row(smaller, size).total <= room), 0)


def _cached_tokens(row: Row, size: int | None) -> int | None:
    """Tokens that a vLLM server's KV cache holds; None = it is another server, or its cache is not known."""
    facts, settings = row.use.facts, row.use.settings
    if isinstance(settings, VllmSettings) and not isinstance(facts, str | ModelFacts) and facts.known:
        return cached_tokens(facts, settings, row.parts.cache, size)
    return None
