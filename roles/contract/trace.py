"""What a host's journal has about one request to the endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

from roles.contract.generation import Scope
from roles.contract.requests import Request

FRONT_UNIT = "ai-backend-front.service"
"""The gateway's front, which clients talk to. It writes a line of JSON for each request."""


@dataclass(frozen=True, kw_only=True)
class FindRequest(Request):
    """Print what these units logged under a request's id, as JSON.

    Attributes:
        id: letters, digits, `-` and `_` alone.
        units: those that log ids.
        front: the one among them that logs each request.
    """

    program = "trace"

    scope: Scope
    id: str
    units: tuple[str, ...]
    front: str


@dataclass(frozen=True, kw_only=True)
class LoggedLine:
    """A line of the journal.

    Attributes:
        time: when it was logged: ISO 8601, UTC, milliseconds.
        unit: who logged it.
    """

    time: str
    unit: str
    text: str


@dataclass(frozen=True, kw_only=True)
class FoundRequest:
    """
    Attributes:
        lines: what has the id in it, oldest first.
        more: further lines were left out.
        oldest: time of the front's oldest line: of earlier requests nothing is known. None = it has logged nothing.
    """

    lines: tuple[LoggedLine, ...]
    more: bool
    oldest: str | None


class Journal(Protocol):
    """Reads the entries of units, each as JSON. `more`: further arguments of journalctl."""

    def __call__(self, units: tuple[str, ...], *more: str) -> Iterable[str]: ...


_MOST_LINES = 200
"""A request has some ten: one for each attempt, and a few of its backend."""
_LONGEST_LINE = 4000
"""Characters. LiteLLM's are 500 at most, the front's about 600."""


def find_request(id: str, units: tuple[str, ...], front: str, journal: Journal) -> FoundRequest:
    """What these units logged under an id. `front`: the one among them that logs each request."""
    # Newest first, so that of too many lines the oldest are left out: the front's line is the request's last.
    found = journal(units, "--reverse", "--case-sensitive=yes", f"--grep={whole(id)}")
    lines = list(islice(_lines(found), _MOST_LINES + 1))
    oldest = next(_lines(journal((front,))), None)
    return FoundRequest(
        lines=tuple(reversed(lines[:_MOST_LINES])),
        more=len(lines) > _MOST_LINES,
        oldest=oldest.time if oldest else None,
    )


def whole(id: str) -> str:
    """The expression of an id that is no part of another word or number: one of digits alone is in many."""
    return rf"(?<![\w.]){re.escape(id)}(?!\w|\.\d)"


def _lines(entries: Iterable[str]) -> Iterator[LoggedLine]:
    for entry in entries:
        fields = json.loads(entry)
        message = fields.get("MESSAGE")
        # Bytes that are no text, as a list of numbers; of several values of a field, a list of lists.
        if isinstance(message, list) and all(isinstance(byte, int) for byte in message):
            message = bytes(message).decode(errors="backslashreplace")
        if isinstance(message, str):
            time = datetime.fromtimestamp(int(fields["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
            unit = fields.get("_SYSTEMD_USER_UNIT") or fields.get("_SYSTEMD_UNIT") or ""
            yield LoggedLine(
                time=time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                unit=str(unit),
                text=message[:_LONGEST_LINE],
            )
