"""Reads environment files: systemd's (`EnvironmentFile=`), Docker's, and shell files of plain assignments."""

from __future__ import annotations

import re

_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)="""
    r"""(?:"(?P<double>(?:[^"\\]|\\[\s\S])*)"|'(?P<single>[^']*)'|(?P<plain>[^\n]*))[ \t]*$""",
    re.MULTILINE,
)


def parse_environment(text: str) -> dict[str, str]:
    """Variable → value. Comments and lines that are not assignments are skipped."""
    return {
        match["name"]: next(value for value in match.group("double", "single", "plain") if value is not None).strip()
        for match in _ASSIGNMENT.finditer(text)
    }
