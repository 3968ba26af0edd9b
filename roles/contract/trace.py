"""What a host's journal has about one request to the endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from roles.contract.generation import Scope
from roles.contract.requests import Request


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
