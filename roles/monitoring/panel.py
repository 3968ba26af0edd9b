"""The shape of a panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roles.contract.graphs import Curve

Unit: TypeAlias = Literal[
    "requests/s", "requests/min", "requests", "tokens/s", "s", "share", "bytes", "bytes/s", "°C", "W", "US dollars", ""
]
"""As people write it; `share` = of 1, empty = a number of things."""


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        about: what to know of it, for people.
        shown: as lines over time, or as the newest value alone.
        essential: the status page has it too.
        needs: what a host must have, or must have done, for anything to be there; empty = monitoring, and traffic.
    """

    title: str
    unit: Unit
    curves: tuple[Curve, ...]
    about: str = ""
    shown: Literal["graph", "number"] = "graph"
    essential: bool = False
    needs: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    panels: tuple[Panel, ...]
