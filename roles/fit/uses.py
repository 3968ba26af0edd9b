"""A model in the memory of a server, and how it could take less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from roles.fit.checkpoint import CheckpointFacts
from roles.fit.llama_cpp import Settings
from roles.fit.stored import Facts
from roles.fit.vllm import VllmSettings, adapter_memory

STEP = 256
"""Tokens between two contexts that are tried."""


@dataclass(frozen=True)
class Use:
    """A model in the memory of a server.

    Attributes:
        server: the server, as messages call it.
        provider: its name in the inventory.
        model: the model, as messages call it.
        facts: a text: why there are none.
        settings: how the server starts it.
        uuids: its cards; none = all of the host.
        on_cards: whether it computes on cards at all.
        share: of the card that its server reserves at its start (vLLM); 0 = it is to be derived, None = it takes what
            it needs.
        at_once: so many models of this server are loaded at the same time; None = all.
        grows: bytes of main memory that its server may take besides, as it is used; None = any number.
    """

    server: str
    provider: str
    model: str
    facts: Facts | str
    settings: Settings | VllmSettings
    uuids: tuple[str, ...] = ()
    on_cards: bool = True
    share: float | None = None
    at_once: int | None = None
    grows: int | None = 0

    @property
    def unknown(self) -> str:
        """Why not all of its memory is known; empty = it is."""
        if isinstance(self.facts, str):
            return self.facts
        if self.facts.known:
            return self._unknown_adapters
        return (
            f"the cache of the architecture {self.facts.architecture} is not known here, and only its weights are "
            "planned"
        )

    @property
    def _unknown_adapters(self) -> str:
        if not isinstance(self.settings, VllmSettings) or not isinstance(self.facts, CheckpointFacts):
            return ""
        if adapter_memory(self.facts, self.settings) is not None:
            return ""
        return (
            f"the memory of LoRA adapters for the architecture {self.facts.architecture} is not known here, and the "
            "model alone is planned"
        )

    @property
    def label(self) -> str:
        return f"{self.server} {self.model}"


def largest_context(use: Use, room: int, taken: Callable[[Use], int]) -> int:
    """Tokens with which it would take no more than that; 0 = none, or a share is reserved whatever the context.

    Args:
        taken: what a use takes of the memory in question.
    """
    if use.share or isinstance(use.facts, str):
        return 0
    settings = use.settings
    step = STEP * (settings.parallel if isinstance(settings, Settings) else 1)
    low, high = 0, (settings.context or use.facts.trained) // step
    while low < high:
        middle = (low + high + 1) // 2
        if taken(replace(use, settings=replace(settings, context=middle * step))) <= room:
            low = middle
        else:
            high = middle - 1
    return low * step


def with_small_cache(use: Use) -> Use | None:
    """The same with a KV cache of the type q8_0; None = it has such a cache, or can have none."""
    settings = use.settings
    if isinstance(settings, VllmSettings) or settings.key_type != "f16" or not settings.flash_attention:
        return None
    return replace(use, settings=replace(settings, key_type="q8_0", value_type="q8_0"))
