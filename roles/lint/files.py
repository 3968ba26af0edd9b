"""Reads the files that are named, and those that they include: never more than the lint looks at."""

from __future__ import annotations

import os
import stat
import sys

from roles.lint.document import NotFollowedError, reason
from roles.lint.yaml_values import MOST_CHARACTERS

STANDARD_INPUT = "-"

_MOST_BYTES = 4 * MOST_CHARACTERS
"""A character of UTF-8 has up to four."""


class NotReadableError(Exception):
    """A file that was named cannot be read; the message says why."""


def read_named(file: str) -> str:
    """The text of a file that was named, a pipe or `-` for standard input too.

    Raises:
        NotReadableError: it cannot be read.
    """
    try:
        if file == STANDARD_INPUT:
            if sys.stdin is None:
                raise ValueError("standard input is closed")
            return _text(sys.stdin.buffer.read(_MOST_BYTES + 1))
        # A named pipe that nobody writes into would block the opening for ever.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(handle, True)
        with os.fdopen(handle, "rb") as opened:
            return _text(opened.read(_MOST_BYTES + 1))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise NotReadableError(f"it is not UTF-8 (line {line}): save it as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, or too large
        raise NotReadableError(f"it cannot be read: {reason(error)}") from None


def read_included(file: str) -> str:
    """The text of an included file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or no UTF-8; the message says so.
        NotFollowedError: it is too large.
    """
    if os.path.realpath(file) == os.devnull:  # a way to include nothing
        return ""
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no regular file")
        return _text(opened.read(_MOST_BYTES + 1))


def _text(content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise NotFollowedError(f"it has more than {_MOST_BYTES >> 20} MiB")
    return content.decode()
