"""The graphs of a host's last day: what the status page asks Prometheus, and what it then shows.

`roles.monitoring` writes the questions into the generation; the verifier asks them.
"""

from __future__ import annotations

from dataclasses import dataclass

GRAPHS_FILE = "monitoring/graphs.json"
"""Path, below the generation, of the questions: `Questions`. A host without monitoring has none."""

WINDOW = "$window"
"""In a query: the time over which a rate is taken. Whoever asks puts it in."""


@dataclass(frozen=True)
class Curve:
    """A query in PromQL, and the name of each of its series, with their labels as `{{label}}`."""

    query: str
    name: str


@dataclass(frozen=True)
class Question:
    """What one graph is made of. The unit is as people write it; `share` = of 1."""

    title: str
    unit: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Questions:
    """All of them, and the URL of the Prometheus that answers them, without a `/` at its end."""

    url: str
    graphs: tuple[Question, ...]


@dataclass(frozen=True)
class Line:
    """One series of a graph."""

    name: str
    values: tuple[float | None, ...]
    """One for each step of the day, oldest first; null = nothing was measured then."""


@dataclass(frozen=True)
class Graph:
    """A graph of the last day."""

    title: str
    unit: str
    """As people write it; `share` = of 1."""
    lines: tuple[Line, ...]
    """The largest."""
    more: int
    """How many series are left out."""


@dataclass(frozen=True)
class LastDay:
    """What Prometheus has measured in the 24 hours before the run."""

    since: int
    """The time of the first value of each line, in seconds since 1970."""
    step: int
    """Seconds from one value to the next."""
    graphs: tuple[Graph, ...]
    """Those for which there is anything."""
    problem: str = ""
    """Why there are none; empty = Prometheus answered."""
