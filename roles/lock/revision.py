"""A revision of a model repository on a Hub: its commit, the digests of its files, and the facts of its models."""

from __future__ import annotations

import hashlib
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO, TypeVar, cast

from roles.host.programs.below import one_line
from roles.host.programs.console import megabytes
from roles.host.programs.installers.download import open_url
from roles.host.programs.installers.hub import Hub, HubEntry, wanted_files
from roles.lock.entries import LockedFile, LockedRevision
from roles.lock.facts import Facts, checkpoint_facts, gguf_facts, gguf_header, safetensors_header
from roles.lock.file import LockError
from roles.lock.references import Revision
from roles.options.sources import parts_of_gguf

T = TypeVar("T")

_TIMEOUT = 30.0
_LARGEST_SMALL = 64 << 20
"""Bytes. A Hub keeps larger files in Git LFS, by their SHA-256; those that it does not are read to digest them."""


def locked_revision(reference: Revision, commit: str | None) -> LockedRevision:
    """Its entry.

    Args:
        commit: the one that it stays at; none = the one that it leads to now.

    Raises:
        LockError, HostError: the Hub does not give it, or has another file than the inventory declares.
    """
    of = reference.of
    hub = Hub(of.endpoint, of.repository, reference.token.reveal() if reference.token else None)
    commit = commit or hub.commit(of.revision)
    read = _Read(hub, commit, reference.key)
    found = {
        entry.path: entry
        for recipe in reference.recipes
        for entry in wanted_files(hub, recipe, commit, recipe.repository)
    }
    for pattern in reference.patterns:
        if not set(pattern) & set("*?[") and pattern not in found:
            raise LockError(f"{reference.key}: it has no file {pattern} at {commit}; fix `file`")
    entries = [found[path] for path in sorted(found)]
    small = {entry.path: read.whole(entry) for entry in entries if entry.digest.kind == "git-blob"}
    digests = {
        entry.path: hashlib.sha256(small[entry.path]).hexdigest() if entry.path in small else entry.digest.hexadecimal
        for entry in entries
    }
    for path, declared in reference.sha256.items():
        if digests.get(path, declared) != declared:
            raise LockError(
                f"{reference.key}: {path} has the digest {digests[path]} at {commit}, and the inventory declares "
                f"{declared}; fix `sha256` or `revision`"
            )
    facts = _gguf_facts(entries, read)
    files = {
        entry.path: LockedFile(size=entry.size, sha256=digests[entry.path], facts=facts.get(entry.path))
        for entry in entries
    }
    return LockedRevision(
        commit=commit, patterns=[*reference.patterns], files=files, facts=_checkpoint_facts(entries, small, read)
    )


def _gguf_facts(entries: Sequence[HubEntry], read: _Read) -> dict[str, Facts]:
    """Path of a model, or of the first file of one in several, → its facts."""
    by_path = {entry.path: entry for entry in entries}
    found = {}
    for path in by_path:
        if path.endswith(".gguf"):
            try:
                parts = parts_of_gguf(path)
            except ValueError:
                continue  # a further part
            if all(part in by_path for part in parts):
                found[path] = gguf_facts([read.gguf(by_path[part]) for part in parts])
    return found


def _checkpoint_facts(entries: Sequence[HubEntry], small: Mapping[str, bytes], read: _Read) -> Facts | None:
    tensors = [entry for entry in entries if fnmatchcase(entry.path, "*.safetensors") and "/" not in entry.path]
    if not tensors:
        return None
    configs = [entry for entry in entries if entry.path == "config.json"]
    config = (small.get("config.json") or read.whole(configs[0])) if configs else None
    return checkpoint_facts(config, [read.safetensors(entry) for entry in tensors])


class _Read:
    """Reads files of one commit, or their beginnings."""

    def __init__(self, hub: Hub, commit: str, name: str) -> None:
        self._hub, self._commit, self._name = hub, commit, name

    def whole(self, entry: HubEntry) -> bytes:
        """A small file, whose digest is compared with the Hub's."""
        if entry.size > _LARGEST_SMALL:
            raise LockError(
                f"{self._name}: {entry.path} has {megabytes(entry.size)} and no SHA-256 there; leave it out of `files`"
            )
        content = self._opened(entry, lambda answer: answer.read(entry.size + 1))
        if not entry.digest.fits(content):
            raise LockError(f"{self._name}: {entry.path} comes with another digest than the Hub shows; run again")
        return content

    def gguf(self, entry: HubEntry) -> Any:
        return self._opened(entry, lambda answer: gguf_header(cast("BinaryIO", answer), entry.size))

    def safetensors(self, entry: HubEntry) -> Any:
        return self._opened(entry, lambda answer: safetensors_header(cast("BinaryIO", answer)))

    def _opened(self, entry: HubEntry, use: Callable[[HTTPResponse], T]) -> T:
        address = self._hub.address(self._commit, entry.path)
        try:
            with open_url(address, self._hub.headers, timeout=_TIMEOUT) as answer:
                return use(answer)
        except (OSError, HTTPException, ValueError) as error:
            why = one_line(getattr(error, "reason", None) or error) or type(error).__name__
            code = f" {error.code}" if isinstance(error, urllib.error.HTTPError) else ""
            raise LockError(f"{self._name}: {address} cannot be read:{code} {why}; run again later") from None
