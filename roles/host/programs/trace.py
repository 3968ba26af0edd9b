"""What the journal has about one request, by the id that its client got. Changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from roles.contract.trace import FindRequest, FoundRequest, LoggedLine
from roles.contract.wire import written
from roles.host.programs.systemd import Manager

_MOST_LINES = 200
"""A request has some ten: one for each attempt, and a few of its backend."""
_LONGEST_LINE = 4000
"""Characters. LiteLLM's are 500 at most, the front's about 600."""


def main(request: FindRequest) -> None:
    print(json.dumps(written(find(request, Manager(request.scope)))))


def find(request: FindRequest, manager: Manager) -> FoundRequest:
    # Newest first, so that of too many lines the oldest are left out: the front's line is the request's last.
    found = manager.journal(request.units, "--reverse", "--case-sensitive=yes", f"--grep={whole(request.id)}")
    lines = list(islice(_lines(found), _MOST_LINES + 1))
    oldest = next(_lines(manager.journal((request.front,))), None)
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
