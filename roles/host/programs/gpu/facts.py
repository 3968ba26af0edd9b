"""The facts about a host's GPUs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from roles.host.programs.gpu.amd import amd_cards
from roles.host.programs.gpu.cards import Facts, no_cards
from roles.host.programs.gpu.nvidia import nvidia_cards

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
    return no_cards()
