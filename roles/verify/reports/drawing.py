"""The graphs of the last day, as the page draws them: points, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from roles.contract.graphs import Graph, LastDay, Line

WIDTH, HEIGHT = 96.0, 40.0
"""Size of a graph in its own units; the page stretches it."""
MARKS = ("24 h ago", "18 h", "12 h", "6 h", "now")
"""Below a graph, from the left, at equal distances."""

_WRITTEN_WITH = ("share", "bytes", "bytes/s", "s")
"""Units that a number is always written with; others are said once."""
_PREFIXES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
"""Upper ends of scales, times a power of 10."""


@dataclass(frozen=True)
class DrawnLine:
    """Attributes:
    parts: the points of each part without a gap.
    last, most: its newest value and its largest one, as `Drawing.top` but for units that are words; empty = none.
    """

    name: str
    parts: tuple[str, ...]
    last: str
    most: str


@dataclass(frozen=True)
class Drawing:
    """Attributes:
    top: the value at the upper edge; 0 is at the lower one.
    more: how many lines are left out.
    """

    title: str
    top: str
    lines: tuple[DrawnLine, ...]
    more: int

    @property
    def said(self) -> str:
        """In words, for who does not see it."""
        lines = (f"{line.name} now {line.last or 'nothing'}, at most {line.most}" for line in self.lines)
        return f"{self.title} in the last day: {'; '.join(lines)}"


def drawings(day: LastDay) -> tuple[Drawing, ...]:
    """Those of the graphs in which anything was measured."""
    return tuple(_drawing(graph) for graph in day.graphs if any(map(_numbers, graph.lines)))


def _drawing(graph: Graph) -> Drawing:
    lines = [line for line in graph.lines if _numbers(line)]
    top = _top(max(max(_numbers(line)) for line in lines), graph.unit)
    return Drawing(
        graph.title, _with_unit(top, graph.unit), tuple(_drawn(line, top, graph.unit) for line in lines), graph.more
    )


def _drawn(line: Line, top: float, unit: str) -> DrawnLine:
    last = line.values[-1]
    return DrawnLine(
        name=line.name,
        parts=tuple(_parts(line.values, top)),
        last="" if last is None else _number(last, unit),
        most=_number(max(_numbers(line)), unit),
    )


def _numbers(line: Line) -> list[float]:
    return [value for value in line.values if value is not None]


def _parts(values: Sequence[float | None], top: float) -> Iterator[str]:
    """Each part without a gap as points. One value alone is a short line: a point would not be seen."""
    step = WIDTH / len(values)
    for measured, part in groupby(enumerate(values), key=lambda each: each[1] is not None):
        if not measured:
            continue
        points = [((number + 0.5) * step, _height(value or 0, top)) for number, value in part]
        if len(points) == 1:
            ((x, y),) = points
            points = [(x - step / 2, y), (x + step / 2, y)]
        yield " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _height(value: float, top: float) -> float:
    return HEIGHT - max(0.0, min(value / top, 1.0)) * HEIGHT


def _top(most: float, unit: str) -> float:
    """A round number that is not below the largest value."""
    if unit == "share" and most <= 1:
        return 1
    if most <= 0:
        return 1
    scale = 1024.0 ** _prefix(most) if unit.startswith("bytes") else 1.0
    power = 10.0 ** math.floor(math.log10(most / scale))
    return next(step * power * scale for step in _STEPS if step * power * scale >= most * 0.9999)


def _with_unit(value: float, unit: str) -> str:
    number = _number(value, unit)
    return f"{number} {unit}".rstrip() if unit not in _WRITTEN_WITH else number


def _number(value: float, unit: str) -> str:
    """A number, with its unit if that depends on its size."""
    match unit:
        case "share":
            return f"{value:.0%}".replace("%", " %")
        case "bytes" | "bytes/s":
            prefix = _prefix(value)
            return f"{value / 1024**prefix:.3g} {_PREFIXES[prefix]}{unit.removeprefix('bytes')}"
        case "s":
            return f"{value * 1000:.3g} ms" if 0 < value < 1 else f"{value:.3g} s"
        case _:
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _prefix(number: float) -> int:
    """How often 1024 is in it."""
    return min(int(math.log(max(number, 1), 1024)), len(_PREFIXES) - 1)
