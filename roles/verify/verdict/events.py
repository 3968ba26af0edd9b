"""What happened to the host's generations, from the history that its deploys write."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from roles.contract.verdict import SHOWN_EVENTS, Event

HISTORY = "history.jsonl"
"""In the state folder: one JSON object a line, the oldest first."""


def read_events(state: Path) -> tuple[Event, ...]:
    """The last of them, without lines that are incomplete or foreign. Empty if there is no history."""
    file, found = state / HISTORY, []
    with contextlib.suppress(OSError):
        # Regular files only: reading another one, such as a pipe, may never end.
        for line in (file.read_bytes() if file.is_file() else b"").split(b"\n"):
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
                found.append(_event(json.loads(line.strip(b"\0").decode())))
    return tuple(found[-SHOWN_EVENTS:])


def _event(line: dict[str, Any]) -> Event:
    """The detail of a verdict is its summary; that of other events is the reason and the duration."""
    parts = [
        f"{line['verdict']}: {line.get('summary', '')}" if "verdict" in line else "",
        f"away from {line['from']}" if line.get("from") else "",
        str(line.get("reason", "")),
        f"in {line['seconds']:g} s" if line.get("seconds") else "",
    ]
    texts = [line[key] for key in ("time", "event", "generation", "who")]
    texts.append("; ".join(text for text in parts if text))
    # Raises if one is not text, or contains half of a surrogate pair, which cannot be printed.
    "".join(texts).encode()
    return Event(*texts)
