"""Foreign text (answers of models, errors of servers) made fit for a report."""

from __future__ import annotations

LONGEST = 200
"""Characters of a foreign text that a report shows."""


def quoted(text: str, limit: int = LONGEST) -> str:
    """The beginning of `text` on one line, in quotes. Control characters, which could drive a terminal, are dropped."""
    shown = printable(" ".join(text.split()))
    if len(shown) > limit:
        shown = shown[:limit].rstrip() + "…"
    return f'"{shown}"'


def printable(text: str) -> str:
    """Without the characters that could drive a terminal, turn the direction of what follows, or break an XML file."""
    return "".join(character for character in text if character.isprintable() or character == "\n")
