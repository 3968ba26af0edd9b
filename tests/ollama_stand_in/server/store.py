"""Models on disk: blobs named by digest, and manifests that say which of them make a model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import ApiError, StartError
from .go_formats import decode, encode
from .names import Name, parse_name

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.ollama.image."

_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}")
_PRUNE_AFTER = 3600
"""Seconds: a blob may have been uploaded for a model that is still to be created."""


@dataclass(frozen=True)
class Layer:
    type: str
    """Without the prefix that all types share."""
    digest: str
    size: int
    origin: str = ""
    """The model that it was taken from."""
    status: str = ""
    """What is told of it when a model is created."""

    def as_json(self) -> dict[str, Any]:
        media_type = CONFIG_TYPE if self.type == "config" else LAYER_TYPE + self.type
        origin = {"from": self.origin} if self.origin else {}
        return {"mediaType": media_type, "digest": self.digest, "size": self.size, **origin}


@dataclass(frozen=True)
class Manifest:
    name: Name
    config: Layer
    layers: tuple[Layer, ...]
    digest: str
    modified: int
    """Nanoseconds since 1970."""

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        return (*self.layers, self.config)

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.all_layers)

    def layer(self, kind: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.type == kind), None)


class Store:
    def __init__(self, folder: Path) -> None:
        self.blobs = folder / "blobs"
        self.manifests_folder = folder / "manifests"
        for made in (self.blobs, self.manifests_folder):
            try:
                made.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = (error.strerror or "").lower()
                raise StartError(f"mkdir {error.filename}: {reason}: ensure path elements are traversable") from error

    def blob(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ApiError(400, "invalid digest format")
        return self.blobs / digest.replace(":", "-")

    def add_layer(self, kind: str, chunks: Iterable[bytes]) -> Layer:
        """Store these bytes as a blob; what is there already is used."""
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.blobs, prefix="sha256-", delete=False, buffering=0) as file:
            temporary = Path(file.name)
            try:
                for chunk in chunks:
                    try:
                        _write_all(file, chunk)
                    except OSError as error:
                        raise ApiError(500, f"write {temporary}: {(error.strerror or str(error)).lower()}") from error
                    digest.update(chunk)
                    size += len(chunk)
            except BaseException:
                temporary.unlink()
                raise
        name = f"sha256:{digest.hexdigest()}"
        blob = self.blob(name)
        if blob.exists():
            temporary.unlink()
            blob.touch()
            return Layer(kind, name, size, status=f"using existing layer {name}")
        temporary.chmod(0o644)
        temporary.rename(blob)
        return Layer(kind, name, size, status=f"creating new layer {name}")

    def reuse_layer(self, layer: Layer, origin: str) -> Layer:
        """A layer of another model."""
        blob = self.blob(layer.digest)
        blob.touch()
        return Layer(layer.type, layer.digest, blob.stat().st_size, origin, f"using existing layer {layer.digest}")

    def names(self) -> list[Name]:
        return [name for name, _ in self._files()]

    def _files(self) -> Iterator[tuple[Name, Path]]:
        for path in sorted(self.manifests_folder.glob("*/*/*/*")):
            host, namespace, model, tag = path.relative_to(self.manifests_folder).parts
            name = Name(host, namespace, model, tag)
            if path.is_file() and name.valid:
                yield name, path

    def existing(self, text: str) -> Name:
        """A name as it was asked for, in the case of those that are here."""
        return parse_name(text).in_the_case_of(self.names())

    def manifests(self) -> list[Manifest]:
        """Those that can be read; the rest stands in nobody's way."""
        found = []
        for name, _ in self._files():
            with contextlib.suppress(ApiError, FileNotFoundError):
                found.append(self.manifest(name))
        return found

    def manifest(self, name: Name) -> Manifest:
        """Raises `FileNotFoundError`, and `ApiError` for a damaged one."""
        path = self.manifests_folder / name.path
        try:
            data = path.read_bytes()
        except NotADirectoryError as error:
            raise FileNotFoundError(path) from error
        try:
            content = decode(data.decode(errors="replace"))
        except ValueError as error:
            raise ApiError(500, str(error)) from error
        config, layers = content.get("config") or {}, content.get("layers") or []
        return Manifest(
            name,
            _layer(config, "config"),
            tuple(_layer(layer, layer.get("mediaType", "").removeprefix(LAYER_TYPE)) for layer in layers),
            hashlib.sha256(data).hexdigest(),
            path.stat().st_mtime_ns,
        )

    def write_manifest(self, name: Name, config: Layer, layers: list[Layer]) -> None:
        content = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.as_json(),
            "layers": [layer.as_json() for layer in layers],
        }
        self.write_manifest_bytes(name, (encode(content) + "\n").encode())

    def write_manifest_bytes(self, name: Name, data: bytes) -> None:
        path = self.manifests_folder / name.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def copy(self, source: Name, target: Name) -> None:
        """Raises `FileNotFoundError`."""
        if source != target:
            self.write_manifest_bytes(target, (self.manifests_folder / source.path).read_bytes())

    def delete(self, manifest: Manifest) -> None:
        path = self.manifests_folder / manifest.name.path
        path.unlink()
        self._remove_empty_folders()
        self.remove_unused({layer.digest for layer in manifest.all_layers})

    def remove_unused(self, digests: set[str]) -> None:
        used = {layer.digest for manifest in self.manifests() for layer in manifest.all_layers}
        for digest in digests - used:
            self.blob(digest).unlink(missing_ok=True)

    def prune(self, say: Callable[[str], None]) -> None:
        """Remove blobs that no model has; not as long as a damaged manifest may name them."""
        for name in self.names():
            try:
                self.manifest(name)
            except ApiError as error:
                say(f"corrupt manifests detected, skipping prune operation.  Re-pull or delete to clear: {error}")
                return
        old = [blob for blob in self.blobs.iterdir() if time.time() - blob.stat().st_mtime > _PRUNE_AFTER]
        for blob in old:
            if not _DIGEST.fullmatch(blob.name):
                blob.unlink()  # a download that nobody went on with
        self.remove_unused({blob.name.replace("-", ":") for blob in old if _DIGEST.fullmatch(blob.name)})
        self._remove_empty_folders()

    def _remove_empty_folders(self) -> None:
        for folder in sorted(self.manifests_folder.glob("**/"), reverse=True):
            if folder != self.manifests_folder and not any(folder.iterdir()):
                shutil.rmtree(folder)


def _layer(content: dict[str, Any], kind: str) -> Layer:
    return Layer(kind, content.get("digest", ""), content.get("size", 0), content.get("from", ""))


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _write_all(file: IO[bytes], data: bytes) -> None:
    """A disk that has room for a part takes that part, and says so by the length alone; it fails at the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
