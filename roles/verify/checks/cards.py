"""Checks of the GPUs: the driver's kernel part and library agree, and each engine uses its own cards.

The facts about the host come from the generation's own `bin/gpu`, which its units also use to wait for their cards.

Some memory of a card in use by a process shows little: a CUDA context takes 543 MB of an H100, and llama.cpp creates
one even if it then computes on the processor. So if the generation lists the weights that must be on the cards, the
process must use at least as much. For a model that is smaller than such a context, this shows nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

import httpx

from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import CardWeights, Generation, Gpus, ModelList, Provider
from roles.verify.probe.commands import output_of
from roles.verify.probe.gguf import layers_size
from roles.verify.probe.processes import processes_of
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.sizes import size

_LONGEST_ANSWER = 120.0
"""Seconds: `bin/gpu` asks the driver up to three times, and with many cards each time takes ten."""
_LONGEST_LIST = 10.0
_IDLE_CARD = 64 << 20
"""Bytes in use on a card without a computing process: at most what a display needs."""

_LOOKS, _PAUSE = 5, 3.0
"""How often, and after how many seconds, an engine that swaps its models is checked again."""

Facts = Mapping[str, Any]
"""What `bin/gpu facts` prints."""


_Look = Callable[[], Awaitable[Facts]]
"""Returns the host's facts about its cards."""


class _TooLittle(CheckFailed):
    """It uses less memory than its model needs."""


def card_checks(context: VerificationContext, asked: Sequence[Awaitable[Check]]) -> list[Coroutine[Any, Any, Check]]:
    """The checks of a host with cards, to be awaited; none on a host whose providers use no cards.

    Args:
        asked: the checks that make engines load their models: memory is measured after those.
    """
    generation = context.generation
    users = [(provider, provider.gpus) for provider in generation.providers if provider.gpus]
    if not users:
        return []

    facts: list[asyncio.Task[Facts]] = []

    async def first() -> Facts:
        """Asked once for all checks."""
        if not facts:
            facts.append(asyncio.ensure_future(facts_after(generation, asked)))
        return await asyncio.shield(facts[0])

    async def again() -> Facts:
        return await facts_after(generation, ())

    driver = Claim("host/driver", "host", "has one driver", "the kernel's part and the library agree")
    return [
        driver.check(_driver(first)),
        *(_memory_check(provider, gpus, first, again, context) for provider, gpus in users),
    ]


async def facts_after(generation: Generation, asked: Sequence[Awaitable[Check]]) -> Facts:
    """The facts once those checks are made.

    Raises:
        CannotCheck: the cards cannot be asked for.
    """
    await asyncio.gather(*asked)
    program = str(generation.folder / "bin/gpu")
    output = await output_of("bin/gpu facts", [sys.executable, "-I", "-S", program, "facts"], _LONGEST_ANSWER)
    facts: Facts = json.loads(output)
    return facts


async def _driver(look: _Look) -> str:
    facts = await look()
    if facts["problem"] or not facts["cards"]:
        raise CheckFailed("gpu-unusable", facts["problem"] or "no card that can compute is found")
    driver = facts["driver"]
    versions = f"kernel {driver['kernel'] or 'unknown'}, library {driver['library'] or 'unknown'}"
    if not driver["agree"]:
        raise CheckFailed("driver-mismatch", f"{versions}: reboot the host")
    return versions


def _memory_check(
    provider: Provider,
    gpus: Gpus,
    first: _Look,
    again: _Look,
    context: VerificationContext,
) -> Coroutine[Any, Any, Check]:
    unit = provider.service.unit
    wanted = f"memory of {' and '.join(gpus.uuids) or 'a card'}"
    claim = Claim(f"unit/{unit}/gpu-memory", unit, "works on its cards", wanted)

    async def seen() -> str:
        looks = [first, *([again] * _LOOKS if len(provider.weights) > 1 else ())]
        for look in looks[:-1]:
            try:
                return await _memory(provider, gpus, look, context)
            except _TooLittle:
                # It may be about to load another of its models, for another client.
                await asyncio.sleep(_PAUSE)
        return await _memory(provider, gpus, looks[-1], context)

    return claim.check(seen())


