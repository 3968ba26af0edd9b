"""The facts of models that a lock has, for the memory plan."""

from __future__ import annotations

from collections.abc import Mapping

from roles.fit.stored import Facts, restored
from roles.lock.entries import Entry, LockContent, LockedAddress, LockedModel, LockedRevision, LockedSent
from roles.lock.references import references_of_install
from roles.options import HubFile
from roles.plan import KnownFacts, LoadSource, model_install


def locked_facts(lock: LockContent | None, otherwise: KnownFacts) -> KnownFacts:
    """The facts of a model in the lock, or what is known of it without.

    Args:
        otherwise: what knows the models that the lock has no facts of.
    """

    def facts_of(source: LoadSource) -> Facts | str:
        entry = _entry(lock, source) if lock else None
        found = _stored(entry, source)
        if isinstance(found, Mapping):
            return restored(found)
        return found or otherwise(source)

    return facts_of


def _entry(lock: LockContent, source: LoadSource) -> Entry | None:
    if isinstance(source, str):
        return lock.registry.get(source)
    # What lies on the host already is in no lock.
    references = references_of_install(model_install(source))
    return lock.section(references[0].section).get(references[0].key) if references else None


def _stored(entry: Entry | None, source: LoadSource) -> Mapping[str, object] | str | None:
    match entry:
        case LockedRevision(files=files) if isinstance(source, HubFile):
            file = files.get(source.files[0])
            return file.facts if file else None
        case LockedRevision() | LockedModel() | LockedAddress() | LockedSent():
            return entry.facts
    return None
