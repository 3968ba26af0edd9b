"""systemd's environment files, written and read.

Source of the quoting rules: systemd.exec(5), `EnvironmentFile=`: inside double quotes a backslash escapes only
``" \\ ` $``, and a value may span lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?:"(?P<quoted>(?:[^"\\]|\\[\s\S])*)"|(?P<plain>[^"\n]*))[ \t]*$""",
    re.MULTILINE,
)
_ESCAPE = re.compile(r'\\(["\\`$])')
_WITH_BACKSLASH = r"\\\1"
_ESCAPED = re.compile(r'(["\\`$])')


def environment_text(variables: Mapping[str, str]) -> str:
    """The text of an environment file, one variable per line."""
    return "".join(f'{name}="{_ESCAPED.sub(_WITH_BACKSLASH, value)}"\n' for name, value in variables.items())


def parse_environment(text: str) -> dict[str, str]:
    """Variable → value. Comments, and lines that are not assignments, are skipped, as systemd does."""
    variables = {}
    for match in _ASSIGNMENT.finditer(text):
        quoted = match["quoted"]
        variables[match["name"]] = match["plain"].strip() if quoted is None else _ESCAPE.sub(r"\1", quoted)
    return variables


def parse_environment_block(block: bytes) -> dict[str, str]:
    """Variable → value, from `/proc/<pid>/environ`: the environment of a process at its start, split at NUL bytes."""
    entries = block.decode(errors="backslashreplace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
