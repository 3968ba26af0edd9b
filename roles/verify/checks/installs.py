"""The checks that programs and environments are what was installed.

When an install was made, what is seen of its files was written down (size, time, mode), and their digests. Each run
looks at all of them, which takes some ten microseconds a file; with `--deep` it reads them too.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.generation import Generation
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import escaped

_MARK, _FILES = ".install.json", ".files.json"
_MODELS = "models"
"""Where all models are installed, which have checks of their own."""
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
        wanted = json.loads((folder / _MARK).read_bytes()).get("tree")
        seen = dict(_seen(folder))
    except FileNotFoundError as error:
        raise CheckFailed(f"{error.filename} is gone: run deploys/full.py") from None
    except (OSError, ValueError, AttributeError) as error:
        raise CannotCheck(f"{folder / _MARK}: {error}") from None
    if wanted is None:
        return "installed by a version that kept no record"
    damaged = [] if wanted == _digest(seen) else list(_differences(folder, seen))
    if deep and not damaged:
        damaged = list(_other_bytes(folder))
    if damaged or wanted != _digest(seen):
        names = escaped(", ".join(damaged[:_MOST_NAMES])) or "it does not look as it did"
        more = f" and {len(damaged) - _MOST_NAMES} more" if len(damaged) > _MOST_NAMES else ""
        raise CheckFailed(f"damaged: {names}{more}")
    return f"{len(seen)} files, {'all of them read' if deep else 'untouched'}"


def _seen(folder: Path, inner: str = "") -> Iterator[tuple[str, str]]:
    """As the program that installs writes it down: path → what is seen of a file or link without reading it."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{inner}{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _seen(Path(entry.path), f"{path}/")
        elif stat.S_ISLNK(status.st_mode):
            yield path, f"-> {Path(entry.path).readlink()}"
        elif path not in (_MARK, _FILES):
            yield path, f"{status.st_size} {status.st_mtime_ns} {stat.S_IMODE(status.st_mode):o}"


def _digest(seen: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _recorded(folder: Path) -> dict[str, tuple[str, str | None]]:
    try:
        return {path: (look, digest) for path, (look, digest) in json.loads((folder / _FILES).read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CheckFailed(f"damaged: {folder / _FILES}: {error}") from None


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
                    yield f"{path} holds other bytes"
