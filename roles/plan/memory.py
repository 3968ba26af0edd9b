"""The memory plan of a host plan: what its providers load, and what that takes of which card. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from roles.fit.cards import DRIVERS_SHARE, CardPlan, card_plans, derived_shares
from roles.fit.llama_cpp import Settings
from roles.fit.stored import Facts
from roles.fit.table import size_of
from roles.fit.uses import Use
from roles.fit.vllm import VllmSettings
from roles.options import Gpus, ModelServer, ModelSource, OptionsError

LoadSource: TypeAlias = ModelSource | str
"""Where a model comes from; a text: its name at a registry that the server asks by itself."""
KnownFacts: TypeAlias = Callable[[LoadSource], Facts | str]
"""The facts of a model, or a text: why there are none."""

_ALONE = 0.9
"""The share of a card that vLLM servers have together where nothing can be derived; vLLM's own default for one."""
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Load:
    """A model that a provider loads.

    Attributes:
        provider: the options of its server.
        model: as messages call it.
        gpus: its cards; none = the processor alone.
        share, at_once, grows: as in `Use`.
        unplanned: why its memory cannot be computed although the model is known; empty = it can.
    """

    provider: ModelServer
    model: str
    source: LoadSource
    settings: Settings | VllmSettings
    gpus: Gpus | None
    share: float | None = None
    at_once: int | None = None
    unplanned: str = ""
    grows: int | None = 0

    def use(self, known: KnownFacts) -> Use:
        return Use(
            server=str(self.provider),
            provider=self.provider.name,
            model=self.model,
            facts=self.unplanned or known(self.source),
            settings=self.settings,
            uuids=tuple(self.gpus.uuids) if self.gpus else (),
            on_cards=self.gpus is not None,
            share=self.share,
            at_once=self.at_once,
            grows=self.grows,
        )


def not_known(source: LoadSource) -> str:
    """What is known of a model without a lock: nothing."""
    return "its size is in no lock"


def card_sizes(loads: Sequence[Load]) -> dict[str, int]:
    """UUID → bytes that programs can have of each card, as the inventory declares them; "" = the cards that it does not
    name.

    Raises:
        OptionsError: it declares two sizes for one card.
    """
    found: dict[str, tuple[str, ModelServer]] = {}
    for load in loads:
        if load.gpus is None or load.gpus.memory is None:
            continue
        for uuid in load.gpus.uuids or ("",):
            declared, provider = found.setdefault(uuid, (load.gpus.memory, load.provider))
            if declared != load.gpus.memory:
                raise OptionsError(
                    f"{uuid or 'the card'} has a memory of {declared} for {provider} and of {load.gpus.memory} for "
                    f"{load.provider}; say the same `memory` in both `gpus`"
                )
    return {uuid: int(size_of(declared) * (1 - DRIVERS_SHARE)) for uuid, (declared, _) in found.items()}


def with_shares(uses: Sequence[Use], sizes: Mapping[str, int]) -> tuple[Use, ...]:
    """The uses, with a share for each server that reserves one and was given none.

    Raises:
        OptionsError: the servers that were given one leave nothing for it.
    """
    derived: dict[str, float] = {}
    for use in uses:
        if use.share != 0 or not use.on_cards or use.provider in derived:
            continue
        beside = [each for each in uses if each.on_cards and _share_a_card(each, use)]
        size = sizes.get(use.uuids[0] if use.uuids else "", sizes.get(""))
        found = derived_shares(beside, size)
        if use.provider not in found:
            found = _even_shares(beside, use)
        derived[use.provider] = found[use.provider]
    return tuple(replace(use, share=derived.get(use.provider, use.share)) for use in uses)


def memory_plan(
    uses: Sequence[Use], sizes: Mapping[str, int], foreign: Mapping[str, int] | None = None
) -> list[CardPlan]:
    """The plan of each card that any of the uses is on; empty = none is on a card."""
    return card_plans(uses, sizes, foreign) if any(use.on_cards for use in uses) else []


def _share_a_card(one: Use, other: Use) -> bool:
    return not one.uuids or not other.uuids or bool({*one.uuids} & {*other.uuids})


def _even_shares(beside: Sequence[Use], use: Use) -> dict[str, float]:
    """What can be said without arithmetic: what is left, in equal parts."""
    given = sum(each.share for each in beside if each.share)
    count = len({each.provider for each in beside if each.share == 0})
    left = int(100 * (_ALONE - given) / count) / 100 if given else round(_ALONE / count, 2)
    if left < _LEAST_SHARE:
        raise OptionsError(
            f"{use.server}: the other servers on its card reserve {given:g} of it, which leaves nothing; lower their "
            "`gpu_memory_utilization`, or give it other cards with `gpus=Gpus(uuids=[…])`"
        )
    return {use.provider: left}
