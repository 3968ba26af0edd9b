"""What failed when routes were last asked as client programs ask, by generation, in one file of the host's state: kept
verdicts are dropped within a day, and a deploy compares with what failed before its change."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from roles.contract.verdict import Verdict
from roles.verify.verdict.writing import write_whole

APIS = "apis.json"
"""The file, below the state folder."""

_KEPT = 20
"""Generations in it: more than a host keeps."""

_FAILED = TypeAdapter(dict[str, dict[str, str]])


def keep_apis(verdict: Verdict, state: Path) -> None:
    """Keeps it in place of what was kept of the same generation; nothing if no route was asked so.

    Raises:
        OSError: the file could not be written; what was there is still there.
    """
    asked = [check for check in verdict.checks if check.asks_apis]
    if not asked:
        return
    kept = failed_apis(_text(state / APIS))
    kept.pop(verdict.generation, None)
    kept[verdict.generation] = {check.id: check.code or "" for check in asked if not check.ok}
    text = json.dumps(dict(list(kept.items())[-_KEPT:]), ensure_ascii=False)
    write_whole(f"{text}\n", state / APIS)


def failed_apis(text: str | bytes) -> dict[str, dict[str, str]]:
    """Generation → check id → code of what failed, from the file's text; none if it is damaged."""
    try:
        return _FAILED.validate_json(text)
    except ValidationError:
        return {}


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
