"""`ModelRegistry`: a registry of models for Ollama to pull from, that fails on request.

It runs in threads of the test's own process, on a port of its own, and notes what it was asked. Blobs are answered as
the real registry answers them: by a redirect to another host, which then serves parts.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.labhost.http_server import QuietHandler, ThreadedServer, asked_part, pieces

_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.ollama.image."
_MANIFEST = re.compile(r"/v2/(?P<model>[\w.-]+/[\w.-]+)/manifests/(?P<tag>[\w.-]+)")
_BLOB = re.compile(r"/v2/[\w.-]+/[\w.-]+/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_DIRECT = re.compile(r"/direct/(?P<digest>sha256:[0-9a-f]{64})")


def publish(
    folder: Path,
    name: str,
    tag: str,
    gguf: Path,
    template: str | None = None,
    *,
    license: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> str:
    """Put a model ("library/small") into a registry's folder; returns the digest that `/api/tags` will show for it."""
    blobs = folder / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)

    def layer(media_type: str, data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    layers = [layer(_LAYER_TYPE + "model", gguf.read_bytes())]
    texts = {"template": template, "license": license, "params": json.dumps(parameters) if parameters else None}
    layers += [layer(_LAYER_TYPE + kind, text.encode()) for kind, text in texts.items() if text is not None]
    described = {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "123K",
        "file_type": "F32",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    config = layer(_CONFIG_TYPE, _json(described))
    manifest = _json({"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": layers})
    path = folder / "manifests" / name / tag
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest)
    return hashlib.sha256(manifest).hexdigest()


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


@dataclass
class RegistryFaults:
    """What goes wrong with each response."""

    refuse_manifest_with: int | None = None
    """Answer requests for a manifest with this status; 401 names a place to get a token, where there is none."""
    refuse_blob_with: int | None = None
    """Answer requests for a blob with this status, before the redirect."""
    refusal: str = ""
    """What a refusal says."""
    manifest_text: bytes | None = None
    """Serve this as the manifest."""
    cut_after: int | None = None
    """Close the connection after that many bytes of a blob."""
    flip_byte: int | None = None
    """Serve the byte at this offset of a blob with all its bits inverted."""
    ignore_range: bool = False
    """Answer a request for a part with the whole blob."""
    no_redirect: bool = False
    """Serve blobs without sending to another host first, as most registries do and Ollama's does not."""
    seconds_a_chunk: float = 0
    """Wait so long before each 64 KiB of a blob."""


@dataclass
class Asked:
    """One request, and the status that it was answered with."""

    method: str
    path: str
    status: int
    range: str | None = None


class ModelRegistry(ThreadedServer):
    """Serves ``folder``, filled by `publish`, on ``address`` while its ``with`` block runs.

    ``other_host`` is the name or address that blobs are redirected to: one that leads to the same address, and differs
    from the one that the model's name has. ``faults`` may be changed at any time.
    """

    def __init__(
        self, folder: Path, address: str, *, other_host: str = "localhost", faults: RegistryFaults | None = None
    ) -> None:
        super().__init__(address, _Handler)
        self.folder = folder
        self.other_host = other_host
        self.scheme = "http"
        """Of what is redirected to; `https` for one that was given a certificate."""
        self.faults = faults or RegistryFaults()
        self.asked: list[Asked] = []

    @property
    def host(self) -> str:
        """As it stands in the name of a model: ``host/library/small``."""
        return self.url.removeprefix("http://")


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: ModelRegistry

    def do_GET(self) -> None:
        registry, path = self.server, self.path.partition("?")[0]
        if found := _MANIFEST.fullmatch(path):
            self._serve_manifest(registry.folder / "manifests" / found["model"] / found["tag"])
        elif found := _BLOB.fullmatch(path):
            self._serve_blob(found["digest"])
        elif found := _DIRECT.fullmatch(path):
            self._serve_bytes(registry.folder / "blobs" / found["digest"])
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def _serve_manifest(self, path: Path) -> None:
        faults = self.server.faults
        if faults.refuse_manifest_with is not None:
            realm = f'Bearer realm="http://{self.server.host}/token",service="ollama",scope="pull"'
            challenge = {"WWW-Authenticate": realm} if faults.refuse_manifest_with == 401 else {}
            self._answer(faults.refuse_manifest_with, faults.refusal.encode(), challenge)
        elif path.is_file():
            data = path.read_bytes() if faults.manifest_text is None else faults.manifest_text
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            self._answer(200, data, {"Content-Type": _MANIFEST_TYPE, "Docker-Content-Digest": digest})
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def _serve_blob(self, digest: str) -> None:
        registry = self.server
        blob = registry.folder / "blobs" / digest
        if registry.faults.refuse_blob_with is not None:
            self._answer(registry.faults.refuse_blob_with, registry.faults.refusal.encode())
        elif not blob.is_file():
            self._answer(HTTPStatus.NOT_FOUND)
        elif self.command == "HEAD" or registry.faults.no_redirect:
            self._serve_bytes(blob)
        else:
            location = f"{registry.scheme}://{registry.other_host}:{registry.server_port}/direct/{digest}"
            self._answer(HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": location})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        # Noted before it is sent: who has the answer finds it noted.
        self.server.asked.append(Asked(self.command, self.path, status, self.headers.get("Range")))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve_bytes(self, blob: Path) -> None:
        faults = self.server.faults
        size = blob.stat().st_size
        part = None if faults.ignore_range else asked_part(self.headers.get("Range"), size)
        first, end = part or (0, size)
        headers = {"Content-Length": str(end - first), "Content-Type": "application/octet-stream"}
        if part:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        self._answer(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, headers=headers)
        if self.command != "HEAD":
            self._send_body(blob, first, end)

    def _send_body(self, blob: Path, first: int, end: int) -> None:
        registry = self.server
        faults = registry.faults
        stop = end if faults.cut_after is None else min(end, first + faults.cut_after)
        sent = 0
        for piece in pieces(blob, first, stop, faults.flip_byte):
            if faults.seconds_a_chunk and registry.closing.wait(faults.seconds_a_chunk):
                break
            try:
                self.wfile.write(piece)
            except OSError:  # the client has gone
                break
            sent += len(piece)
        if first + sent < end:
            self.close_connection = True
