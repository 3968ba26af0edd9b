"""Whether a host's graphics cards and their driver are what the stack needs. Pure."""

from __future__ import annotations

from roles.contract.state import HostState
from roles.plan import CardNeeds, HostPlan

_VENDORS = {"nvidia": "an NVIDIA", "amd": "an AMD"}


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
            found = state.gpus.problem or "no such card and driver is found"
            problems.append(f"the stack needs {_VENDORS[vendor]} GPU: {found}")
    if state.gpus.problem is None:
        for needs in plan.card_needs:
            if needs.gpus.vendor == state.gpus.vendor:
                problems.extend(_too_old(needs, state))
    return list(dict.fromkeys(problems))


def _too_old(needs: CardNeeds, state: HostState) -> list[str]:
    found, problems = state.gpus, []
    if found.driver and _version(found.driver) < _version(needs.driver):
        problems.append(
            f"{needs.what} needs NVIDIA driver {needs.driver} or newer, and it has {found.driver}: install a newer "
            "driver and reboot, or give `package` a build for an older CUDA"
        )
    for uuid in needs.gpus.uuids or found.cards:
        capability = found.capabilities.get(uuid)
        if capability and _version(capability) < _version(needs.capability):
            problems.append(
                f"{needs.what} needs a card of compute capability {needs.capability} or newer, and {found.cards[uuid]} "
                f"({uuid}) has {capability}: {needs.instead}"
            )
    return problems


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
