"""Pulling a model from a registry."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from .download import Downloads
from .errors import ApiError
from .go_formats import decode
from .names import Name
from .registry_client import Registry, RegistryError
from .store import Store


def pull(
    store: Store, downloads: Downloads, name: Name, version: str, *, insecure: bool, prune: bool
) -> Generator[dict[str, Any], None, None]:
    """Yields the lines of progress."""
    try:
        replaced = {layer.digest for layer in store.manifest(name).all_layers if layer.digest}
    except (FileNotFoundError, ApiError):
        replaced = set()
    yield {"status": "pulling manifest"}
    registry = Registry(name, version, insecure=insecure)
    data = registry.manifest()
    try:
        content = decode(data.decode(errors="replace"))
    except ValueError as error:
        raise ApiError(500, f"pull model manifest: {error}") from error
    digests = [layer["digest"] for layer in [*content.get("layers", []), content.get("config", {})] if layer]
    fetched = []
    for digest in digests:
        try:
            was_here = yield from downloads.fetch(registry, digest)
        except RegistryError as error:
            raise ApiError(500, str(error)) from error
        if not was_here:
            fetched.append(digest)
    yield {"status": "verifying sha256 digest"}
    for digest in fetched:
        _verify(store.blob(digest), digest)
    yield {"status": "writing manifest"}
    store.write_manifest_bytes(name, data)
    unused = replaced - set(digests)
    if prune and unused:
        yield {"status": "removing unused layers"}
        store.remove_unused(unused)
    yield {"status": "success"}


def _verify(blob: Path, digest: str) -> None:
    with blob.open("rb") as file:
        found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if found != digest:
        blob.unlink()
        raise ApiError(500, f"digest mismatch, file must be downloaded again: want {digest}, got {found}")
