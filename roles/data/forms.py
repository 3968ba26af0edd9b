"""What a value may be: each form reads the text of the command line, and what an inventory holds in its place.

pyinfra makes numbers, truth values and JSON of the texts in `--data`. The readers here are given the text as it was
written, wherever it can still be had. Then `000123` keeps its zeros, and `12e456` is no infinity.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True)
class Form(Generic[T]):
    """
    Attributes:
        words: what it may be, to be read after "is to be": `yes or no`.
        read: a given value → the value; raises `ValueError` for anything that it does not take.
    """

    words: str
    read: Callable[[object], T]


def word(words: str) -> Form[str]:
    """A text of one line that is not empty."""

    def read(given: object) -> str:
        # A number from an inventory has lost nothing: Python refuses to read `000123`.
        text = str(given) if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 10**20 else given
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise ValueError
        return text

    return Form(words, read)


def identifier(words: str) -> Form[str]:
    """Letters, digits, `-` and `_`, as ids have them."""

    def read(given: object) -> str:
        text = str(given) if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 10**20 else given
        if not isinstance(text, str) or not _IDENTIFIER.fullmatch(text.strip()):
            raise ValueError
        return text.strip()

    return Form(words, read)


def names() -> Form[tuple[str, ...]]:
    """Words with commas between them, each of which counts once."""

    def read(given: object) -> tuple[str, ...]:
        if not isinstance(given, str) or not given.isprintable():
            raise ValueError
        found = tuple(dict.fromkeys(name for part in given.split(",") if (name := part.strip())))
        if not found:
            raise ValueError
        return found

    return Form("names with commas between them", read)


def one_of(*choices: T) -> Form[T]:
    """One of several words."""

    def read(given: object) -> T:
        for choice in choices:
            if given == choice:
                return choice
        raise ValueError

    return Form(" or ".join(map(str, choices)), read)


def yes_or_no() -> Form[bool]:
    """A truth value, in any usual spelling."""

    def read(given: object) -> bool:
        spelling = str(given).lower() if isinstance(given, str | bool) or given in (0, 1) else ""
        if spelling not in _YES | _NO:
            raise ValueError
        return spelling in _YES

    return Form("yes or no", read)


def seconds(least: int, most: int) -> Form[float]:
    """A number of seconds between two bounds."""

    def read(given: object) -> float:
        if isinstance(given, str) and _NUMBER.fullmatch(given):
            given = float(given)
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError
        if not least <= given <= most:  # nor is a NaN
            raise ValueError
        return given

    return Form(f"a number of seconds from {least} to {most}", read)
