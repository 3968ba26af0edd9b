"""What a lock means for a plan: what it pins, and what of the plan it does not, or no longer, cover."""

from __future__ import annotations

from collections.abc import Sequence

from roles.lock.entries import Entry, LockContent, LockedAddress, LockedModel, LockedRevision, LockedSet, LockedSource
from roles.lock.references import Address, Pulled, PythonSet, Reference, Revision, Sdist
from roles.plan import NO_PINS, HubPin, Pins


def pins_of(lock: LockContent | None, references: Sequence[Reference]) -> Pins:
    """What the lock pins of these references."""
    if lock is None:
        return NO_PINS
    hub, archives, pulled = {}, {}, {}
    for reference in references:
        match reference, lock.section(reference.section).get(reference.key):
            case Revision(of=of), LockedRevision(commit=commit, patterns=patterns, files=files):
                digests = {path: file.sha256 for path, file in files.items()}
                hub[of] = HubPin(commit, frozenset(patterns), digests)
            case Address(url=url), LockedAddress(sha256=sha256):
                archives[url] = sha256
            case Pulled(key=key), LockedModel(digest=digest):
                pulled[key] = digest
    return Pins(hub, archives, pulled)


def covers(entry: Entry, reference: Reference) -> bool:
    """Whether an entry still says what the inventory declares."""
    match reference, entry:
        case Revision(of=of, patterns=patterns, sha256=declared, moves=moves), LockedRevision() as found:
            known = {path: file.sha256 for path, file in found.files.items()}
            return (
                (moves or found.commit == of.revision)
                and {*patterns} <= {*found.patterns}
                and all(known.get(path, sha256) == sha256 for path, sha256 in declared.items())
            )
        case Pulled(model=model), LockedModel(digest=digest):
            return model.digest in (None, digest)
        case Address(sha256=declared), LockedAddress(sha256=sha256):
            return declared in (None, sha256)
        case PythonSet(requirements=requirements, build_requirements=build), LockedSet() as found:
            return (found.requirements, found.build_requirements) == (requirements, build)
        case Sdist(sha256=declared), LockedSource(sha256=sha256):
            return declared == sha256
    return True


def problems(lock: LockContent | None, references: Sequence[Reference]) -> tuple[list[str], list[str]]:
    """The names of what moves and has no entry, and of what is locked as something else than is declared."""
    moving, stale = [], []
    for reference in references:
        entry = lock.section(reference.section).get(reference.key) if lock else None
        if entry is None:
            moving += [reference.key] if reference.moves else []
        elif not covers(entry, reference):
            stale.append(reference.key)
    return moving, stale
