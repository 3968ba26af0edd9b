"""What became of the host's generations, from the history that its deploys write."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from roles.contract.verdict import SHOWN_EVENTS, Event

HISTORY = "history.jsonl"
"""In the state folder: one JSON object a line, the oldest first."""


def read_events(state: Path) -> tuple[Event, ...]:
    """The last of them, but for lines that are torn, or somebody else's. What is not there tells nothing."""
    file, found = state / HISTORY, []
    with contextlib.suppress(OSError):
        # No more than a regular file: reading another, as a pipe, may never end.
        for line in (file.read_bytes() if file.is_file() else b"").split(b"\n"):
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
                found.append(_event(json.loads(line.strip(b"\0").decode())))
    return tuple(found[-SHOWN_EVENTS:])


def _event(line: dict[str, Any]) -> Event:
    """Of a verdict its summary is the detail, of all else the reason, and how long it took."""
    told = [
        f"{line['verdict']}: {line.get('summary', '')}" if "verdict" in line else "",
        f"away from {line['from']}" if line.get("from") else "",
        str(line.get("reason", "")),
        f"in {line['seconds']:g} s" if line.get("seconds") else "",
    ]
    texts = [line[key] for key in ("time", "event", "generation", "who")]
    texts.append("; ".join(text for text in told if text))
    # Raises where one is no text, or half of a surrogate pair, which nobody can print.
    "".join(texts).encode()
    return Event(*texts)
