"""Telling a backend that is broken from one that the gateway merely lets rest.

LiteLLM passes over a deployment for its cool-down after a failure, although it may be well again: say, since clients
asked while it was restarted. For so long its route is answered by a fallback or with 429, and that is no fault.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from roles.verify.verdict.claim import CoolingDown

_MARGIN = 3.0
"""Seconds beyond the cool-down: the failure that began it may come from a request that was under way."""
_PAUSE = 1.0


async def outlast_cooldown(
    ask: Callable[[], Awaitable[str]], is_well: Callable[[], Awaitable[bool]], cooldown: float
) -> str:
    """What `ask` sees, asked again while the backend itself `is_well`, until `cooldown` seconds after it first was.

    The first answer may have been long in coming, and begun the cool-down itself: a gateway that has just started is
    slow.

    Raises:
        CheckFailed: what `ask` saw last.
    """
    deadline: float | None = None
    while True:
        try:
            return await ask()
        except CoolingDown:
            if (deadline and time.monotonic() > deadline) or not await is_well():
                raise
            # Not sooner: where a limit of requests is used up, that it is well may be seen in the next minute only.
            deadline = deadline or time.monotonic() + cooldown + _MARGIN
        await asyncio.sleep(_PAUSE)
