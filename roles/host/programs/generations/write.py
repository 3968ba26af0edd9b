"""Writing a generation: complete under its name, or not there. Secrets get their mode before their content."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from roles.contract.environment_file import environment_text
from roles.contract.generation import GeneratedVariable
from roles.contract.requests import WriteGeneration
from roles.host.programs.console import say
from roles.host.programs.files import link_atomic, make_folder, remove_tree, sync_folder, write_atomic
from roles.host.programs.systemd import Manager

_SECRET_BYTES = 32


def main(request: WriteGeneration) -> None:
    for secret in request.generated_secrets:
        _ensure_secret(secret, Manager(request.scope))
    folder = Path(request.folder)
    make_folder(folder.parent)
    if folder.exists():
        # It is named by its digest but differs: it was edited. Fix it file by file, as it may be in use.
        _fill(folder, request)
        _remove_unexpected(folder, {*request.files, *request.links})
        say(f"generation {folder.name}: fixed")
        return
    for remains in folder.parent.glob(".new-*"):
        remove_tree(remains)
    new = folder.parent / f".new-{secrets.token_hex(4)}"
    make_folder(new)
    _fill(new, request)
    new.rename(folder)
    sync_folder(folder.parent)
    say(f"generation {folder.name}: written, {len(request.files)} files")


def _ensure_secret(secret: GeneratedVariable, manager: Manager) -> None:
    """An environment file with one value under one name or two; created unless it exists."""
    path = Path(secret.path)
    if path.exists():
        path.chmod(0o600)
        return
    make_folder(path.parent, 0o700)
    value = _inherited(secret, manager) or secret.prefix + secrets.token_urlsafe(_SECRET_BYTES)
    write_atomic(path, environment_text(dict.fromkeys(secret.names, value)).encode(), 0o600)


def _inherited(secret: GeneratedVariable, manager: Manager) -> str | None:
    """The value that a process of the version before was started with, if one is running."""
    values = (manager.variable(unit, secret.inherited_as) for unit in secret.inherited_from)
    return next(filter(None, values), None)


def _fill(folder: Path, request: WriteGeneration) -> None:
    for path, (content, mode) in request.files.items():
        make_folder((folder / path).parent)
        write_atomic(folder / path, base64.b64decode(content), mode)
    for path, target in request.links.items():
        make_folder((folder / path).parent)
        link_atomic(folder / path, target)


def _remove_unexpected(folder: Path, known: set[str]) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if str(path.relative_to(folder)) not in known:
                path.unlink()
