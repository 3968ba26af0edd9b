"""Whether a host's graphics cards and their driver are what the stack needs. Pure."""

from __future__ import annotations

from roles.contract.state import HostState
from roles.plan import CardNeeds, HostPlan, memory_plan

_VENDORS = {"nvidia": "an NVIDIA", "amd": "an AMD"}
_OTHER_BUILDS = {
    "nvidia": 'give the servers builds for CUDA, and `gpus=Gpus(vendor="nvidia")`',
    "amd": 'give the servers `gpus=Gpus(vendor="amd")` and builds for it: for llama.cpp `backend` "hip" or '
    '"vulkan", for vLLM a `package` that is locked for ROCm',
}
"""What to do on a host whose cards are of that vendor, where another's are wanted."""


def card_problems(plan: HostPlan, state: HostState) -> list[str]:
    """What is missing, each with its fix."""
    problems: list[str] = []
    for vendor in sorted({gpus.vendor for gpus in plan.gpus}):
        wanted = {uuid for gpus in plan.gpus if gpus.vendor == vendor for uuid in gpus.uuids}
        if state.gpus.vendor == vendor and state.gpus.problem is None:
            there = ", ".join(state.gpus.cards) or "none"
            problems.extend(
                f"it has no GPU {uuid} (it has {there}): fix `uuids`" for uuid in sorted(wanted - set(state.gpus.cards))
            )
        else:
            problems.append(f"the stack needs {_VENDORS[vendor]} GPU: {_why_none(vendor, state)}")
    if state.gpus.problem is None:
        for needs in plan.card_needs:
            if needs.gpus.vendor == state.gpus.vendor:
                problems.extend(_lacking(needs, state))
    return [*dict.fromkeys(problems), *_memory_problems(plan, state)]


def _memory_problems(plan: HostPlan, state: HostState) -> list[str]:
    """Why the models do not fit on the cards, each with the arithmetic. On a host with several cards nobody knows where
    a server without `uuids` puts its model, and nothing is said."""
    if state.gpus.problem or (len(state.gpus.memory) > 1 and any(use.on_cards and not use.uuids for use in plan.uses)):
        return []
    plans = memory_plan(plan.uses, state.gpus.memory or plan.card_sizes, state.gpus.foreign)
    return [
        "\n        ".join([f"the models do not fit on {card.name or 'the card'}:", *card.table().split("\n")])
        for card in plans
        if card.problems()
    ]


def _why_none(vendor: str, state: HostState) -> str:
    found = state.gpus
    if found.problem is not None:
        return found.problem
    if found.vendor in _OTHER_BUILDS and found.cards:
        return f"it has {', '.join(sorted({*found.cards.values()}))} instead: {_OTHER_BUILDS[found.vendor]}"
    return "no such card and driver is found"


def _lacking(needs: CardNeeds, state: HostState) -> list[str]:
    found, problems = state.gpus, []
    if not needs.gpus.uuids and len(found.cards) < needs.count:
        problems.append(f"{needs.what} needs {needs.count} cards, and it has {len(found.cards)}: {needs.fewer}")
    if needs.driver and found.driver and _version(found.driver) < _version(needs.driver):
        problems.append(
            f"{needs.what} needs NVIDIA driver {needs.driver} or newer, and it has {found.driver}: install a newer "
            f"driver and reboot, or {needs.older}"
        )
    for uuid in needs.gpus.uuids or found.cards:
        capability = found.capabilities.get(uuid)
        if needs.capability and capability and _version(capability) < _version(needs.capability):
            problems.append(
                f"{needs.what} needs a card of compute capability {needs.capability} or newer, and {found.cards[uuid]} "
                f"({uuid}) has {capability}: {needs.instead}"
            )
    return problems


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
