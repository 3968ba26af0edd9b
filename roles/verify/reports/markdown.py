"""A verdict as `status.md`: replaces the manual status page, with real values and their time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Template

from roles.contract.verdict import Verdict
from roles.verify.reports.page import page_of
from roles.verify.reports.templates import environment
from roles.verify.verdict.quoting import printable

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&#]")
"""Characters with a meaning in Markdown and GitHub's extensions within a line."""
_WITHIN_A_WORD = re.compile(r"(?<=[A-Za-z0-9])\\_(?=[A-Za-z0-9])")


def markdown(verdict: Verdict, earlier: Sequence[Verdict] = ()) -> str:
    """The text of `status.md`."""
    return _template().render(page=page_of(verdict, earlier))


@cache
def _template() -> Template:
    made = environment(escape_html=False, put=_put)
    made.filters |= {"code": _code, "block": _block, "codes": _codes}
    return made.get_template("status.md.j2")


class _Made(str):
    """A value that is Markdown already."""


def _put(value: object) -> object:
    if isinstance(value, _Made):
        return value
    return _escaped(str(value))


def _escaped(text: str) -> str:
    """On one line, and literal. An underscore within a word is not emphasis, so names stay readable."""
    line = printable(" ".join(text.split()))
    return _WITHIN_A_WORD.sub("_", _SPECIAL.sub(r"\\\g<0>", line))


def _code(text: str) -> _Made:
    """A name as a code span; in a table its bars must still be escaped."""
    line = printable(" ".join(text.split()))
    if not line or "`" in line:
        return _Made(_escaped(line))
    return _Made(f"`{line}`".replace("|", "\\|"))


def _codes(texts: Sequence[str]) -> _Made:
    return _Made(", ".join(map(_code, texts)) or "none")


def _block(text: str, language: str) -> _Made:
    """A block of code, between fences longer than any in the text."""
    code = printable(text)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
    return _Made(f"{fence}{language}\n{code}\n{fence}")
