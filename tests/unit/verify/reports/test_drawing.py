"""Graphs are drawn within their frame, with gaps where nothing was measured, and with numbers as people read them."""

from __future__ import annotations

import pytest

from roles.contract.graphs import Graph, LastDay, Line
from roles.verify.reports.drawing import HEIGHT, WIDTH, Drawing, drawings


def drawn(unit: str, *lines: tuple[float | None, ...], more: int = 0) -> Drawing:
    graph = Graph("Graph", unit, tuple(Line(f"line {number}", values) for number, values in enumerate(lines)), more)
    (found,) = drawings(LastDay(0, 900, (graph,)))
    return found


def points(part: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, _, y in (point.partition(",") for point in part.split())]


def test_a_line_goes_from_the_left_to_the_right_with_0_at_the_bottom() -> None:
    (line,) = drawn("requests/s", (0.0, 2.0, 1.0, 0.0)).lines
    step = WIDTH / 4
    assert [points(part) for part in line.parts] == [
        [(step / 2, HEIGHT), (step * 1.5, 0), (step * 2.5, HEIGHT / 2), (step * 3.5, HEIGHT)]
    ]


def test_nothing_leaves_the_frame() -> None:
    (line,) = drawn("share", (-3.0, 1.7, 0.5)).lines
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for part in line.parts for x, y in points(part))


def test_a_gap_parts_a_line_and_a_single_value_is_still_seen() -> None:
    (line,) = drawn("s", (1.0, 1.0, None, 2.0, None, None)).lines
    assert [len(points(part)) for part in line.parts] == [2, 2]
    ((left, _), (right, _)) = points(line.parts[1])
    assert right - left == WIDTH / 6
    assert (line.last, line.most) == ("", "2 s")


def test_what_has_no_value_is_not_drawn() -> None:
    empty = Graph("Graph", "s", (Line("line", (None, None)),), 0)
    assert drawings(LastDay(0, 900, (empty, Graph("Graph", "s", (), 0)))) == ()
    assert [line.name for line in drawn("s", (None,), (1.0,)).lines] == ["line 1"]


@pytest.mark.parametrize(
    ("unit", "value", "top", "number"),
    [
        ("requests/s", 2.6, "3 requests/s", "2.6"),
        ("requests/min", 0.0, "1 requests/min", "0"),
        ("tokens/s", 1337.4, "1500 tokens/s", "1337"),
        ("requests", 12.0, "15 requests", "12"),
        ("", 7.0, "8", "7"),
        ("s", 0.3721, "400 ms", "372 ms"),
        ("s", 4.13, "5 s", "4.13 s"),
        ("share", 0.184, "100 %", "18 %"),
        ("share", 1.3, "150 %", "130 %"),
        ("bytes", 33.6e9, "40 GiB", "31.3 GiB"),
        ("bytes/s", 2048.0, "2 KiB/s", "2 KiB/s"),
        ("bytes", 0.0, "1 B", "0 B"),
    ],
)
def test_a_scale_ends_at_a_round_number_and_units_are_said_once(unit: str, value: float, top: str, number: str) -> None:
    found = drawn(unit, (value,))
    assert (found.top, found.lines[0].most) == (top, number)


def test_who_does_not_see_a_graph_hears_it() -> None:
    found = drawn("requests/s", (1.0, 0.5), (3.0, None))
    assert found.said == "Graph in the last day: line 0 now 0.5, at most 1; line 1 now nothing, at most 3"
