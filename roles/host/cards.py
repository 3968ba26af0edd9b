"""Whether a host's graphics cards, their driver and its main memory are what the stack needs. Pure."""

from __future__ import annotations

from roles.contract.state import HostState
from roles.host.state import SHARED_MEMORY
from roles.host.supported import CONTAINERS
from roles.options import Gpus
from roles.plan import MEGABYTE, CardNeeds, HostPlan, memory_plan

_VENDORS = {"nvidia": "an NVIDIA", "amd": "an AMD"}
_OTHER_BUILDS = {
    "nvidia": 'give the servers builds for CUDA, and `gpus=Gpus(vendor="nvidia")`',
    "amd": 'give the servers `gpus=Gpus(vendor="amd")` and builds for it: for llama.cpp `backend` "hip" or '
    '"vulkan", for vLLM a `package` that is locked for ROCm, for Ollama the release\'s `rocm` archive',
}
"""What to do on a host whose cards are of that vendor, where another's are wanted."""
_NUMBERS = {"nvidia": "10de", "amd": "1002"}
"""The vendors' numbers on the PCI bus."""
_WSL = (
    "it runs in WSL, which hands out cards by /dev/dxg, and units of the stack may open no device files but those of "
    "the vendors' drivers: install Linux on the machine itself, or set `gpus` to None and compute on the processor"
)
_FIRST_TOOLKITS = (("12.0", "12.8"), ("10.0", "12.8"), ("8.9", "11.8"), ("8.6", "11.1"), ("8.0", "11.0"), ("0", "0"))
"""Compute capability → the first CUDA that compiles for it, and for those below the next. Source: NVIDIA's CUDA Toolkit
Release Notes."""
_LEFT_OUT = (("13.0", "7.5"), ("12.0", "5.0"), ("11.0", "3.5"), ("0", "0"))
"""CUDA → the lowest compute capability that it and what follows it compile for. Likewise."""


def card_problems(plan: HostPlan, state: HostState) -> list[str]:
    """What is missing, each with its fix."""
    if plan.gpus and state.system.container == "wsl":
        return [_WSL]
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
        for gpus in plan.gpus:
            if gpus.vendor == state.gpus.vendor:
                problems.extend(_unusable(gpus, state))
        problems.extend(_crowded(plan, state))
        for needs in plan.card_needs:
            if needs.gpus.vendor == state.gpus.vendor:
                problems.extend(_lacking(needs, state))
    return list(dict.fromkeys(problems))


def memory_problems(plan: HostPlan, state: HostState) -> list[str]:
    """Why the models do not fit on the cards or into main memory, each with the arithmetic and with what would."""
    return [*_of_cards(plan, state), *_of_main_memory(plan, state)]


def _of_cards(plan: HostPlan, state: HostState) -> list[str]:
    """Empty = they fit, or nobody knows. On a host with several cards nobody knows where
    a server without `uuids` puts its model, and nothing is said."""
    if state.gpus.problem or (len(state.gpus.memory) > 1 and any(use.on_cards and not use.uuids for use in plan.uses)):
        return []
    plans = memory_plan(plan.uses, state.gpus.memory or plan.card_sizes, state.gpus.foreign)
    return [
        "\n        ".join([f"the models do not fit on {card.name or 'the card'}:", *card.table().split("\n")])
        for card in plans
        if card.problems()
    ]


def _of_main_memory(plan: HostPlan, state: HostState) -> list[str]:
    found = plan.main_memory_plan(state.main_memory)
    if found.fits:
        return []
    return ["\n        ".join(["the models do not fit into main memory:", *found.table().split("\n")])]


def _why_none(vendor: str, state: HostState) -> str:
    found = state.gpus
    if found.problem is not None and found.vendor in (None, vendor):
        return found.problem
    if found.vendor in _OTHER_BUILDS and found.cards:
        return f"it has {', '.join(sorted({*found.cards.values()}))} instead: {_OTHER_BUILDS[found.vendor]}"
    if kind := state.system.container:
        return (
            f"no such card and driver is found. It is a container ({CONTAINERS.get(kind, kind)}): its host has to have "
            "the driver, and to pass the card's device files"
        )
    return (
        f"no such card and driver is found: `lspci -nn -d {_NUMBERS[vendor]}:` shows whether it has one; to a virtual "
        "machine its host has to pass it"
    )


def _usable(gpus: Gpus, state: HostState) -> list[str]:
    """UUIDs of the cards that a server may use, without those that cannot be used as long as there is another."""
    wanted = [uuid for uuid in state.gpus.cards if not gpus.uuids or uuid in gpus.uuids]
    whole = [uuid for uuid in wanted if uuid not in state.gpus.problems]
    return wanted if gpus.uuids else whole


