"""Folders of our layout in which others have put something, and users of names that matter."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from roles.contract.foreign import ForeignFolder, FoundUser
from roles.contract.generation import ACTIVATION, HOST_LOCK, INSTALL_MARK
from roles.host.programs.deploy_lock import GUARD
from roles.host.programs.foreign.names import printable, user_name

_SHOWN = 5
_OURS = {
    "generations": (f"*/{ACTIVATION}", "previous", ".new-*"),
    "installs": ("uv", f"*/*/{INSTALL_MARK}", "python-env", "source-build", "release", "files"),
    "state": (HOST_LOCK, "lock", GUARD, "history.jsonl", "models", "secrets", "verdicts"),
    "cache": ("uv", "ccache", "downloads", "build"),
}
"""Folder of the layout → patterns of which one matches in each that is ours, also in what a killed run has left."""
_NOTHING = frozenset({"lost+found"})


def foreign_folders(config: str, generations: str, installs: str, state: str, cache: str) -> list[ForeignFolder]:
    found = []
    path = Path(config)
    if os.path.lexists(path) and not leads_to_a_generation(path, Path(generations)):
        found.append(_described(path))
    layout = {"generations": generations, "installs": installs, "state": state, "cache": cache}
    found += [_described(Path(folder)) for kind, folder in layout.items() if _is_foreign(Path(folder), _OURS[kind])]
    return found


def leads_to_a_generation(config: Path, generations: Path) -> bool:
    return config.is_symlink() and config.readlink().parent == generations


def _is_foreign(folder: Path, ours: Sequence[str]) -> bool:
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        return True
    with contextlib.suppress(OSError):
        entries = {entry.name for entry in os.scandir(folder)} - _NOTHING
        return bool(entries) and not any(True for pattern in ours for _ in folder.glob(pattern))
    return False


def _described(path: Path) -> ForeignFolder:
    status = path.lstat()
    entries: list[str] = []
    if path.is_dir():
        with contextlib.suppress(OSError):
            entries = sorted(printable(entry.name) for entry in os.scandir(path))
    return ForeignFolder(
        path=str(path),
        kind=_kind(path, status.st_mode),
        owner=user_name(status.st_uid),
        changed=datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat(),
        entries=(*entries[:_SHOWN], *(["…"] if len(entries) > _SHOWN else [])),
    )


def _kind(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return printable(f"a link to {path.readlink()}")
    return "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a special file"


def found_users(names: Sequence[str]) -> list[FoundUser]:
    found = []
    for name in names:
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            home, shell = printable(account.pw_dir), printable(account.pw_shell)
            found.append(FoundUser(name=name, uid=account.pw_uid, home=home, shell=shell))
    return found
