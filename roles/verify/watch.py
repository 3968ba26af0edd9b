"""What a verification by the timer publishes: metrics to fetch, and a message when the status changes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from roles.contract.generation import HOST_LOCK
from roles.contract.verdict import Check, Verdict

WEBHOOK_VARIABLE = "AI_BACKEND_WEBHOOK"
_TRIES = 3
_TIMEOUT = 10.0
"""Seconds for one try."""
_MOST_CHECKS = 20
"""Checks that are named to the webhook; of further ones only the number."""

_LONGEST_WAIT = 600.0
"""Seconds, in all, for which steps of a deploy may delay a verdict that does not pass."""
_VERIFICATIONS = 3
_PAUSE = 1.0


class NotDelivered(Exception):
    """The webhook was not reached; the message says why, without its address, which is a secret."""


def settled(verify: Callable[[], Verdict], state: Path) -> Verdict:
    """A verdict while no deploy is changing the host. If it does not pass while a deploy step restarts units, it is not
    meaningful: the verification is repeated when that step has ended, up to two times.

    Args:
        state: the host's state folder.
    """
    lock, deadline = state / HOST_LOCK, time.monotonic() + _LONGEST_WAIT
    for _ in range(_VERIFICATIONS - 1):
        began, step = _is_held(lock), _written(lock)
        verdict = verify()
        if verdict.status == "pass" or not (began or _is_held(lock) or _written(lock) != step):
            return verdict
        while _is_held(lock) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        if time.monotonic() >= deadline:
            return verdict
    return verify()


def _is_held(lock: Path) -> bool:
    """Whether a process of a deploy is working on the host."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Released at once. A step that begins just then waits for a moment.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _written(lock: Path) -> int:
    """When a step last began, in nanoseconds."""
    try:
        return lock.stat().st_mtime_ns
    except OSError:
        return 0


def has_changed(verdict: Verdict, earlier: Sequence[Verdict]) -> bool:
    """Whether the status changed between passing and not passing. Without earlier verdicts, passing is expected.

    A speed counts only between two that measured it: of a route that was slow at night, nothing says that it is well.
    """
    before = earlier[-1] if earlier else None
    if before and not any(map(_is_speed, verdict.checks)):
        before = replace(before, checks=tuple(check for check in before.checks if not _is_speed(check)))
    passed = before.status == "pass" if before else True
    return (verdict.status == "pass") != passed


def _is_speed(check: Check) -> bool:
    return check.group == "route" and check.id.endswith("/speed")


def notify(verdict: Verdict, url: str) -> None:
    """Sends the verdict to the webhook.

    Raises:
        NotDelivered: it was not accepted.
    """
    problem = ""
    for _ in range(_TRIES):
        try:
            with httpx.Client(timeout=_TIMEOUT) as client:
                response = client.post(url, json=_message(verdict))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = type(error).__name__
            continue
        if response.is_success:
            return
        problem = f"status {response.status_code}"
    raise NotDelivered(f"the webhook could not be notified ({problem})")


def webhook() -> str | None:
    return os.environ.get(WEBHOOK_VARIABLE)


def _message(verdict: Verdict) -> dict[str, Any]:
    wrong = [check for check in verdict.checks if not check.ok]
    return {
        "host": verdict.host,
        "status": verdict.status,
        "time": verdict.time,
        "generation": verdict.generation,
        # Chat services show the key of this name as it is.
        "text": verdict.summary,
        "checks": [
            {"id": check.id, "seen": check.seen, "cause": check.causes[0].cause if check.causes else None}
            for check in wrong[:_MOST_CHECKS]
        ],
        "more_checks": max(0, len(wrong) - _MOST_CHECKS),
    }