async def _memory(provider: Provider, gpus: Gpus, look: _Look, context: VerificationContext) -> str:
    facts = await look()
    if facts["problem"] or not facts["cards"]:
        raise CannotCheck("the cards cannot be asked, see host/driver")
    unit = provider.service.unit
    cards = facts["cards"]
    missing = [uuid for uuid in gpus.uuids if uuid not in {card["uuid"] for card in cards}]
    if missing:
        raise CheckFailed("gpu-missing", f"{' and '.join(missing)} is not on this host")
    processes = (await asyncio.to_thread(processes_of, [unit], context.proc))[unit]
    used = {card["index"]: _used_by(card, processes) for card in cards}
    wanted = [card for card in cards if not gpus.uuids or card["uuid"] in gpus.uuids]
    others = [card for card in cards if card not in wanted and used[card["index"]]]
    if others:
        raise CheckFailed("gpu-wrong", f"it also uses memory of {_names(others)}")
    users = [card for card in wanted if used[card["index"]]]
    idle = [card for card in wanted if card not in users]
    if users and idle and gpus.uuids and provider.traits.fills_cards:
        raise CheckFailed("gpu-unused", f"no memory of {_names(idle)}")
    # The other engines use as many of their cards as a model needs.
    if users:
        sizes = [each for card in users for each in sizes_of(card, processes)]
        needed = await asyncio.to_thread(_needed, provider.weights, wanted)
        if None not in sizes and sum(filter(None, sizes)) < needed:
            parts = " and ".join(f"{used[card['index']]} of {_name(card)}" for card in users)
            raise _TooLittle(
                "gpu-memory-low",
                f"it uses {parts}, and the layers of its model have {size(needed)}: it computes on the processor, "
                "wholly or in part",
            )
        return "; ".join(f"{_name(card)}: {used[card['index']]}" for card in users)
    loaded = provider.traits.loaded_models
    if loaded and not await _has_loaded(provider, loaded, context.client):
        return "no model is in memory, as nobody asked for one lately"
    if all(not card["processes"] and _used(card) > _IDLE_CARD for card in wanted):
        # WSL, and containers with their own process IDs.
        return f"the driver does not say whose memory it is; {'; '.join(map(_in_use, wanted))}"
    message = f"no memory of {_names(wanted)}: it computes on the processor, or nothing is loaded"
    raise CheckFailed("gpu-unused", message)


def _used_by(card: Mapping[str, Any], processes: Collection[int]) -> str:
    """How much of the card's memory these processes use, for people; empty = none."""
    sizes = sizes_of(card, processes)
    if not sizes:
        return ""
    return "of unknown size" if None in sizes else size(sum(filter(None, sizes)))


def sizes_of(card: Mapping[str, Any], processes: Collection[int]) -> list[int | None]:
    """Bytes of the card's memory that each of these processes uses; None = the driver does not report how many."""
    return [process["memory"] for process in card["processes"] if process["pid"] in processes]


def _needed(weights: Sequence[CardWeights], cards: Sequence[Mapping[str, Any]]) -> int:
    """The least bytes of these cards that the provider must use; 0 = not known.

    One of the models is loaded at a time, and which one is not known: the smallest counts.
    """
    free = [card["memory_free"] for card in cards]
    room = None if None in free else sum(free)
    return min((_needed_by(each, room) for each in weights), default=0)


def _needed_by(weights: CardWeights, room: int | None) -> int:
    try:
        needed = layers_size(weights.file, weights.layers)
    except (OSError, ValueError):
        return 0  # another check reports what is wrong with the file
    # If not all layers were loaded because memory was short, there is still too little free for all of them.
    lacks_room = weights.if_free and (room is None or room < needed)
    return 0 if lacks_room else needed


def _used(card: Mapping[str, Any]) -> int:
    total, free = card["memory_total"], card["memory_free"]
    return total - free if total is not None and free is not None else 0


def _in_use(card: Mapping[str, Any]) -> str:
    return f"{_name(card)}: {size(_used(card))} in use"


def _name(card: Mapping[str, Any]) -> str:
    return f"GPU {card['index']} ({card['name']})"


def _names(cards: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(map(_name, cards))


async def _has_loaded(provider: Provider, loaded: ModelList, client: httpx.AsyncClient) -> bool:
    """Whether it has a model in memory."""
    address = httpx.URL(provider.service.ready_url)
    try:
        reply = await client.get(address.copy_with(path=loaded.path), timeout=_LONGEST_LIST)
        return bool(reply.json()[loaded.items])
    except (httpx.HTTPError, ValueError, LookupError) as error:
        raise CannotCheck(f"it cannot be asked what it has loaded: {type(error).__name__}") from None
