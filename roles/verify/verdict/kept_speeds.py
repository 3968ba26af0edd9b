"""The speeds of routes as they were last measured, in one file of the host's state: kept verdicts are dropped within a
day, and a speed is measured more rarely."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from roles.contract.verdict import RouteSpeed
from roles.verify.verdict.writing import write_whole

SPEEDS = "speeds.json"
"""The file, below the state folder."""

_SPEEDS = TypeAdapter(tuple[RouteSpeed, ...])


def read_speeds(state: Path) -> tuple[RouteSpeed, ...]:
    """One for each route that was ever measured; none, if the file cannot be read."""
    try:
        return _SPEEDS.validate_json((state / SPEEDS).read_bytes())
    except (OSError, ValidationError):
        return ()


def keep_speeds(measured: tuple[RouteSpeed, ...], state: Path) -> None:
    """Keeps them in place of the earlier ones of the same routes.

    Raises:
        OSError: the file could not be written; what was there is still there.
    """
    speeds = {each.route: each for each in (*read_speeds(state), *measured)}
    text = json.dumps([asdict(each) for each in speeds.values()], ensure_ascii=False)
    write_whole(f"{text}\n", state / SPEEDS)
