"""The folder of another disk that models are in, if the inventory names one; and models that are in a former folder.

Installs are reached there by a link below the state. A folder without its mark is not the one that the link was made
for: its disk is not mounted, and the disk above would be filled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from roles.contract.generation import INSTALL_MARK
from roles.contract.models import MODELS_LINKS
from roles.contract.requests import ModelsFolder
from roles.host.programs.below import PART, REVISION_FILE, Folder, parts_of
from roles.host.programs.console import HostError, Progress, megabytes, say
from roles.host.programs.files import link_atomic, make_folder, write_atomic
from roles.host.programs.installers.download import Copies, Digest, accept_part, check_space

_MARK = ".ai-backend.json"
"""In the folder: which host puts its models there."""
_CHUNK = 16 << 20


@dataclass(frozen=True)
class Former:
    """A model where it was before, complete.

    Attributes:
        files: path below `folder` → its size in bytes, and its digest.
    """

    folder: Path
    files: Mapping[str, tuple[int, Digest]]


def folder_problem(folder: ModelsFolder) -> str | None:
    """Why models cannot be put into a folder that is there, with the fix; none = they can."""
    path, link = Path(folder.path), Path(folder.link)
    found = path.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        whose = f"chown {os.geteuid()} {path} && chmod go-w {path}"
        return f"{path}, the `models_folder`, can be written by others: run `{whose}`"
    for above in path.resolve().parents:
        status = above.stat()
        others = status.st_uid not in (0, os.geteuid()) or (status.st_mode & 0o022 and not status.st_mode & 0o1000)
        if others:
            return (
                f"{above}, above the `models_folder`, can be written by others, who could put something else in "
                f"its place: make it root's, or take another folder"
            )
    if not os.access(path, os.W_OK):
        return (
            f"{path}, the `models_folder`, cannot be written: mount its disk for writing. A share that is closed to "
            "root is for a HostFile or HostFolder"
        )
    owner = _marked_by(path)
    if owner is None and link.is_symlink():
        return (
            f"{path}, the `models_folder`, is not the folder that models were put into: mount its disk. If that is "
            f"gone, run `rm {link}` to begin anew"
        )
    if owner not in (None, _this_host()):
        return (
            f"{path}, the `models_folder`, is that of another host, whose models a pruning here would remove: take a "
            f"folder of its own. If that host is gone, or was installed anew, run `rm {path / _MARK}`"
        )
    return None


def link_models(folder: ModelsFolder) -> None:
    """Mark the folder, and make the link to it.

    Raises:
        HostError: it cannot be used.
    """
    path, link = Path(folder.path), Path(folder.link)
    if not path.is_dir():
        raise HostError(f"{path}, the `models_folder`, is not there: mount its disk")
    if problem := folder_problem(folder):
        raise HostError(problem)
    if _marked_by(path) is None:
        write_atomic(path / _MARK, json.dumps({"host": _this_host()}).encode(), 0o644)
    make_folder(link.parent)
    if not link.is_symlink() or str(link.readlink()) != folder.path:
        link_atomic(link, folder.path)


def _marked_by(path: Path) -> str | None:
    """The host that a folder is marked with; none = it has no mark."""
    try:
        return str(json.loads((path / _MARK).read_bytes())["host"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _this_host() -> str:
    return Path("/etc/machine-id").read_text().strip()


def former_of(folder: Path, state: str) -> Former | None:
    """The model of an install in another of the folders that models are or were in."""
    for models in (Path(state, "models"), *sorted(Path(state, MODELS_LINKS).glob("*"))):
        former = models / folder.name
        if models != folder.parent and _is_ours(former) and (files := dict(_recorded(former))):
            return Former(former, files)
    return None


def _is_ours(folder: Path) -> bool:
    """A mark that others could have written does not count."""
    try:
        return {path.lstat().st_uid for path in (folder, folder / INSTALL_MARK)} == {os.geteuid()}
    except OSError:
        return False


def _recorded(folder: Path) -> Iterator[tuple[str, tuple[int, Digest]]]:
    try:
        for path, found in json.loads((folder / INSTALL_MARK).read_bytes())["files"].items():
            yield path, (found["size"], Digest(*found["digest"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return


def copy_from(former: Former, place: Path, title: str, copies: Copies) -> dict[str, Digest]:
    """Copy a model from where it was, each file checked. What was there stays.

    Returns:
        Path below `place` → the file's digest.

    Raises:
        HostError: there is no room, or a file is not what it was.
    """
    size = sum(size for size, _ in former.files.values())
    check_space(place, size, title, copies=copies)
    say(f"{title}: copying {megabytes(size)} from {former.folder}, where it stays until it is pruned")
    with Folder(former.folder) as source, Folder(place) as target, Progress(title) as progress:
        for path, (_, digest) in former.files.items():
            progress.note(f"copying {path}")
            parts = parts_of(path, title)
            with source.below(parts[:-1]) as there, target.below(parts[:-1], make=True) as here:
                if here.size(parts[-1]) is None:
                    with there.read(parts[-1]) as old, here.append(parts[-1] + PART, anew=True) as new:
                        while chunk := old.read(_CHUNK):
                            new.write(chunk)
                    advice = (
                        f"Its disk fails, or somebody changed it: remove {former.folder}, and run again to fetch it"
                    )
                    accept_part(here, parts[-1], digest, f"{former.folder / path}", advice)
    if (revision := former.folder / REVISION_FILE).is_file():
        write_atomic(place / REVISION_FILE, revision.read_bytes(), 0o644)
    return {path: digest for path, (_, digest) in former.files.items()}
