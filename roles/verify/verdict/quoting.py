"""Foreign text (answers of models, errors of servers, names of processes and files) read and made safe for a report.

A user that runs a process on the host chooses its name, arguments and cgroup, in any bytes: reading them never fails
because of their content.
"""

from __future__ import annotations

from pathlib import Path

LONGEST = 200
"""Characters of a foreign text that a report shows."""


def quoted(text: str, limit: int = LONGEST) -> str:
    """The beginning of `text` on one line, in quotes, without control characters, which could control a terminal."""
    shown = printable(" ".join(text.split()))
    if len(shown) > limit:
        shown = shown[:limit].rstrip() + "…"
    return f'"{shown}"'


def printable(text: str) -> str:
    """Without the characters that could control a terminal, change the text's direction, or break an XML file."""
    return "".join(character for character in text if character.isprintable() or character == "\n")


def decoded(data: bytes) -> str:
    """Foreign bytes as text; bytes that are not UTF-8 become escapes."""
    return data.decode(errors="backslashreplace")


def read_foreign(file: Path) -> str:
    """The content of a file that others write.

    Raises:
        OSError: it cannot be read.
    """
    return decoded(file.read_bytes())


def escaped(text: str, keep: str = "") -> str:
    """The whole of a foreign text, with escapes for characters that are not printable, except for those to `keep`."""
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )
