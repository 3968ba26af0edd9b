"""The facts about a host's GPUs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from roles.host.programs.gpu.amd import AMD, amd_cards
from roles.host.programs.gpu.cards import Facts, no_cards
from roles.host.programs.gpu.kernel import FOR_MACHINES, display_devices, read_text
from roles.host.programs.gpu.nvidia import NVIDIA, nvidia_cards

READERS: Mapping[str, Callable[[Path, float], Facts]] = {"nvidia": nvidia_cards, "amd": amd_cards}
"""By vendor: reads its cards. Takes where /proc, /sys and /dev are, and the deadline for all queries, in seconds of the
monotonic clock."""


def facts(root: Path = Path("/")) -> Facts:
    """The GPUs of one vendor: NVIDIA's if there are any, or AMD's.

    Args:
        root: where /proc, /sys and /dev are. Programs are found on PATH.
    """
    for vendor, read in READERS.items():
        found = read(root, math.inf)
        if found["vendor"] == vendor:
            return found
    return _unusable(root)


def _unusable(root: Path) -> Facts:
    """Why no card can be used, where the kernel shows one."""
    if "tegra" in (read_text(root / "proc/device-tree/compatible") or ""):
        return _without(
            None,
            "it is a Jetson, whose GPU has other device files (/dev/nvmap, /dev/nvhost-*) than the units may open: "
            "take a host with a card, or leave `gpus` out and compute on the processor",
        )
    for vendor, number in (("NVIDIA", NVIDIA), ("AMD", AMD)):
        devices = display_devices(root, number)
        aside = [address for address, driver in devices.items() if driver == FOR_MACHINES]
        if aside:
            return _without(
                None,
                f"its {vendor} card ({', '.join(aside)}) is set aside for virtual machines ({FOR_MACHINES}): deploy to "
                "the machine that has it; or give it back to this host (`grep -r vfio /etc/modprobe.d /proc/cmdline` "
                "shows what sets it aside) and reboot",
            )
    if devices:
        drivers = ", ".join(sorted({driver or "none" for driver in devices.values()}))
        return _without(
            "amd",
            f"the kernel does not offer its AMD card ({', '.join(devices)}, driver: {drivers}) for computing "
            "(/sys/class/kfd): `modprobe amdgpu` as root, and `journalctl -k -g amdgpu` says why if it cannot. In a "
            "container its host has to pass /dev/kfd and /dev/dri",
        )
    return no_cards()


def _without(vendor: str | None, problem: str) -> Facts:
    return {**no_cards(), "vendor": vendor, "problem": problem}
