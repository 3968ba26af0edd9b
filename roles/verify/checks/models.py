"""Checks of the models: their files are as installed, and servers have the models that were fetched for them.

A model's install record has the content digests and the metadata of its files. A file is read only if its metadata
differs, or with `deep`: reading takes a second or more a GB.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from roles.contract.generation import INSTALL_MARK
from roles.contract.manifest import DIGESTS_FILE
from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import Generation, KeptModel, ModelList, Provider
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import read_foreign
from roles.verify.verdict.sizes import size

_PREFIX = "model-"
"""How the names of all models' installs begin."""
_LONGEST_ANSWER = 30.0


def model_checks(generation: Generation, *, deep: bool) -> list[Coroutine[Any, Any, Check]]:
    """The checks of the installed models, to be awaited.

    Args:
        deep: read every file, also one that looks unchanged.
    """
    checks = []
    for link in sorted((generation.folder / "install").glob("*")):
        if link.is_symlink() and link.name.startswith(_PREFIX):
            name = link.name.removeprefix(_PREFIX)
            claim = Claim(f"model/{name}/digest", name, "is what was installed", "the recorded digests")
            checks.append(claim.check(asyncio.to_thread(_installed, link, deep)))
    return checks


def _installed(folder: Path, deep: bool) -> str:
    try:
        record: Mapping[str, Any] | None = json.loads((folder / INSTALL_MARK).read_text()).get("files")
    except FileNotFoundError:
        raise CheckFailed("model-missing", f"{folder.readlink()} is not whole: run deploys/full.py") from None
    except (OSError, ValueError) as error:
        raise CannotCheck(f"{folder / INSTALL_MARK}: {error}") from None
    if record is None:
        return "installed by a version that did not record digests"
    read = 0
    for path, wanted in record.items():
        read += _compare(folder, path, wanted, deep)
    total = sum(wanted["size"] for wanted in record.values())
    count = f"{len(record)} files" if len(record) > 1 else "1 file"
    return f"{count}, {size(total)}, {f'{size(read)} of it read' if read else 'untouched'}"


def _compare(folder: Path, path: str, wanted: Mapping[str, Any], deep: bool) -> int:
    """How many bytes of a file had to be read to see that it is right.

    Raises:
        CheckFailed: it is not.
    """
    remove = f"remove {folder.resolve()} and run deploys/full.py"
    # One of the host's own is never touched: its keeper knows which of both is right.
    fix = f": put it back, or {remove}, which takes it as it is now" if path.startswith("/") else f": {remove}"
    file = folder / path
    try:
        found = file.stat()
        if found.st_size != wanted["size"]:
            raise CheckFailed("model-changed", f"{path} has {found.st_size} bytes, not {wanted['size']}{fix}")
        if not deep and (found.st_mtime_ns, found.st_ino) == (wanted["mtime_ns"], wanted["inode"]):
            return 0
        kind, digest = wanted["digest"]
        actual = _digest(file, kind, found.st_size)
    except FileNotFoundError:
        raise CheckFailed("model-missing", f"{path} is gone{fix}") from None
    except OSError as error:
        raise CannotCheck(f"{file}: {error.strerror}") from None
    if actual != digest:
        raise CheckFailed("model-changed", f"{path} has the digest {actual}, not {digest}{fix}")
    return found.st_size


def _digest(file: Path, kind: str, length: int) -> str:
    """`sha256` of its bytes, or `git-blob`, the SHA-1 that git and the Hub use for the content of small files."""
    with file.open("rb") as content:
        if kind == "sha256":
            return hashlib.file_digest(content, "sha256").hexdigest()
        begun = hashlib.sha1(b"blob %d\0" % length, usedforsecurity=False)
        return hashlib.file_digest(content, lambda: begun).hexdigest()


def kept_model_checks(
    context: VerificationContext, brought: Sequence[Awaitable[Check]]
) -> Iterator[Coroutine[Any, Any, Check]]:
    """The checks of the models that servers store by themselves, to be awaited.

    Args:
        brought: the checks of the tasks that fetch models: this runs after them.
    """
    generation = context.generation
    done_files = {task.unit: context.runtime / task.done_file for task in generation.tasks}
    for provider in generation.providers:
        listed = provider.traits.kept_models
        if listed is None:
            continue
        records = [done_files[task].with_name(DIGESTS_FILE) for task in provider.tasks]
        for model in provider.kept_models:
            name = f"{model.name}@{provider.name}"
            claim = Claim(f"model/{name}/digest", name, "is what was brought", model.digest or "its digest then")
            yield claim.check(_brought(model, listed, provider, records, context.client, brought))


async def _brought(
    model: KeptModel,
    listed: ModelList,
    provider: Provider,
    records: Sequence[Path],
    client: httpx.AsyncClient,
    brought: Sequence[Awaitable[Check]],
) -> str:
    await asyncio.gather(*brought)
    digest = _of(model.name, await _digests(provider, listed, client), listed)
    if digest is None:
        raise CheckFailed("model-missing", "the server does not have it")
    wanted = model.digest
    for record in records:
        # Absent if the task has failed, which its own check reports, or comes from an earlier version.
        if wanted is None and record.exists():
            wanted = _recorded(record).get(model.name)
    if wanted is not None and digest != wanted:
        raise CheckFailed("model-changed", f"{digest}, not {wanted}: somebody pulled or made it anew")
    return digest


def _recorded(record: Path) -> Mapping[str, Any]:
    """What the task, which runs as another user, has recorded."""
    try:
        found: dict[str, Any] = dict(json.loads(read_foreign(record)))
    except (OSError, ValueError, TypeError) as error:
        raise CannotCheck(f"{record}: {error}") from None
    return found


async def _digests(provider: Provider, listed: ModelList, client: httpx.AsyncClient) -> Mapping[str, str]:
    address = httpx.URL(provider.service.ready_url).copy_with(path=listed.path)
    try:
        reply = await client.get(address, timeout=_LONGEST_ANSWER)
        return {str(model[listed.name]): str(model[listed.digest]) for model in reply.json()[listed.items]}
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise CannotCheck(f"{address}: {type(error).__name__}") from None


def _of(name: str, digests: Mapping[str, str], listed: ModelList) -> str | None:
    return digests.get(name) or (digests.get(f"{name}:{listed.default_tag}") if listed.default_tag else None)
