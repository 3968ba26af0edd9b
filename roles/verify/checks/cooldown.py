"""Distinguishes a broken backend from one that the gateway only cools down.

After a failure LiteLLM skips a deployment for its cooldown, although it may be well again: for example if clients sent
requests while it restarted. Until then its route is answered by a fallback or with 429, which is not a failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from roles.verify.verdict.claim import CoolingDown

_MARGIN = 3.0
"""Seconds beyond the cooldown: the failure that began it may come from a request that was still in progress."""
_PAUSE = 1.0


async def outlast_cooldown(
    ask: Callable[[], Awaitable[str]], is_well: Callable[[], Awaitable[bool]], cooldown: float
) -> str:
    """What `ask` sees, asked again while the backend itself `is_well`, until `cooldown` seconds after it first was.

    The first answer may have taken long, and started the cooldown itself: a gateway that has just started is slow.

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
            # Not sooner: after a used-up request limit, that it is well may be visible only in the next minute.
            deadline = deadline or time.monotonic() + cooldown + _MARGIN
        await asyncio.sleep(_PAUSE)
