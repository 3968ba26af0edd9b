"""What became of the host's generations, from the history that its deploys write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HISTORY = "history.jsonl"
"""In the state folder: one JSON object a line, the oldest first."""

SHOWN_EVENTS = 10


@dataclass(frozen=True)
class Event:
    """Attributes:
    time: ISO 8601, UTC.
    event: `refused`, `activated`, `failed`, `verified` or `rolled back`.
    who: whose run it was: user@machine.
    detail: what it found, or why it came to that, for people.
    """

    time: str
    event: str
    generation: str
    who: str
    detail: str


def read_events(state: Path) -> tuple[Event, ...]:
    """The last of them. A history that is not there, or that is damaged, tells nothing."""
    try:
        lines = (state / HISTORY).read_text().splitlines()
        return tuple(_event(json.loads(line)) for line in lines[-SHOWN_EVENTS:])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _event(line: dict[str, Any]) -> Event:
    """Of a verdict its summary is the detail, of all else the reason, and how long it took."""
    told = [
        f"{line['verdict']}: {line.get('summary', '')}" if "verdict" in line else "",
        f"away from {line['from']}" if line.get("from") else "",
        str(line.get("reason", "")),
        f"in {line['seconds']:g} s" if line.get("seconds") else "",
    ]
    return Event(
        time=str(line["time"]),
        event=str(line["event"]),
        generation=str(line["generation"]),
        who=str(line["who"]),
        detail="; ".join(text for text in told if text),
    )
