"""The speeds of routes as a host keeps them, generation by generation, in one file of its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roles.contract.measured import RouteSpeed

WhenSlower: TypeAlias = Literal["report", "fail", "off"]
"""What a route that is slower than it should be is: a warning, or a failure; off = its speed is not measured."""

SPEEDS = "speeds.json"
"""The file, below the state folder: a list of `KeptSpeed`, the one measured last at the end."""


@dataclass(frozen=True, kw_only=True)
class KeptSpeed:
    """The speed of a route in a generation.

    Attributes:
        time: when it was last measured: ISO 8601, UTC.
        last: what was measured then.
        good: what further ones are compared with: the last one that was not slower than it should be, in a verdict that
            passed; none = no such verdict.
    """

    generation: str
    time: str
    last: RouteSpeed
    good: RouteSpeed | None