def _unusable(gpus: Gpus, state: HostState) -> list[str]:
    """Cards that a server needs and cannot use. Without `uuids` it takes those that it can."""
    if not gpus.uuids and _usable(gpus, state):
        return []
    found = state.gpus
    return [
        f"{found.cards[uuid]} ({uuid}) cannot be used: {problem}"
        for uuid, problem in found.problems.items()
        if not gpus.uuids or uuid in gpus.uuids
    ]


def _crowded(plan: HostPlan, state: HostState) -> list[str]:
    """Cards that several servers share, and on which one process alone may compute."""
    problems = []
    for uuid in state.gpus.exclusive:
        count = sum(uuid in _usable(gpus, state) for gpus in plan.gpus if gpus.vendor == state.gpus.vendor)
        if count > 1:
            problems.append(
                f"{state.gpus.cards[uuid]} ({uuid}) is in the compute mode Exclusive_Process, for one process alone, "
                f"and {count} servers share it: `nvidia-smi -i {uuid} -c 0` as root, also after boots"
            )
    return problems


def _lacking(needs: CardNeeds, state: HostState) -> list[str]:
    found, problems, cards = state.gpus, [], _usable(needs.gpus, state)
    if not needs.gpus.uuids and len(cards) < needs.count > 1:
        usable = " that can be used" if len(cards) < len(found.cards) else ""
        problems.append(f"{needs.what} needs {needs.count} cards, and it has {len(cards)}{usable}: {needs.fewer}")
    shared = state.disks.get(SHARED_MEMORY)
    if needs.shared_memory and shared and shared.free < needs.shared_memory:
        problems.append(
            f"{needs.what} needs {needs.shared_memory // MEGABYTE} MB in {SHARED_MEMORY}, through which they talk, and "
            f"{shared.free // MEGABYTE} MB are free: `mount -o remount,size=8G {SHARED_MEMORY}` as root, and that in "
            "/etc/fstab; of a container its host sets the size"
        )
    if needs.driver and found.driver and _version(found.driver) < _version(needs.driver):
        problems.append(
            f"{needs.what} needs NVIDIA driver {needs.driver} or newer, and it has {found.driver}: install a newer "
            "driver and reboot (Debian 12 has 535 and Debian 13 has 550, NVIDIA's own repository has newer ones), or "
            f"{needs.older}"
        )
    if needs.toolkit is not None:
        problems.extend(_toolkit_problems(needs, needs.toolkit, state))
    for uuid in cards:
        capability = found.capabilities.get(uuid)
        if needs.capability and capability and _version(capability) < _version(needs.capability):
            problems.append(
                f"{needs.what} needs a card of compute capability {needs.capability} or newer, and {found.cards[uuid]} "
                f"({uuid}) has {capability}: {needs.instead}"
            )
    return problems


def _toolkit_problems(needs: CardNeeds, toolkit: str, state: HostState) -> list[str]:
    """What is wrong with the CUDA toolkit of the host that is to compile something."""
    found = state.gpus
    version = state.toolkits.get(toolkit)
    where = toolkit or "the host"
    if version is None:
        place = f"bin/nvcc in {toolkit}" if toolkit else "nvcc on PATH or in /usr/local/cuda/bin"
        newest = f", no newer than CUDA {found.cuda}, which the driver runs" if found.cuda else ""
        return [f"{needs.what} needs a CUDA toolkit, and there is no {place}: install one{newest}; or {needs.older}"]
    problems = []
    if found.cuda and _version(version)[0] > _version(found.cuda)[0]:
        problems.append(
            f"{needs.what} is to be compiled with CUDA {version} of {where}, and its driver ({found.driver}) runs CUDA "
            f"{_version(found.cuda)[0]} at most: install a newer driver and reboot, or an older toolkit"
        )
    for uuid in _usable(needs.gpus, state) if needs.compiles_for else ():
        capability = found.capabilities.get(uuid)
        if not capability:
            continue
        card = f"{found.cards[uuid]} ({uuid}, compute capability {capability})"
        oldest = next(oldest for least, oldest in _FIRST_TOOLKITS if _version(capability) >= _version(least))
        if _version(version) < _version(oldest):
            problems.append(
                f"{needs.what} is to be compiled with CUDA {version} of {where}, which does not know {card} yet: "
                f"install CUDA {oldest} or newer, or {needs.older}"
            )
        lowest = next(lowest for first, lowest in _LEFT_OUT if _version(version) >= _version(first))
        if _version(capability) < _version(lowest):
            problems.append(
                f"{needs.what} is to be compiled with CUDA {version} of {where}, which no longer knows {card}: install "
                "an older toolkit, or take another card"
            )
    return problems


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())
