"""An endpoint that clients are pointed at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """Attributes:
    address: host and port.
    key: a key that it accepts.
    """

    address: str
    key: str
