"""Models that are on the host already: whether their servers can read them, and a record of their content.

Nothing here changes them. A share whose server is away answers nothing, for as long as it is away: what looks first is
another process, which is given up after a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

from roles.contract.generation import INSTALL_MARK
from roles.contract.models import is_hidden
from roles.contract.recipes import HostModelRecipe
from roles.contract.requests import FoundModels, HostModel, LookAtModels, ModelsFolder
from roles.contract.wire import written
from roles.host.programs.console import HostError, Progress, described, megabytes, say
from roles.host.programs.installers.download import Digest
from roles.host.programs.installers.models_folder import folder_problem
from roles.host.programs.installers.weights import check_weights
from roles.host.programs.systemd import Manager

_PATIENCE = 20.0
"""Seconds in which a file system must answer."""
_NOBODY = 65519
"""A number that systemd gives to dynamic users and to nobody else."""
_MOST_FILES = 10_000
_CONTENT_CHANGED = "If that is wanted, {accept}; if not, put the former one back"


def main(request: LookAtModels) -> None:
    problems = [problem for model in request.models if (problem := _problem(model))]
    if request.folder and (problem := _problem_of_folder(request.folder)):
        problems.append(problem)
    print(json.dumps(written(FoundModels(problems=tuple(problems)))))


def _problem(model: HostModel) -> str | None:
    """Why a model cannot be used, with the fix; none = it can."""
    path = Path(model.path)
    try:
        kind = _kind(path)
    except subprocess.TimeoutExpired:
        return _silent(path)
    if not kind:
        return f"{path} is not there: {_mount_that_is_away(path) or 'put it there first, or fix `path`'}"
    if model.folder != (kind == "directory"):
        wanted, name = ("folder", "HostFile") if model.folder else ("file", "HostFolder")
        return f"{path} is a {kind} and not a {wanted}: give a {name}, or fix `path`"
    return _out_of_sight(model) or _not_readable(model)


def _problem_of_folder(folder: ModelsFolder) -> str | None:
    """Why the folder for models cannot be used, with the fix; none = it can."""
    path = Path(folder.path)
    try:
        kind = _kind(path)
    except subprocess.TimeoutExpired:
        return _silent(path)
    # It may be there, and what belongs on it not: the disk above would be filled.
    if away := _mount_that_is_away(path):
        return f"{path} is not what it is meant to be: {away}"
    if kind != "directory":
        what = f"is a {kind} and not a folder" if kind else "is not there"
        return f"{path}, the `models_folder`, {what}: run `mkdir {path}` where its disk is mounted"
    closed = [] if folder.shown else [each for each in (*reversed(path.parents), path) if not _can_enter(each, "")]
    if closed:
        return f"services have users of their own, who may not enter {closed[0]}: run `chmod o+x {closed[0]}`"
    return folder_problem(folder)


def _kind(path: Path) -> str:
    """What has that path, as `stat` calls it; empty = nothing.

    Raises:
        TimeoutExpired: its file system does not answer.
    """
    return subprocess.run(
        ["/usr/bin/stat", "--dereference", "--format=%F", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    ).stdout.strip()


def _silent(path: Path) -> str:
    return (
        f"{path} does not answer within {_PATIENCE:.0f} s: its share or its disk is away; see `findmnt --target {path}`"
    )


def _mount_that_is_away(path: Path) -> str | None:
    """The mount that systemd knows above a path, and that is not mounted."""
    manager = Manager("system")
    for above in (path, *path.parents):
        escaped = subprocess.run(
            ["systemd-escape", "--path", "--suffix=mount", str(above)], capture_output=True, text=True, check=False
        ).stdout.strip()
        found = manager.properties(escaped, "LoadState", "ActiveState", "What") if escaped else {}
        if found.get("LoadState") == "loaded" and found.get("ActiveState") != "active":
            return f"{above}, on which {found.get('What') or 'a disk'} belongs, is not mounted: run `mount {above}`"
    return None


def _out_of_sight(model: HostModel) -> str | None:
    """A link that leads to where its unit sees nothing."""
    if model.sees is None:
        return None
    for file in _files(Path(model.path)) if model.folder else (Path(model.path),):
        real = str(file.resolve())
        if is_hidden(real) and str(file) != model.sees and not f"{real}/".startswith(f"{model.sees or ' '}/"):
            return (
                f"{file} is a link to {real}, and of the homes its service sees "
                f"{'nothing' if not model.sees else f'{model.sees} alone'}: give the path that it leads to, or move "
                "the model to a folder such as /srv/models"
            )
    return None


def _not_readable(model: HostModel) -> str | None:
    path, who = Path(model.path), model.user or "its service's user, who has no rights of its own,"
    try:
        found = _unreadable(model)
    except subprocess.TimeoutExpired:
        return f"{path} does not answer within {_PATIENCE:.0f} s: its share or its disk is slow or away"
    except OSError as error:
        return described(error)
    if found.returncode == 0 and not found.stdout:
        return None
    closed = [above for above in reversed(path.parents) if not _can_enter(above, model.user)]
    if closed and not model.sees:
        return f"{who} cannot read {path}, as it may not enter {closed[0]}: run `chmod o+x {closed[0]}`"
    fix = f"chmod -R o+rX {path}" if model.folder else f"chmod o+r {path}"
    return f"{who} cannot read {path}: run `{fix}`, on its server if it is on a share"


def _unreadable(model: HostModel) -> subprocess.CompletedProcess[str]:
    """What its user cannot read, listed; status 0 = all else was seen."""
    test = ("!", "-readable", "-o", "-type", "d", "!", "-executable")
    if not model.sees:
        return _as(model.user, ["/usr/bin/find", "-L", model.path, *test])
    # Within what its unit is shown, the folders above do not count.
    descriptor = os.open(model.path, os.O_RDONLY)
    try:
        return _as(model.user, ["/usr/bin/find", "-L", f"/proc/self/fd/{descriptor}", *test], descriptor)
    finally:
        os.close(descriptor)


def _can_enter(folder: Path, user: str) -> bool:
    return _as(user, ["/usr/bin/test", "-x", str(folder)]).returncode == 0


def _as(user: str, command: list[str], *descriptors: int) -> subprocess.CompletedProcess[str]:
    """Run a command with the rights of a user: of one that has none beyond everybody's, if it is empty or not there
    yet."""
    uid, gid, groups = (_NOBODY, _NOBODY, [_NOBODY]) if os.geteuid() == 0 else (None, None, None)
    if groups:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(user or " ")
            uid, gid, groups = found.pw_uid, found.pw_gid, os.getgrouplist(user, found.pw_gid)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
        timeout=_PATIENCE,
        cwd="/",
        pass_fds=descriptors,
        user=uid,
        group=gid,
        extra_groups=groups,
    )


def record_host_model(recipe: HostModelRecipe, record: Path, title: str) -> dict[str, Digest]:
    """Read all files of a model that is on the host, and compare them with what is declared and recorded.

    Args:
        record: the folder with the record of when it was first seen, if there is one.

    Returns:
        Whole path → the file's digest.

    Raises:
        HostError: something is missing, or is not what it was.
    """
    files = [Path(file) for file in recipe.files] or _files(Path(recipe.path))
    if not recipe.files:
        check_weights([str(file.relative_to(recipe.path)) for file in files], title)
    size = sum(file.stat().st_size for file in files)
    say(f"{title}: reading {len(files)} files for their digests, {megabytes(size)}")
    digests = {}
    with Progress(title) as progress:
        for file in files:
            progress.note(f"reading {file.name}")
            with file.open("rb") as content:
                digests[str(file)] = Digest("sha256", Digest("sha256", "").of(content))
    if recipe.sha256 and (found := digests[recipe.path].hexadecimal) != recipe.sha256:
        accept = f"declare it: sha256={found!r}"
        raise HostError(
            f"{recipe.path} has the digest {found}, not {recipe.sha256} as declared. "
            f"{_CONTENT_CHANGED.format(accept=accept)}"
        )
    made, earlier = _recorded(record)
    for path, before in earlier.items():
        now = digests[path].hexadecimal if path in digests else "none: it is gone"
        if now != before:
            raise HostError(
                f"{path} changed since it was first seen on {made}: its digest was {before}, and is {now}. "
                f"{_CONTENT_CHANGED.format(accept=f'remove {record} on the host, and it is recorded anew')}"
            )
    return digests


def _files(folder: Path) -> list[Path]:
    """All files in a folder and below it, by name, without those in hidden folders."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if Path(parent, name).is_file()]
        if len(found) > _MOST_FILES:
            raise HostError(f"{folder} has more than {_MOST_FILES} files: give the folder of the model itself")
    return found


def _recorded(folder: Path) -> tuple[str, Mapping[str, str]]:
    """When a model was first seen, and the digest of each of its files then."""
    try:
        mark = json.loads((folder / INSTALL_MARK).read_bytes())
        return mark["made"], {path: found["digest"][1] for path, found in mark["files"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "", {}
