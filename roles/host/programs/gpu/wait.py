"""The wait until GPUs are present, usable and free."""

from __future__ import annotations

import os
import time
from pathlib import Path

from roles.host.programs.gpu.cards import Card, Facts, Process
from roles.host.programs.gpu.facts import READERS
from roles.host.programs.gpu.kernel import has_display_device
from roles.host.programs.gpu.nvidia import NOT_PERMITTED, NVIDIA

LAST_LOOK_SECONDS = 20.0
"""Time for all queries after a wait is over. systemd gives units 30 seconds more than their wait."""
POLL_SECONDS = 1.0
NOTICE_SECONDS = 5.0
"""Pause between two lines that say what the wait is for."""


class GpuError(Exception):
    """The wanted cards are not available: the message names what, where and how to fix it."""


def wait(
    vendor: str,
    uuids: list[str],
    free_share: float | None,
    timeout: float,
    *,
    root: Path = Path("/"),
    poll: float = POLL_SECONDS,
    notice: float = NOTICE_SECONDS,
) -> None:
    """Return once the wanted cards are present, usable, and free enough.

    Args:
        vendor: `nvidia` or `amd`.
        uuids: the wanted cards, all of them; empty = all usable ones, at least one.
        free_share: share of each wanted card's memory that must be free; none = any. vLLM does not start unless its
            gpu_memory_utilization is free, and the memory of a killed server stays in use for a while.
        timeout: seconds; a check that is under way then may take `LAST_LOOK_SECONDS` more.

    Raises:
        GpuError: the timeout is over, or waiting is pointless.
    """
    started = time.monotonic()
    said = None
    while True:
        # The last check explains a failure. It must be able to say who uses the memory, on a slow host too.
        end = max(started + timeout, time.monotonic() + LAST_LOOK_SECONDS)
        found = READERS[vendor](root, end)
        lack = _host_lack(vendor, found, root) or _cards_lack(found, uuids, free_share)
        elapsed = time.monotonic() - started
        if lack is None:
            names = ", ".join(map(_name, _wanted(found, uuids)))
            print(f"the GPU is ready ({names}), after {elapsed:.0f} s", flush=True)
            return
        if lack.hopeless:
            raise GpuError(lack.message)
        if elapsed >= timeout:
            raise GpuError(f"waited {elapsed:.0f} s for the GPU: {lack.message}")
        if said is None or elapsed - said >= notice:
            said = elapsed
            print(f"waiting for the GPU, {elapsed:.0f} of at most {timeout:.0f} s: {lack.message}", flush=True)
        time.sleep(min(poll, timeout - elapsed))


class _Lack:
    """What is still missing; `hopeless` = waiting does not help."""

    def __init__(self, message: str, hopeless: bool = False) -> None:
        self.message = message
        self.hopeless = hopeless


def _host_lack(vendor: str, found: Facts, root: Path) -> _Lack | None:
    if found["problem"]:
        return _Lack(found["problem"], not found["driver"]["agree"] or found["problem"] == NOT_PERMITTED)
    if not found["cards"]:
        if vendor == "amd":
            return _Lack(
                "the kernel shows no AMD GPU that can compute (/sys/class/kfd): is the module `amdgpu` loaded "
                "(`modprobe amdgpu`), and does a unit's DeviceAllow= let it through?"
            )
        return _Lack("the host shows no NVIDIA card: is it in `lspci`, and is a driver installed?")
    # Without this device file nvidia-smi works, but CUDA does not. Jetson and WSL have none; their GPU is on no PCI
    # bus.
    if vendor == "nvidia" and has_display_device(root, NVIDIA):
        return _device_file_lack(root / "dev/nvidia-uvm")
    return None


def _device_file_lack(node: Path) -> _Lack | None:
    try:
        os.close(os.open(node, os.O_RDWR))
    except PermissionError:
        return _Lack(NOT_PERMITTED, hopeless=True)
    except OSError as error:
        return _Lack(
            f"CUDA's device file {node} cannot be used ({error.strerror}): `nvidia-modprobe -u -c 0` as root makes "
            "it, once after each boot"
        )
    return None


def _cards_lack(found: Facts, uuids: list[str], free_share: float | None) -> _Lack | None:
    here = [card["uuid"] for card in found["cards"]]
    missing = [uuid for uuid in uuids if uuid not in here]
    if missing:
        return _Lack(
            f"{', '.join(missing)} is not among the cards of this host ({', '.join(map(_name, found['cards']))}). If a "
            "card was changed, name the new one in the inventory"
        )
    wanted = _wanted(found, uuids)
    lacks = [f"{_name(card)}: {card['problem']}" for card in wanted if card["problem"]]
    if not lacks and free_share is not None:
        lacks = [lack for card in wanted if (lack := _memory_lack(card, free_share))]
    return _Lack("; ".join(lacks)) if lacks else None


def _wanted(found: Facts, uuids: list[str]) -> list[Card]:
    if uuids:
        return [card for card in found["cards"] if card["uuid"] in uuids]
    return [card for card in found["cards"] if not card["problem"]] or found["cards"]


def _memory_lack(card: Card, free_share: float) -> str | None:
    total, free = card["memory_total"], card["memory_free"]
    if total is None or free is None:
        return f"{_name(card)}: the driver does not say how much of its memory is free; wait without --free-share"
    if free >= total * free_share:
        return None
    holders = ", ".join(map(_holder, card["processes"]))
    return (
        f"{_name(card)}: {_gibibytes(free)} of {_gibibytes(total)} are free and {_gibibytes(total * free_share)} are "
        f"wanted; {'held by ' + holders if holders else 'no process is shown that holds the rest'}. "
        "Stop what holds it, or ask for a smaller share"
    )


def _name(card: Card) -> str:
    return f"GPU {card['index']} ({card['name']}, {card['uuid'] or card['pci']})"


def _holder(process: Process) -> str:
    memory = "of unknown size" if process["memory"] is None else _gibibytes(process["memory"])
    return f"{process['name'] or 'a process of another user'} (pid {process['pid']}, {memory})"


def _gibibytes(size: float) -> str:
    return f"{size / (1 << 30):.1f} GiB"
