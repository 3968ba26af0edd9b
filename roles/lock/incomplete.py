"""What a lock does not say yet, as when it was written from publications: the next `deploys/lock.py` fills it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roles.lock.entries import Entry, LockContent, LockedAddress, LockedModel, LockedRevision
from roles.lock.references import Reference

FROM_PUBLICATIONS = {"from": "publications"}
"""Stands among the facts of a model that were computed from its published size and shape, and not read from its
files."""


def missing(entry: Entry) -> list[str]:
    """What is not known of it, for people; empty = nothing."""
    match entry:
        case LockedRevision(files=files, facts=facts):
            if not files:
                return ["its files' digests", *_of_facts(facts)]
            models = [file.facts for path, file in files.items() if path.endswith(".gguf")]
            return ["its facts"] if any(_is_published(each) for each in models) else [] if models else _of_facts(facts)
        case LockedModel(layers=layers, facts=facts):
            return [*([] if layers else ["its layers"]), *_of_facts(facts)]
        case LockedAddress(size=size):
            return [] if size is not None else ["its size"]
    return []


def incomplete(lock: LockContent | None, references: Sequence[Reference]) -> list[str]:
    """The names of what is locked and not known in full, each with what is missing."""
    found = []
    for reference in references:
        entry = lock.section(reference.section).get(reference.key) if lock else None
        if entry is not None and (parts := missing(entry)):
            found.append(f"{reference.key} ({' and '.join(parts)})")
    return found


def _of_facts(facts: Any) -> list[str]:
    return ["its facts"] if facts is None or _is_published(facts) else []


def _is_published(facts: Any) -> bool:
    return isinstance(facts, Mapping) and FROM_PUBLICATIONS.items() <= facts.items()
