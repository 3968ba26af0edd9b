"""Texts of a certain form: refused in words and with an example, not with the pattern that finds them wrong."""

from __future__ import annotations

import re

from pydantic import AfterValidator

_LONGEST = 80
"""Characters of a refused text in its message."""


def spelled(pattern: str, words: str) -> AfterValidator:
    """The form of a text.

    Args:
        pattern: regular expression for the whole of it.
        words: what it is, with an example, to be read after "is no".
    """
    form = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"{quoted(text)} is no {words}")
        return text

    return AfterValidator(check)


def quoted(text: str) -> str:
    """A given text in a message: in quotes, shortened, in one line."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f'"{shown}"' if shown.isprintable() else ascii(shown)


def is_address(text: str) -> bool:
    """Whether a text is a web address, `file://` and the like."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None
