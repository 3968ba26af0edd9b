"""What the memory plan says of each provider, for the manifest: the verifier compares it with what it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.contract.manifest import PlannedMemory, PlannedModel
from roles.fit.cards import card_bytes
from roles.fit.main_memory import main_bytes
from roles.fit.uses import Use
from roles.fit.vllm import VllmSettings


def planned_memory(provider: str, uses: Sequence[Use], sizes: Mapping[str, int]) -> PlannedMemory | None:
    """Of one provider; none = it loads nothing that is planned.

    Args:
        uses: of all providers, their shares known.
        sizes: UUID → bytes that programs can have of each card, as the inventory declares them.
    """
    own = [use for use in uses if use.provider == provider]
    if not own:
        return None
    first = own[0]
    settings = first.settings
    reserves = bool(first.share) and isinstance(settings, VllmSettings) and settings.cache_bytes is None
    return PlannedMemory(
        models=tuple(_planned_model(use, sizes) for use in own),
        at_once=first.at_once,
        share=first.share if reserves else None,
        grows=None if any(use.grows is None for use in own) else max(use.grows or 0 for use in own),
    )


def _planned_model(use: Use, sizes: Mapping[str, int]) -> PlannedModel:
    if use.unknown:
        return PlannedModel(use.model, unknown=use.unknown)
    size = sizes.get(use.uuids[0] if use.uuids else "", sizes.get(""))
    return PlannedModel(use.model, card_bytes(use, size) if use.on_cards else None, main_bytes(use))
