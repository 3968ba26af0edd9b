"""How a claim becomes a check: it is tried and timed, and every way to fail gets a code and a message."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from roles.contract.verdict import Check
from roles.verify.verdict.codes import Code
from roles.verify.verdict.quoting import escaped

T = TypeVar("T")


class CannotCheck(Exception):
    """The claim could not be tried; the message says why. It makes a check unknown, not failed.

    Args:
        code: for what the doctor can explain; None = the message says all that is known.
    """

    def __init__(self, message: str, *, code: Code | None = None) -> None:
        super().__init__(message)
        self.code = code


class CheckFailed(Exception):
    """The claim is not true.

    Args:
        code: what kind of failure it is.
        message: what was seen instead, for people.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class CoolingDown(CheckFailed):
    """The claim is not true, maybe only for now: the gateway skipped the backend that should have answered."""


@dataclass(frozen=True)
class Problem:
    """One of several things that are wrong with an answer. The attributes are those of `CheckFailed`."""

    code: Code
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Claim:
    """A check before it is made. The attributes are those of `Check`."""

    id: str
    subject: str
    claim: str
    expected: str

    async def check(self, attempt: Awaitable[str]) -> Check:
        """The check that results from `attempt`.

        Args:
            attempt: returns what was seen if the claim is true, else raises `CheckFailed` or `CannotCheck`.
        """
        began = time.monotonic()
        ok: bool | None
        code: Code | None = None
        try:
            seen, ok = await attempt, True
        except CheckFailed as failed:
            seen, ok, code = str(failed), False, failed.code
        except CannotCheck as reason:
            seen, ok, code = str(reason), None, reason.code
        except Exception as error:
            seen, ok = unforeseen(error), None
        # What was seen may contain any name that a file, a process or a server has.
        return Check(
            id=self.id,
            subject=self.subject,
            claim=self.claim,
            expected=self.expected,
            seen=escaped(seen, keep="\n"),
            ok=ok,
            seconds=round(time.monotonic() - began, 3),
            code=code,
        )


async def or_reason(attempt: Awaitable[T]) -> T | CannotCheck:
    """What several checks need, or why it is not available: each of them then reports that."""
    try:
        return await attempt
    except CannotCheck as reason:
        return reason
    except Exception as error:
        return CannotCheck(unforeseen(error))


def unforeseen(error: Exception) -> str:
    """A defect of the verifier, or an unexpected state of the host. It affects only the check that met it; the message
    says where."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(place[0].filename).name}:{place[0].lineno})" if place else ""
    return f"cannot check: {type(error).__name__}: {error}{where}"
