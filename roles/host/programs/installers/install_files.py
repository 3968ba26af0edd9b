"""The contents of an install when it was made: each file with its size, time and mode, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roles.contract.generation import INSTALL_MARK
from roles.contract.look import digest_of, look_of


def take(folder: Path) -> tuple[str, dict[str, list[Any]]]:
    """The digest over the look of an install's files, and the contents of `INSTALL_FILES`."""
    seen = look_of(folder)
    return digest_of(seen), {path: [look, _sha256(folder / path)] for path, look in seen.items()}


def is_damaged(folder: Path) -> bool:
    """Whether an install looks changed, or what others keep and it records. Installs of versions that kept no list of
    files count as unchanged."""
    try:
        mark = json.loads((folder / INSTALL_MARK).read_bytes())
        wanted, files = mark.get("tree"), mark.get("files") or {}
    except (OSError, ValueError, AttributeError):
        return False  # not an install, or an incomplete one, which its missing mark shows
    try:
        if wanted is not None:
            return bool(wanted != digest_of(look_of(folder)))
        return any(_looks_changed(Path(path), seen) for path, seen in files.items() if path.startswith("/"))
    except OSError:
        return True


def _looks_changed(file: Path, recorded: Mapping[str, Any]) -> bool:
    found = file.stat()
    return bool((found.st_size, found.st_mtime_ns) != (recorded["size"], recorded["mtime_ns"]))


def _sha256(file: Path) -> str | None:
    """None of a link."""
    if file.is_symlink():
        return None
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
