"""Foreign text (answers of models, errors of servers) made fit for a report."""

from __future__ import annotations

LONGEST = 200
"""Characters of a foreign text that a report shows."""


def quoted(text: str, limit: int = LONGEST) -> str:
    """The beginning of `text` on one line, in quotes. Control characters, which could drive a terminal, are dropped."""
    line = " ".join(text.split())
    shown = "".join(character for character in line if character.isprintable())
    if len(shown) > limit:
        shown = shown[:limit].rstrip() + "…"
    return f'"{shown}"'
