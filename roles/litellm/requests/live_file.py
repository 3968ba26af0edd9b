"""A file of the generation that is read again whenever it is another one: a change of it restarts nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_LOGGER = logging.getLogger("LiteLLM Proxy")


class LiveFile(Generic[T]):
    """What a file says, by name. While it cannot be read, what was read before counts."""

    def __init__(self, file: Path, parse: Callable[[str], Mapping[str, T]]) -> None:
        """Args: parse: raises `ValueError` for a text of another form, as all errors of JSON and of shapes are."""
        self._file, self._parse = file, parse
        self._seen: tuple[int, int, int] | None = None
        self._fails = False
        self._found: Mapping[str, T] = {}

    def get(self, name: str) -> T | None:
        """None = the file has nothing of that name."""
        self._read_if_changed()
        return self._found.get(name)

    def _read_if_changed(self) -> None:
        try:
            # A switch to another generation changes where a link in its path leads.
            stat = self._file.stat()
            if (seen := (stat.st_dev, stat.st_ino, stat.st_mtime_ns)) == self._seen:
                return
            self._found, self._seen, self._fails = self._parse(self._file.read_text()), seen, False
        except (OSError, ValueError) as error:
            if not self._fails:
                _LOGGER.error("%s cannot be read, and what was read before counts: %s", self._file, error)
            self._seen, self._fails = None, True
