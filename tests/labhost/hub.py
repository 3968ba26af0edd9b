"""A model repository as a Hugging Face Hub shows it, written as plain files for a file server to serve.

Only what a download asks for: which commit a revision is, what a commit holds, and the files themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

_LARGE = 1000
"""Bytes from which a file is shown as stored in Git LFS, by its SHA-256; smaller ones by git's own digest."""


def publish(folder: Path, repository: str, files: Mapping[str, bytes], branch: str = "main") -> str:
    """Write a repository below `folder`; its commit, to which the branch leads, is returned."""
    tree = [_entry(path, content) for path, content in files.items()]
    commit = hashlib.sha1(json.dumps(tree, sort_keys=True).encode()).hexdigest()
    api = folder / "api" / "models" / repository
    for revision in (branch, commit):
        _write(api / "revision" / revision, json.dumps({"id": repository, "sha": commit}).encode())
    _write(api / "tree" / commit, json.dumps(tree).encode())
    for path, content in files.items():
        _write(folder / repository / "resolve" / commit / path, content)
    return commit


def _entry(path: str, content: bytes) -> dict[str, object]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if len(content) >= _LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return entry


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.rename(path)
