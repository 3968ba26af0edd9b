"""The templates of the pages, in this folder. Values are made safe automatically."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roles.verify.reports.page import MARKS, WORDS, shown_time


def environment(*, escape_html: bool, put: Callable[[object], object]) -> Environment:
    """Jinja2 for one format.

    Args:
        put: makes a value safe for a page of that format.
    """
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=escape_html,
        finalize=put,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["time"] = shown_time
    made.globals |= {"words": WORDS, "marks": MARKS}
    return made
