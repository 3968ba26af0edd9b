"""A lock made anew: what is there stays, what is new is added, what is gone goes, and what is named moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from roles.host.programs.console import megabytes
from roles.lock.entries import (
    Entry,
    LockContent,
    LockedAddress,
    LockedModel,
    LockedRevision,
    LockedSent,
    LockedSet,
    LockedSource,
)
from roles.lock.file import LockError
from roles.lock.incomplete import missing
from roles.lock.obey import covers
from roles.lock.references import Reference, merged

ALL = "all"
_SHOWN = 12

Resolve = Callable[[Reference, Entry | None], Entry]


@dataclass(frozen=True)
class Update:
    """The new lock, and for people a line for each thing that is another than before."""

    content: LockContent
    changes: tuple[str, ...]


def updated(
    old: LockContent, hosts: Mapping[str, Sequence[Reference]], upgrade: str | None, resolve: Resolve
) -> Update:
    """The lock of an inventory.

    Args:
        hosts: host → what its plan refers to.
        upgrade: the name of what is to move, or `all`; none = nothing.
        resolve: see `resolve_reference`.

    Raises:
        LockError: as `resolve`; or nothing that moves has the name.
    """
    references = merged(reference for each in hosts.values() for reference in each)
    named = _named(references, upgrade)
    sections: dict[str, dict[str, Entry]] = {}
    changes = []
    for reference in references:
        before = old.section(reference.section).get(reference.key)
        if before is not None and reference not in named and covers(before, reference) and not missing(before):
            now = before
        else:
            stays = before is not None and reference not in named and (reference.moves or covers(before, reference))
            now = resolve(reference, before if stays else None)
        sections.setdefault(reference.section, {})[reference.key] = now
        if before is None:
            changes.append(f"+ {reference.key}: {_shown(now)}")
        elif _identity(before) != _identity(now):
            changes.append(f"{reference.key}: {_shown(before)} → {_shown(now)}")
        elif before != now:
            changes.append(f"{reference.key}: more is known of {_shown(now)}")
    kept = {(reference.section, reference.key) for reference in references}
    for section in ("hub", "registry", "addresses", "sent", "sources", "python"):
        changes += [f"- {key}" for key in sorted(old.section(section)) if (section, key) not in kept]
    names = {host: sorted(reference.key for reference in each) for host, each in hosts.items()}
    return Update(LockContent.model_validate({"hosts": names, **sections}), tuple(changes))


def _named(references: Sequence[Reference], upgrade: str | None) -> list[Reference]:
    moving = [reference for reference in references if reference.moves]
    if upgrade is None:
        return []
    if upgrade == ALL:
        return moving
    if found := [reference for reference in moving if upgrade in reference.names]:
        return found
    if any(upgrade in reference.names for reference in references):
        raise LockError(f"{upgrade} is pinned by the inventory itself: change it there")
    there = ", ".join(reference.key for reference in moving) or "nothing does"
    raise LockError(f"nothing that moves is called {upgrade}; what moves: {there}")


def _identity(entry: Entry) -> str:
    match entry:
        case LockedRevision(commit=commit):
            return commit
        case LockedModel(digest=digest):
            return digest
        case LockedSet(requirements=requirements, build_requirements=build):
            return f"{requirements}{build or ''}"
        case LockedAddress(sha256=sha256) | LockedSent(sha256=sha256) | LockedSource(sha256=sha256):
            return sha256


def _shown(entry: Entry) -> str:
    size = _size(entry)
    return f"{_identity(entry)[:_SHOWN]}{f' ({megabytes(size)})' if size else ''}"


def _size(entry: Entry) -> int | None:
    if isinstance(entry, LockedRevision):
        return sum(file.size for file in entry.files.values())
    return entry.size if isinstance(entry, LockedModel | LockedAddress | LockedSent) else None
