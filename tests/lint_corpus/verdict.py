"""What the lint says of an entry, and what it should say by what LiteLLM did."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from roles.lint import Finding, lint
from roles.lint.files import read_included
from tests.lint_corpus.entries import TABLE, Entry, Outcome

RELEASE = "1.106.2"

MISSES = {"callbacks/own-import-missing", "settings/mcp-versions"}
"""Entries that LiteLLM does not start with, and of which the lint says nothing."""
FALSE_ALARMS = {"caches/redis-semantic"}
"""The lint says that it does not start without the package redisvl; LiteLLM started."""


def table() -> dict[str, dict[str, Any]]:
    """Entry → `digest`, `outcome` and `said`, of the release that is pinned."""
    content: dict[str, Any] = json.loads(TABLE.read_text())
    assert content["litellm"] == RELEASE
    return dict(content["entries"])


def findings(entry: Entry) -> list[Finding]:
    """The lint's findings, with the entry's files in a folder as LiteLLM has them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"config.yaml": entry.document, **entry.files}.items():
            (Path(folder) / name).write_text(text)
        file = str(Path(folder) / "config.yaml")
        return lint(entry.document, version=RELEASE, environment=entry.variables, name=file, read=read_included)


def verdict(entry: Entry) -> Outcome:
    """The lint's verdict: a finding that says so is a start that fails, any other error something that is dropped.

    A warning names a start that fails without a package or a licence: the pinned environment has none of them.
    """
    found = findings(entry)
    if any("does not start" in finding.message for finding in found):
        return "stops"
    return "drops" if any(finding.severity == "error" for finding in found) else "starts"


def right_verdict(entry: Entry, outcome: Outcome) -> Outcome:
    """What LiteLLM did; where it says nothing and something breaks later, it counts as dropped."""
    return "drops" if outcome == "starts" and entry.breaks else outcome
