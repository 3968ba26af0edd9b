"""What each provider takes of its cards and of main memory, beside what the memory plan said of it.

It is a report and no check: the host may be well though the arithmetic is wrong. What a process has of a card is what
the driver says of it; in main memory it is what is resident, with the pages of the model's file that it has used.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import httpx

from roles.contract.manifest import PlannedMemory, PlannedModel
from roles.contract.measured import EngineMemory
from roles.verify.checks.cards import Facts, facts_after, sizes_of
from roles.verify.context import VerificationContext
from roles.verify.generation import ModelList, Provider
from roles.verify.probe.processes import processes_of
from roles.verify.verdict.claim import CannotCheck, or_reason
from roles.verify.verdict.quoting import read_foreign

Memory: TypeAlias = Literal["cards", "main memory"]

_SHARE = 0.1
"""Of what is planned: so much more or less is no warning. The plan's buffers were seen to be off by up to 15 % of
themselves, and they are a small part of the whole."""
_OWN: Mapping[Memory, int] = {"cards": 256 << 20, "main memory": 512 << 20}
"""Bytes that are no warning in any case: contexts of the driver differ between cards, and programs take some memory for
themselves."""
_LONGEST_LIST = 10.0
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


async def engine_memory(context: VerificationContext) -> tuple[EngineMemory, ...]:
    """Of each provider with a plan: its cards, if it has some, and main memory. Asked once its models are loaded."""
    generation = context.generation
    planned = [(provider, provider.memory) for provider in generation.providers if provider.memory]
    if not planned:
        return ()
    units = [provider.service.unit for provider, _ in planned]
    processes = await or_reason(asyncio.to_thread(processes_of, units, context.proc))
    on_cards = any(provider.gpus for provider, _ in planned)
    facts = await or_reason(facts_after(generation, ())) if on_cards else CannotCheck("it uses none")
    found: list[EngineMemory] = []
    for provider, memory in planned:
        own = processes if isinstance(processes, CannotCheck) else processes[provider.service.unit]
        loaded = await or_reason(_loaded(provider, memory, context.client))
        if provider.gpus:
            found.append(_of_cards(provider, memory, loaded, own, facts))
        found.append(await asyncio.to_thread(_of_main_memory, provider, memory, loaded, own, context.proc))
    return tuple(found)


async def _loaded(provider: Provider, memory: PlannedMemory, client: httpx.AsyncClient) -> Sequence[PlannedModel]:
    """Those of its models that are in memory now, or all that may be."""
    listed = provider.traits.loaded_models
    if listed is None:
        return memory.models
    address = httpx.URL(provider.service.ready_url).copy_with(path=listed.path)
    try:
        reply = await client.get(address, timeout=_LONGEST_LIST)
        names = {str(item[listed.name]) for item in reply.json()[listed.items]}
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise CannotCheck(f"it cannot be asked what it has loaded: {type(error).__name__}") from None
    return [model for model in memory.models if not names.isdisjoint(_names(model, listed))]


def _names(model: PlannedModel, listed: ModelList) -> set[str]:
    return {model.model, *([f"{model.model}:{listed.default_tag}"] if listed.default_tag else [])}


def _of_cards(
    provider: Provider,
    memory: PlannedMemory,
    loaded: Sequence[PlannedModel] | CannotCheck,
    processes: Collection[int] | CannotCheck,
    facts: Facts | CannotCheck,
) -> EngineMemory:
    assert provider.gpus
    if isinstance(facts, CannotCheck) or facts["problem"] or not facts["cards"] or isinstance(processes, CannotCheck):
        return EngineMemory(provider.name, "cards", None, None, "the cards cannot be asked")
    uuids = provider.gpus.uuids
    cards = [card for card in facts["cards"] if not uuids or card["uuid"] in uuids]
    used = [card for card in cards if sizes_of(card, processes)]
    sizes = [each for card in used for each in sizes_of(card, processes)]
    measured = None if None in sizes or not sizes else sum(filter(None, sizes))
    if memory.share is not None:
        totals = [card["memory_total"] for card in used]
        planned = None if None in totals or not used else int(memory.share * sum(totals))
        detail = f"{memory.share:.0%} of {'the card' if len(used) == 1 else 'each card'} is reserved"
        return _compared(provider, "cards", (planned, planned), measured, detail)
    if not uuids and len(cards) > 1:
        return EngineMemory(provider.name, "cards", None, measured, "several cards, of which it names none")
    expected, detail = _expected(memory, loaded, "card")
    if expected == (0, 0) and not sizes:
        measured = 0
    return _compared(provider, "cards", expected, measured, detail)


def _of_main_memory(
    provider: Provider,
    memory: PlannedMemory,
    loaded: Sequence[PlannedModel] | CannotCheck,
    processes: Collection[int] | CannotCheck,
    proc: Path,
) -> EngineMemory:
    measured = None if isinstance(processes, CannotCheck) else _resident(processes, proc)
    expected, detail = _expected(memory, loaded, "main")
    return _compared(provider, "main memory", expected, measured, detail, memory.grows)


_Range: TypeAlias = tuple[int | None, int | None]
"""The least and the most bytes that are planned."""


def _expected(
    memory: PlannedMemory, loaded: Sequence[PlannedModel] | CannotCheck, which: Literal["card", "main"]
) -> tuple[_Range, str]:
    """What the plan says of these models, and for people of which. Of some that it keeps at a time, the largest ones
    were planned for."""
    if isinstance(loaded, CannotCheck):
        return (None, None), str(loaded)
    if not loaded:
        return (0, 0), "no model is in memory, as nobody asked for one lately"
    sizes: list[tuple[int, str]] = []
    for model in loaded:
        taken = getattr(model, which)
        if taken is None:
            return (None, None), f"{model.model}: {model.unknown or 'not planned'}"
        sizes.append((taken, model.model))
    sizes.sort()
    count = memory.at_once or len(sizes)
    most = sizes[-count:]
    return (sum(taken for taken, _ in sizes[:count]), sum(taken for taken, _ in most)), ", ".join(
        sorted(name for _, name in most)
    )


def _compared(
    provider: Provider,
    memory: Memory,
    expected: _Range,
    measured: int | None,
    detail: str,
    grows: int | None = 0,
) -> EngineMemory:
    """The two numbers, with a warning if they differ by more than a tenth and what a process takes for itself.

    Less in main memory is no warning: pages of a model's file that nobody has needed are not there.

    Args:
        grows: bytes that it may take besides; None = any number.
    """
    least, most = expected
    warning = ""
    if least is not None and most is not None and measured is not None:
        more = measured - most - max(int(most * _SHARE), _OWN[memory])
        less = least - measured - max(int(least * _SHARE), _OWN[memory])
        where = "its cards" if memory == "cards" else "main memory"
        both = f"planned {most >> 20} MiB, measured {measured >> 20} MiB"
        if grows is not None and more > grows:
            warning = f"{provider.name} takes more of {where} than planned: {both}"
        elif memory == "cards" and less > 0:
            warning = f"{provider.name} takes less of {where} than planned: {both}"
    return EngineMemory(provider.name, memory, most, measured, detail, warning)


def _resident(processes: Collection[int], proc: Path) -> int | None:
    """Bytes that these processes have in main memory; None = there is none, or none that may be read."""
    found: list[int] = []
    for process in processes:
        try:
            found += [int(number) for number in _RESIDENT.findall(read_foreign(proc / str(process) / "status"))]
        except OSError:
            continue  # it has ended
    return sum(found) * 1024 if found else None
