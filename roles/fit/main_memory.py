"""The memory plan of main memory: what the servers of a host take of it."""

from __future__ import annotations

from roles.fit.cards import Use
from roles.fit.facts import ModelFacts
from roles.fit.llama_cpp import Settings, needs


def main_bytes(use: Use) -> int | None:
    """Bytes of main memory that a use takes; None = not known. vLLM's part has no arithmetic here."""
    if use.unknown or not isinstance(use.facts, ModelFacts) or not isinstance(use.settings, Settings):
        return None
    return needs(use.facts, use.settings, with_card=use.on_cards).main.total
