"""Files that must lie on a host before it is deployed to, since others keep them, such as its certificate."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import FactBase, QuoteString, StringCommand

from roles.host.program import CLEAN

_PRINT_MISSING = 'for file; do [ -f "$file" ] && [ -r "$file" ] || echo "$file"; done'


class MissingFiles(FactBase[list[str]]):
    """Those of the given paths at which the host has no file that can be read there."""

    def command(self, paths: Sequence[str]) -> StringCommand:
        return StringCommand(CLEAN, "sh", "-c", QuoteString(_PRINT_MISSING), "sh", *map(QuoteString, paths))

    def process(self, output: list[str]) -> list[str]:
        return output
