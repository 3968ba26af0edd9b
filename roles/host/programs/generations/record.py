"""The history of a host: one JSON object per line for each event of a generation. Nothing in it is secret."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roles.contract.requests import Outcome, RecordVerdict
from roles.host.programs.console import say
from roles.host.programs.files import write_atomic
from roles.host.programs.generations.kept import history_file, read_history

KEPT_EVENTS = 200
_REASON_LENGTH = 300


def main(request: RecordVerdict) -> None:
    """Record the result of a generation's verification."""
    note_verdict(request.state, request.who, request.generation, request.verdict)


def note(state: str, event: str, generation: str, who: str, **more: Any) -> None:
    """Append an event.

    Args:
        event: `refused` (before the switch), `activated`, `failed` (did not come up), `verified` or `rolled back`
            (activated again).
        who: who ran it: user@machine.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = {"time": now, "event": event, "generation": generation, "who": who, **more}
    found, damaged = read_history(state)
    kept = [*found, line][-KEPT_EVENTS:]
    file = history_file(state)
    try:
        if damaged or file.is_dir():
            _set_aside(file, damaged)
        write_atomic(file, "".join(f"{json.dumps(each)}\n" for each in kept).encode(), 0o644)
    except OSError as error:
        # On a full disk, going back matters more than the record of it.
        say(f"{file} could not be written: {error.strerror}")


def _set_aside(file: Path, damaged: int) -> None:
    """Keep a copy of a file that is about to be rewritten, so that its damaged lines can still be examined."""
    aside = file.with_name(f"{file.name}.damaged-{secrets.token_hex(4)}")
    if file.is_dir():
        file.rename(aside)
        say(f"{file} was a folder: moved to {aside.name}")
    else:
        aside.hardlink_to(file.resolve())
        say(f"{file}: {damaged} of its lines cannot be read; the others are kept, the whole file as {aside.name}")


def note_verdict(state: str, who: str, generation: str, verdict: Outcome) -> None:
    """Append the result of a verification."""
    note(
        state,
        "verified",
        generation,
        who,
        verdict=verdict.status,
        summary=verdict.summary,
        seconds=verdict.seconds,
    )


def first_line(reason: str) -> str:
    """A reason without the log lines that may follow, whatever a service wrote into them."""
    return reason.partition("\n")[0].removesuffix(". It said last:")[:_REASON_LENGTH]
