"""The generations that a host keeps, and its history: what is read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roles.contract.requests import Request


@dataclass(frozen=True, kw_only=True)
class ReadHistory(Request):
    """Print the generations that are kept, and the history, as JSON."""

    program = "generations.kept"

    config: str
    generations: str
    state: str


@dataclass(frozen=True, kw_only=True)
class GenerationContents:
    """What a generation holds.

    Attributes:
        written: when: ISO 8601, UTC.
        files: path → SHA-256.
        installs: name → folder and title.
        missing_installs: those that are gone: name and folder.
    """

    name: str
    written: str
    files: Mapping[str, str]
    installs: Mapping[str, tuple[str, str]]
    missing_installs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KeptGenerations:
    """Attributes:
    active: name of the one that the host runs.
    texts: SHA-256 → text of the files that anybody may read.
    events: what happened, the oldest first; each with `time`, `event`, `generation`, `who` and more.
    """

    active: str | None
    generations: tuple[GenerationContents, ...]
    texts: Mapping[str, str]
    events: tuple[Mapping[str, Any], ...]
