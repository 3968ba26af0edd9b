"""A verdict as `status.html`: one file that works alone, without scripts or network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Template
from markupsafe import Markup

from roles.contract.verdict import Verdict
from roles.verify.reports.drawing import HEIGHT, MARKS, WIDTH
from roles.verify.reports.page import page_of
from roles.verify.reports.templates import environment
from roles.verify.verdict.quoting import printable

_WIDTH, _HEIGHT = 72.0, 18.0
"""Size of a trend line in its own units; the page scales it."""


def html(verdict: Verdict, earlier: Sequence[Verdict] = ()) -> str:
    """The text of `status.html`."""
    return _template().render(page=page_of(verdict, earlier))


@cache
def _template() -> Template:
    made = environment(escape_html=True, put=_put)
    made.filters["points"] = _points
    made.globals |= {"width": WIDTH, "height": HEIGHT, "day_marks": MARKS}
    return made.get_template("status.html.j2")


def _put(value: object) -> object:
    """Jinja2 does the escaping. This drops characters that HTML forbids or that change the direction of the text."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _points(seconds: Sequence[float]) -> str:
    """The points of a line through values, from the left, with 0 at the bottom and some space above the largest."""
    top, step = max([*seconds, 0.001]) * 1.3, _WIDTH / (len(seconds) - 1)
    return " ".join(
        f"{number * step:.1f},{_HEIGHT - value / top * _HEIGHT:.1f}" for number, value in enumerate(seconds)
    )
