"""Making one install in its own folder, beside what is running. The folder counts only once its mark is written: a
folder without the mark is the remains of a run that died, and is made anew."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK
from roles.contract.recipes import (
    FilesRecipe,
    HostModelRecipe,
    HubModelRecipe,
    ModelRecipe,
    PythonEnvRecipe,
    ReleaseRecipe,
    SentModelRecipe,
    SourceBuildRecipe,
)
from roles.contract.requests import MakeInstall
from roles.host.programs.below import Folder, Listing, parts_of
from roles.host.programs.console import HostError, described, say, seconds
from roles.host.programs.files import make_folder, remove_tree, write_atomic
from roles.host.programs.installers.download import Copies, Digest, download
from roles.host.programs.installers.host_models import record_host_model
from roles.host.programs.installers.hub import fetch_from_hub
from roles.host.programs.installers.install_files import is_damaged, take
from roles.host.programs.installers.models_folder import copy_from, former_of
from roles.host.programs.installers.python_env import make_python_env
from roles.host.programs.installers.receive import accept_sent
from roles.host.programs.installers.release import unpack_release
from roles.host.programs.installers.source_build import build_from_source
from roles.host.programs.installers.way_out import use_way_out


def main(request: MakeInstall) -> None:
    use_way_out(request.way_out, request.cache)
    folder = Path(request.folder)
    complete = _is_complete(folder)
    if complete and not is_damaged(folder):
        return  # a step that outlived its run made it
    started = time.monotonic()
    # A damaged one is in use: its replacement is made beside it.
    place = folder.with_name(f".again-{folder.name}") if complete else folder
    try:
        digests = _make(request, place)
        os.sync()
        _mark(place, request.title, digests)
    except OSError as error:
        raise HostError(f"{request.title}: {described(error)}") from None
    if complete:
        remove_tree(folder, put=place)
    say(f"{request.title}: {'made anew' if complete else 'ready'} after {seconds(started)}")


def _mark(folder: Path, title: str, digests: Mapping[str, Digest]) -> None:
    """Record the contents, and last that the install is complete."""
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    mark = {"title": title, "made": made, "files": _record(folder, digests)}
    if not digests:
        mark["tree"], files = take(folder)
        write_atomic(folder / INSTALL_FILES, json.dumps(files).encode(), 0o644)
    write_atomic(folder / INSTALL_MARK, json.dumps(mark).encode(), 0o644)


def _is_complete(folder: Path) -> bool:
    """A mark counts only if we own it: code that builds there could write one too."""
    try:
        owners = {path.lstat().st_uid for path in (folder, folder / INSTALL_MARK)}
    except OSError:
        return False
    return owners == {os.geteuid()}


def _record(folder: Path, digests: Mapping[str, Digest]) -> dict[str, Any]:
    """What the verifier compares a model's files with: their digests, and what shows that they are unchanged. Those
    that others keep have whole paths."""
    record = {}
    for path, digest in digests.items():
        found = (folder / path).stat()
        record[path] = {
            "digest": [digest.kind, digest.hexadecimal],
            "size": found.st_size,
            "mtime_ns": found.st_mtime_ns,
            "inode": found.st_ino,
        }
    return record


def _make(request: MakeInstall, folder: Path) -> Mapping[str, Digest]:
    """Returns the digests of a model's files, by their paths; empty for other installs."""
    recipe = request.recipe
    make_folder(folder.parent)
    if isinstance(recipe, HostModelRecipe):
        make_folder(folder)
        former = None if Path(request.folder, INSTALL_MARK).exists() else former_of(Path(request.folder), request.state)
        return record_host_model(recipe, former.folder if former else Path(request.folder), request.title)
    if isinstance(recipe, ModelRecipe | SentModelRecipe | HubModelRecipe):
        # Not removed first: it contains what was downloaded before a cut.
        make_folder(folder)
        return _fetch_model(recipe, request, folder)
    remove_tree(folder)
    make_folder(folder)
    match recipe:
        case PythonEnvRecipe():
            make_python_env(recipe, request, folder)
        case SourceBuildRecipe():
            build_from_source(recipe, request, folder)
        case ReleaseRecipe():
            unpack_release(recipe, request, folder)
        case FilesRecipe():
            _write_files(recipe.files, folder, request.title)
        case _:
            assert_never(recipe)
    return {}


def _write_files(files: Mapping[str, str], path: Path, title: str) -> None:
    names = Listing(title)
    with Folder(path) as top:
        for name, text in files.items():
            names.add(parts := parts_of(name, title))
            with top.below(parts[:-1], make=True) as parent, parent.write(parts[-1]) as file:
                file.write(text.encode())


def _fetch_model(
    recipe: ModelRecipe | SentModelRecipe | HubModelRecipe, request: MakeInstall, path: Path
) -> Mapping[str, Digest]:
    title, copies = request.title, Copies(request.copies, Path(request.state))
    if former := former_of(Path(request.folder), request.state):
        return copy_from(former, path, title, copies)
    if isinstance(recipe, HubModelRecipe):
        return fetch_from_hub(recipe, path, title, request.token, copies)
    digest = Digest("sha256", recipe.sha256)
    (name,) = parts_of(recipe.filename, f"{title}: its address")
    with Folder(path) as folder:
        if folder.size(name) is None:
            if isinstance(recipe, ModelRecipe):
                download(recipe.url, digest, folder, name, title, copies=copies)
            else:
                accept_sent(folder, name, digest, title)
    return {name: digest}
