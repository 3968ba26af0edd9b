"""The speeds of routes, generation by generation, in one file of the host's state: kept verdicts are dropped within a
day, and a speed is measured more rarely."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from roles.contract.speeds import SPEEDS, KeptSpeed
from roles.contract.verdict import Verdict
from roles.verify.verdict.writing import write_whole

_MOST = 500
"""Speeds in the file: of ten routes those of fifty generations, some 300 kB."""

_SPEEDS = TypeAdapter(tuple[KeptSpeed, ...])


def read_speeds(state: Path) -> tuple[KeptSpeed, ...]:
    """One for each route and generation, the one measured last at the end; none, if the file cannot be read."""
    try:
        return _SPEEDS.validate_json((state / SPEEDS).read_bytes())
    except (OSError, ValidationError):
        return ()


def compared_with(kept: Sequence[KeptSpeed], generation: str, route: str) -> KeptSpeed | None:
    """What a route's speed is to be compared with: with itself in this generation, else in the last one that passed. So
    a generation that was taken back is compared, when it is tried again, with the one before it."""
    good = [each for each in kept if each.last.route == route and each.good]
    own = [each for each in good if each.generation == generation]
    found = own or good
    return found[-1] if found else None


def keep_speeds(verdict: Verdict, state: Path) -> None:
    """Adds the speeds of a verdict, but for those that were measured beside requests of others: they say less.

    Raises:
        OSError: the file could not be written; what was there is still there.
    """
    passed = verdict.of_the_stack().status == "pass"
    kept = {(each.generation, each.last.route): each for each in read_speeds(state)}
    for speed in verdict.speeds:
        if not speed.others:
            old = kept.pop((verdict.generation, speed.route), None)
            good = old.good if old else None
            # What was named as slower is not what the next one is compared with.
            if passed and not (good and speed.slower):
                good = speed
            kept[verdict.generation, speed.route] = KeptSpeed(
                generation=verdict.generation, time=verdict.time, last=speed, good=good
            )
    text = json.dumps([asdict(each) for each in kept.values()][-_MOST:], ensure_ascii=False)
    write_whole(f"{text}\n", state / SPEEDS)
