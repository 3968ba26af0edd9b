"""The generations that a host keeps, and its history, as a deploy reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roles.contract.measured import RouteSpeed
from roles.contract.requests import Request


@dataclass(frozen=True, kw_only=True)
class ReadHistory(Request):
    """Print the kept generations and the history, as JSON."""

    program = "generations.kept"

    config: str
    generations: str
    state: str


@dataclass(frozen=True, kw_only=True)
class GenerationContents:
    """A generation's contents.

    Attributes:
        written: time of writing: ISO 8601, UTC.
        files: path → SHA-256.
        installs: name → folder and title.
        missing_installs: those that no longer exist: name and folder.
        speeds: of the routes that were measured in it, as they were last.
    """

    name: str
    written: str
    files: Mapping[str, str]
    installs: Mapping[str, tuple[str, str]]
    missing_installs: tuple[str, ...]
    speeds: tuple[RouteSpeed, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KeptGenerations:
    """Attributes:
    active: name of the generation that the host runs.
    texts: SHA-256 → text of the world-readable files.
    events: what happened, oldest first; each with `time`, `event`, `generation`, `who` and more.
    """

    active: str | None
    generations: tuple[GenerationContents, ...]
    texts: Mapping[str, str]
    events: tuple[Mapping[str, Any], ...]
