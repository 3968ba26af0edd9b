"""What the lint found: one record per mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
"""`error`: it does not start, or something that is declared does not work. `warning`: it works, but causes trouble."""


@dataclass(frozen=True)
class Finding:
    """One mistake.

    Attributes:
        rule: id of the rule, e.g. `fallback-target-missing`.
        file: name of the file that it is in: the one given, or one that it includes.
        line: counted from 1.
        path: path in the document, e.g. `router_settings.fallbacks[0].a`; `` for the whole document.
        message: what is wrong and its consequence. Never a value that could be a secret.
        fix: what to write instead.
        count: how many like it there are, this one included; the message names lines of others.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    path: str
    message: str
    fix: str
    count: int = 1

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.severity}: {self.message}; {self.fix} [{self.rule}]"
        # A name in the file may contain a line break or a terminal's control characters.
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
