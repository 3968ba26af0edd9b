"""How soon after a boot each route gives its first good answer, polled from the start."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from roles.verify.checks.routes import ask_plainly
from roles.verify.context import PROC, VerificationContext, gateway_client, runtime_folder
from roles.verify.generation import Generation
from roles.verify.verdict.claim import CannotCheck, CheckFailed

_PAUSE = 0.5
_MARGIN = 20.0
"""Seconds to wait for a first answer beyond the services' own start time-outs."""
_START_TIME_FIELD = 22
"""Of /proc/PID/stat, see proc(5): when the process started, in clock ticks since the machine's boot."""


async def first_answers(generation: Generation, *, proc: Path = PROC) -> Mapping[str, float | None]:
    """Route → seconds from the host's boot to its first good answer, at most half a second late; None = it gave none
    within the longest start time-out of the services. Without those whose answers may cost money.

    Args:
        proc: where the proc file system is mounted.
    """
    deadline = time.monotonic() + _MARGIN + max(service.start_timeout for service in generation.services)
    booted = _boot_time(proc)

    async with gateway_client() as client:
        context = VerificationContext(generation, client, runtime_folder(generation.scope))

        async def first(name: str) -> float | None:
            (route,) = [route for route in generation.routes if route.name == name]
            while time.monotonic() < deadline:
                try:
                    # The key may not be created or readable yet.
                    await ask_plainly(route, name, context)
                except (CheckFailed, CannotCheck):
                    await asyncio.sleep(_PAUSE)
                else:
                    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - booted, 1)
            return None

        names = [route.name for route in generation.routes if not route.is_metered]
        return dict(zip(names, await asyncio.gather(*(first(name) for name in names)), strict=True))


def _boot_time(proc: Path) -> float:
    """When the host's first process started, on CLOCK_BOOTTIME; for a container this is not the machine's boot."""
    # The second field is the command's name in parentheses, and may contain anything.
    fields = (proc / "1/stat").read_text().rpartition(")")[2].split()
    return int(fields[_START_TIME_FIELD - 3]) / os.sysconf("SC_CLK_TCK")
