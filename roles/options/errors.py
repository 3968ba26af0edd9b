"""The one error for every mistake in an inventory."""

from __future__ import annotations

import sys
from pathlib import Path

from roles.options.hidden import without_secrets

_PACKAGE = Path(__file__).resolve().parent.parent


class OptionsError(SystemExit):
    """The inventory declares something invalid: the message names what, where and how to fix it.

    A `SystemExit`, because pyinfra executes inventory files and prints any other exception as a traceback (except its
    own, which the options do not import). Uncaught, it prints its message on stderr and exits with status 1.
    """

    def __init__(self, message: str) -> None:
        self.message = without_secrets(message)
        super().__init__(f"inventory error: {self.message}")

    def __str__(self) -> str:
        return self.message


def calling_line() -> str:
    """`file:line` of the innermost frame outside this package and its libraries: the inventory's own line.

    Empty if there is none (an interactive session).
    """
    frame = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if "site-packages" not in file.parts and file.exists() and not file.resolve().is_relative_to(_PACKAGE):
            try:
                shown = file.resolve().relative_to(Path.cwd())
            except ValueError:
                shown = file
            return f"{shown}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
