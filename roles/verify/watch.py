"""What a verification by the timer leaves behind: a line of metrics for others to fetch, and word of a change."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from roles.contract.verdict import Verdict

WEBHOOK_VARIABLE = "AI_BACKEND_WEBHOOK"
_TRIES = 3
_TIMEOUT = 10.0
"""Seconds for one try."""
_MOST_CHECKS = 20
"""Checks that are named to the webhook; of more the number alone."""


_TURN = "turn"
"""In the state folder: whoever changes something on the host holds a lock of the kernel's on it, which ends with the
process. A folder that somebody has left there says nothing."""
_LONGEST_WAIT = 600.0
"""Seconds for which the steps of a deploy may hold up a verdict that does not hold, all together."""
_VERIFICATIONS = 3
_PAUSE = 1.0


class NotTold(Exception):
    """The webhook was not reached; the message says why, without its address, which is a secret."""


def settled(verify: Callable[[], Verdict], state: Path) -> Verdict:
    """A verdict of a host at rest. One that does not hold, while a step of a deploy restarts what it is about, says
    nothing: it is made again when that step has ended, up to two times.

    Args:
        state: the host's state folder.
    """
    turn, deadline = state / _TURN, time.monotonic() + _LONGEST_WAIT
    for _ in range(_VERIFICATIONS - 1):
        began, step = _is_held(turn), _written(turn)
        verdict = verify()
        if verdict.status == "pass" or not (began or _is_held(turn) or _written(turn) != step):
            return verdict
        while _is_held(turn) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        if time.monotonic() >= deadline:
            return verdict
    return verify()


def _is_held(turn: Path) -> bool:
    """Whether a process is at work on the host, for a deploy."""
    try:
        descriptor = os.open(turn, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Let go of at once. A step that begins just then waits for a moment.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _written(turn: Path) -> int:
    """When a step last began: nanoseconds."""
    try:
        return turn.stat().st_mtime_ns
    except OSError:
        return 0


def has_changed(verdict: Verdict, earlier: Sequence[Verdict]) -> bool:
    """Whether the host holds now and did not before, or the other way round. One that nobody knows yet is to hold."""
    held = earlier[-1].status == "pass" if earlier else True
    return (verdict.status == "pass") != held


def tell(verdict: Verdict, url: str) -> None:
    """Tell the webhook.

    Raises:
        NotTold: it did not take it.
    """
    problem = ""
    for _ in range(_TRIES):
        try:
            with httpx.Client(timeout=_TIMEOUT) as client:
                response = client.post(url, json=_told(verdict))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = type(error).__name__
            continue
        if response.is_success:
            return
        problem = f"status {response.status_code}"
    raise NotTold(f"the webhook could not be told ({problem})")


def webhook() -> str | None:
    return os.environ.get(WEBHOOK_VARIABLE)


def _told(verdict: Verdict) -> dict[str, Any]:
    wrong = [check for check in verdict.checks if not check.ok]
    return {
        "host": verdict.host,
        "status": verdict.status,
        "time": verdict.time,
        "generation": verdict.generation,
        # Chat services show a key of this name as it is.
        "text": verdict.summary,
        "checks": [
            {"id": check.id, "seen": check.seen, "cause": check.causes[0].cause if check.causes else None}
            for check in wrong[:_MOST_CHECKS]
        ],
        "more_checks": max(0, len(wrong) - _MOST_CHECKS),
    }
