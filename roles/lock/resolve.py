"""What references are now, asked from where they lead: the network of this machine is needed, and no host."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.error
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from roles.contract.gguf import Header
from roles.host.programs.below import one_line
from roles.host.programs.console import HostError
from roles.host.programs.installers.download import open_url
from roles.host.programs.installers.release import listed_digest
from roles.lock.entries import (
    Entry,
    LockedAddress,
    LockedLayer,
    LockedModel,
    LockedRevision,
    LockedSent,
    LockedSet,
    LockedSource,
)
from roles.lock.facts import gguf_facts, gguf_header
from roles.lock.file import LockError
from roles.lock.references import Address, Pulled, PythonSet, Reference, Revision, Sdist, Sent
from roles.lock.revision import locked_revision

T = TypeVar("T")

_TIMEOUT = 30.0
"""Seconds without a byte."""
_LONGEST_MANIFEST = 4 << 20
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_SHA256 = re.compile("sha256:([0-9a-f]{64})")


def resolve_reference(reference: Reference, keep: Entry | None) -> Entry:
    """The entry of a reference.

    Args:
        keep: the entry that it has. What moves stays where that is: only what it lacks is asked for.

    Raises:
        LockError: the network, or who is asked, does not give it; or it is something else than the inventory declares.
    """
    try:
        match reference:
            case Revision():
                return locked_revision(reference, keep.commit if isinstance(keep, LockedRevision) else None)
            case Pulled():
                return _pulled(reference, keep.digest if isinstance(keep, LockedModel) else None)
            case Address():
                return _address(reference, keep.sha256 if isinstance(keep, LockedAddress) else None)
            case Sent():
                return _sent(reference)
            case Sdist(sha256=sha256):
                return LockedSource(sha256=sha256)
            case PythonSet(of=of, requirements=requirements, build_requirements=build):
                return LockedSet(of=of, requirements=requirements, build_requirements=build)
    except HostError as error:
        raise LockError(f"{reference.key}: {error}") from None
    raise AssertionError(reference)


def _address(reference: Address, kept: str | None) -> LockedAddress:
    name = reference.key.rsplit("/", 1)[-1]
    sha256 = reference.sha256 or kept or listed_digest(reference.url, name, name)
    length, facts = _opened(reference.url, reference.key, lambda answer: _beginning(answer, reference.model))
    return LockedAddress(sha256=sha256, size=length, facts=facts)


def _beginning(answer: HTTPResponse, model: bool) -> tuple[int | None, Any]:
    """The length of what is sent, and the facts if it is a model."""
    if answer.length is None or not model:
        return answer.length, None
    return answer.length, gguf_facts([gguf_header(cast("BinaryIO", answer), answer.length)])


def _sent(reference: Sent) -> LockedSent:
    try:
        with Path(reference.path).expanduser().open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            header: Header | str = gguf_header(file, size)
    except OSError as error:
        raise LockError(f"{reference.path} cannot be read: {error.strerror}; fix its `path`") from None
    return LockedSent(sha256=reference.sha256, size=size, facts=gguf_facts([header]))


def _pulled(reference: Pulled, kept: str | None) -> LockedModel:
    """
    Raises:
        LockError: the registry has another manifest than the one that is kept or declared: by a name it serves the
            newest alone.
    """
    url, wanted = reference.model.manifest_url, reference.model.digest or kept
    text = _opened(url, reference.key, lambda answer: answer.read(_LONGEST_MANIFEST), {"Accept": _MANIFEST_TYPE})
    digest = hashlib.sha256(text).hexdigest()
    if wanted and wanted != digest:
        whose = "declared in the inventory" if reference.model.digest else "locked"
        raise LockError(
            f"{reference.key}: its registry has {digest} by that name now, and {wanted} is {whose}; "
            + ("change its `digest`" if reference.model.digest else f"move it with --data upgrade={reference.key}")
        )
    try:
        layers = [_layer(layer) for layer in json.loads(text)["layers"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise LockError(f"{reference.key}: {url} does not answer as a registry of models; fix its name") from None
    weights = [layer for layer in layers if layer.kind == "model"]
    facts: Any = "it has no layer with a model, or several"
    if len(weights) == 1:
        blob, size = f"{url.rsplit('/manifests/', 1)[0]}/blobs/sha256:{weights[0].digest}", weights[0].size
        header = _opened(blob, reference.key, lambda answer: gguf_header(cast("BinaryIO", answer), size))
        facts = gguf_facts([header])
    return LockedModel(digest=digest, size=sum(layer.size for layer in layers), layers=layers, facts=facts)


def _layer(layer: Mapping[str, Any]) -> LockedLayer:
    digest = _SHA256.fullmatch(layer["digest"])
    if digest is None:
        raise ValueError(layer["digest"])
    return LockedLayer(kind=layer["mediaType"].rpartition(".")[2], digest=digest[1], size=layer["size"])


def _opened(url: str, name: str, use: Callable[[HTTPResponse], T], headers: Mapping[str, str] | None = None) -> T:
    """What `use` makes of an answer, whose rest is not read.

    Raises:
        LockError: there is none.
    """
    shown = url.partition("?")[0]
    try:
        with open_url(url, headers or {}, timeout=_TIMEOUT) as answer:
            return use(answer)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            why = "it is private, or there is no such thing; a model that needs a login cannot be locked"
        elif error.code == 404:
            why = "there is no such thing; fix its name or address"
        else:
            why = "run again later"
        raise LockError(f"{name}: {shown} answers {error.code}: {why}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise LockError(f"{name}: {shown} cannot be reached: {_reason(error)}; run again with a network") from None


def _reason(error: Exception) -> str:
    return one_line(getattr(error, "reason", None) or error) or type(error).__name__
