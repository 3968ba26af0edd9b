"""The checks that programs and environments are still as installed.

Each install recorded the size, time and mode of its files, and their digests. Each run compares the former for all
files, which takes some ten microseconds a file; with `--deep` it reads the files too.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK
from roles.contract.look import digest_of, look_of
from roles.contract.verdict import Check
from roles.verify.generation import Generation
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import escaped

_MODELS = "models"
"""Where all models are installed; they have their own checks."""
_MOST_NAMES = 3


def install_checks(generation: Generation, *, deep: bool) -> list[Coroutine[Any, Any, Check]]:
    """One for each install, to be awaited; two names of one folder make one check.

    Args:
        deep: read every file.
    """
    links = [link for link in sorted((generation.folder / "install").glob("*")) if link.is_symlink()]
    once = {link.readlink(): link for link in reversed(links) if link.readlink().parent.name != _MODELS}
    return [
        Claim(f"install/{link.name}/files", link.name, "is what was installed", "the recorded files").check(
            asyncio.to_thread(_is_whole, link, deep)
        )
        for link in once.values()
    ]


def _is_whole(folder: Path, deep: bool) -> str:
    try:
        wanted = json.loads((folder / INSTALL_MARK).read_bytes()).get("tree")
        seen = look_of(folder)
    except FileNotFoundError as error:
        raise CheckFailed("install-missing", f"{error.filename} is gone: run deploys/full.py") from None
    except (OSError, ValueError, AttributeError) as error:
        raise CannotCheck(f"{folder / INSTALL_MARK}: {error}") from None
    if wanted is None:
        return "installed by a version that kept no record"
    damaged = [] if wanted == digest_of(seen) else list(_differences(folder, seen))
    if deep and not damaged:
        damaged = list(_other_bytes(folder))
    if damaged or wanted != digest_of(seen):
        names = escaped(", ".join(damaged[:_MOST_NAMES])) or "it does not look as it did"
        more = f" and {len(damaged) - _MOST_NAMES} more" if len(damaged) > _MOST_NAMES else ""
        raise CheckFailed("install-damaged", f"damaged: {names}{more}")
    return f"{len(seen)} files, {'all of them read' if deep else 'untouched'}"


def _recorded(folder: Path) -> dict[str, tuple[str, str | None]]:
    try:
        return {
            path: (look, digest) for path, (look, digest) in json.loads((folder / INSTALL_FILES).read_bytes()).items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CheckFailed("install-damaged", f"damaged: {folder / INSTALL_FILES}: {error}") from None


def _differences(folder: Path, seen: dict[str, str]) -> Iterator[str]:
    recorded = _recorded(folder)
    for path in sorted({*recorded, *seen}):
        if path not in seen:
            yield f"{path} is gone"
        elif path not in recorded:
            yield f"{path} was added"
        elif seen[path] != recorded[path][0]:
            yield f"{path} was changed"


def _other_bytes(folder: Path) -> Iterator[str]:
    for path, (_, digest) in _recorded(folder).items():
        if digest is not None:
            with (folder / path).open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != digest:
                    yield f"{path} has other bytes"
