"""Foreign text (answers of models, errors of servers, names of processes and files) read and made fit for a report.

Whoever may run a process on the host chooses its name, its arguments and its control group, in any bytes: reading them
never fails for what they are.
"""

from __future__ import annotations

from pathlib import Path

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


def decoded(data: bytes) -> str:
    """Foreign bytes as text; those that are no UTF-8 as their escapes."""
    return data.decode(errors="backslashreplace")


def read_foreign(file: Path) -> str:
    """A file whose content others choose.

    Raises:
        OSError: it cannot be read.
    """
    return decoded(file.read_bytes())


def escaped(text: str, keep: str = "") -> str:
    """The whole of a foreign text, each character that is not printable as its escape, but for those to `keep`."""
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )
