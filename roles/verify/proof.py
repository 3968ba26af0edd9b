"""How a claim becomes a check: it is tried, timed, and every way to fail is put in words."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass

from roles.verify.verdict import Check


class CannotCheck(Exception):
    """The claim could not be tried; the message says why. It makes a check unknown, not failed."""


class Refuted(Exception):
    """The claim does not hold; the message says what was seen instead."""


class Resting(Refuted):
    """The claim does not hold, maybe only for now: the gateway passed over the backend that should have answered."""


@dataclass(frozen=True)
class Claim:
    """A check before it is made. The attributes are those of `Check`."""

    id: str
    subject: str
    claim: str
    expected: str

    async def prove(self, attempt: Awaitable[str]) -> Check:
        """The check that `attempt` makes of it.

        Args:
            attempt: gives what was seen when the claim holds, else raises `Refuted` or `CannotCheck`.
        """
        began = time.monotonic()
        ok: bool | None
        try:
            seen, ok = await attempt, True
        except Refuted as refuted:
            seen, ok = str(refuted), False
        except CannotCheck as reason:
            seen, ok = str(reason), None
        seconds = round(time.monotonic() - began, 3)
        return Check(self.id, self.subject, self.claim, self.expected, seen, ok, seconds)
