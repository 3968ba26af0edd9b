"""Removes what an Ollama server keeps and nobody declares: models, and what models were made from.

Stands alone, as `loader` does, whose request it reads:

    prune-ollama-models REQUEST.json

The server itself frees an upload only when it starts again, after an hour or more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

_LONGEST_MANIFEST = 1 << 24
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class PruneError(Exception):
    """It cannot go on: the message says why."""


def main(arguments: list[str]) -> int:
    """Exit status 0 when all is removed; 1 with one message else."""
    request = json.loads(Path(arguments[0]).read_text())
    server, store = request["server"], Path(request["store"])
    try:
        remove_models(server, request["timeout"], [model["name"] for model in request["models"]])
        freed = remove_unused(store)
    except PruneError as error:
        print(f"{server}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{store}: {error.strerror}; what no model uses there stays", file=sys.stderr)
        return 1
    if freed:
        print(f"{store}: {_megabytes(freed)} freed that no model uses", flush=True)
    return 0


def remove_models(server: str, timeout: float, declared: list[str]) -> None:
    """Remove the models that are not declared; a name without a tag means `latest`.

    Raises:
        PruneError: the server does not list or remove them.
    """
    wanted = {name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in declared}
    listed = _ask(server, "GET", "/api/tags", None, timeout)
    try:
        models = [(str(model["name"]), float(model["size"])) for model in json.loads(listed)["models"]]
    except (ValueError, LookupError, TypeError):
        raise PruneError("it does not list its models as Ollama does") from None
    for name, size in models:
        if name not in wanted:
            _ask(server, "DELETE", "/api/delete", {"model": name}, timeout)
            print(f"Ollama's model {name}: removed, {_megabytes(size)}", flush=True)


def _ask(server: str, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(urllib.request.Request(server + path, data, method=method), timeout=timeout) as answer:
            found: bytes = answer.read()
            return found
    except (OSError, http.client.HTTPException) as error:
        raise PruneError(f"{method} {path}: {error}") from None


def remove_unused(store: Path) -> int:
    """Remove the blobs that no manifest names; returns their bytes. A damaged manifest protects them all.

    Downloads that are not complete stay. The folder is another user's: no link in it is followed.
    """
    parent = os.open(store.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        folder = os.open(store.name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return 0
    finally:
        os.close(parent)
    try:
        used = _used(folder, store)
        return 0 if used is None else _remove_others(folder, used)
    finally:
        os.close(folder)


def _used(folder: int, store: Path) -> set[str] | None:
    """The digests that manifests name; none = one of them is damaged."""
    used = set[str]()
    with contextlib.suppress(FileNotFoundError):
        for below, _, names, parent in os.fwalk("manifests", dir_fd=folder):
            for name in names:
                try:
                    content = json.loads(_content(name, parent))
                    used |= {str(layer["digest"]) for layer in [*content["layers"], content["config"]]}
                except (ValueError, LookupError, TypeError):
                    print(
                        f"{store / below / name} is damaged: what no model uses stays until it is removed", flush=True
                    )
                    return None
    return used


def _content(name: str, folder: int) -> bytes:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
        return file.read(_LONGEST_MANIFEST)


def _remove_others(folder: int, used: set[str]) -> int:
    freed = 0
    try:
        blobs = os.open("blobs", _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return 0
    try:
        with os.scandir(blobs) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            if re.fullmatch("sha256-[0-9a-f]{64}", name) and name.replace("-", ":") not in used:
                freed += os.stat(name, dir_fd=blobs, follow_symlinks=False).st_size
                os.unlink(name, dir_fd=blobs)
    finally:
        os.close(blobs)
    return freed


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
