"""How a claim becomes a check: it is tried, timed, and every way to fail is put in words."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from roles.contract.verdict import Check
from roles.verify.verdict.quoting import escaped

T = TypeVar("T")


class CannotCheck(Exception):
    """The claim could not be tried; the message says why. It makes a check unknown, not failed."""


class CheckFailed(Exception):
    """The claim does not hold; the message says what was seen instead."""


class CoolingDown(CheckFailed):
    """The claim does not hold, maybe only for now: the gateway passed over the backend that should have answered."""


@dataclass(frozen=True)
class Claim:
    """A check before it is made. The attributes are those of `Check`."""

    id: str
    subject: str
    claim: str
    expected: str

    async def check(self, attempt: Awaitable[str]) -> Check:
        """The check that `attempt` makes of it.

        Args:
            attempt: gives what was seen when the claim holds, else raises `CheckFailed` or `CannotCheck`.
        """
        began = time.monotonic()
        ok: bool | None
        try:
            seen, ok = await attempt, True
        except CheckFailed as failed:
            seen, ok = str(failed), False
        except CannotCheck as reason:
            seen, ok = str(reason), None
        except Exception as error:
            seen, ok = unforeseen(error), None
        seconds = round(time.monotonic() - began, 3)
        # What was seen may hold whatever a file, a process or a server calls itself.
        return Check(self.id, self.subject, self.claim, self.expected, escaped(seen, keep="\n"), ok, seconds)


async def or_reason(attempt: Awaitable[T]) -> T | CannotCheck:
    """What several checks need to know, or why that cannot be had: it is for each of them to say so."""
    try:
        return await attempt
    except CannotCheck as reason:
        return reason
    except Exception as error:
        return CannotCheck(unforeseen(error))


def unforeseen(error: Exception) -> str:
    """A defect of the verifier, or something on the host that nobody thought of. It costs the check that met it and no
    other, and tells where it was met."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(place[0].filename).name}:{place[0].lineno})" if place else ""
    return f"cannot check: {type(error).__name__}: {error}{where}"
