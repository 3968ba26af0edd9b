"""Passing trees between root and the build user: by handle, and only plain trees of that user's own files.

What third-party code built becomes root's only once no process of that user is running and all of it was checked.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK
from roles.host.programs.below import Folder, shown
from roles.host.programs.console import HostError
from roles.host.programs.processes import user_of

_DEEPEST = 200
"""Deepest nesting of folders. No environment and no build has a tenth of it."""
_RIGHTS_BESIDE_THE_MODE = ("system.posix_acl_access", "system.posix_acl_default", "security.capability")
_ENDING_SECONDS = 10

_Entry = tuple[int, str, os.stat_result, Path]
"""Handle of the folder, name in it, its status, and its path for messages."""


def give(user: str | None, *folders: Path) -> None:
    """Change the owner of our empty folders to a user; none = leave them."""
    if account := user_of(user):
        for folder in folders:
            os.chown(folder, account.pw_uid, account.pw_gid, follow_symlinks=False)


def give_cache(user: str | None, path: Path) -> None:
    """Change the owner of a cache that belongs to another user, as a copied one does; none = leave it.

    A file with a second name keeps its owner: that name may be anywhere.
    """
    account = user_of(user)
    if account is None:
        return
    with Folder(path) as folder:
        if os.fstat(folder.fileno()).st_uid == account.pw_uid:
            return
        os.fchown(folder.fileno(), account.pw_uid, account.pw_gid)
        for parent, name, found, _ in _walk(folder.fileno(), path):
            if stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
                os.chown(name, account.pw_uid, account.pw_gid, dir_fd=parent, follow_symlinks=False)


def take(user: str | None, path: Path, title: str) -> None:
    """Change the owner of a tree to root: one that a user made in a folder of root's; none = it is already ours.

    Raises:
        HostError: it contains something that no such tree contains; it stays the user's, and is not used.
    """
    account = user_of(user)
    if account is None:
        return
    _end_processes(account.pw_uid)
    with Folder(path) as folder:
        folder.remove(INSTALL_MARK)
        folder.remove(INSTALL_FILES)
        _look_through(folder.fileno(), path, account.pw_uid, title)
        _make_roots(folder.fileno())
        for parent, name, found, _ in _walk(folder.fileno(), path):
            if stat.S_ISLNK(found.st_mode):
                os.chown(name, 0, 0, dir_fd=parent, follow_symlinks=False)
                continue
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
            try:
                _make_roots(descriptor)
            finally:
                os.close(descriptor)


def _look_through(folder: int, path: Path, uid: int, title: str) -> None:
    names: collections.Counter[tuple[int, int]] = collections.Counter()
    linked: dict[tuple[int, int], tuple[int, Path]] = {}
    for _, _, found, where in _walk(folder, path):
        why = None
        if found.st_uid not in (uid, 0):
            why = f"belongs to user {found.st_uid}"
        elif not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            why = "is neither a file nor a folder nor a link"
        elif not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1:
            file = (found.st_dev, found.st_ino)
            names[file] += 1
            linked[file] = (found.st_nlink, where)
        if why:
            raise _refused(title, where, why)
    for file, (count, where) in linked.items():
        if names[file] != count:
            raise _refused(title, where, "has another name outside of what was made")


def _refused(title: str, where: Path, why: str) -> HostError:
    return HostError(f"{title}: {shown(str(where))} {why}. What made it is not to be trusted; nothing of it is used")


def _make_roots(descriptor: int) -> None:
    """One file or folder: owned by root, not writable by others, without setuid and setgid."""
    os.fchown(descriptor, 0, 0)
    for attribute in os.listxattr(descriptor):
        if attribute in _RIGHTS_BESIDE_THE_MODE:
            os.removexattr(descriptor, attribute)
    os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o755)


def _walk(folder: int, path: Path, depth: int = 0) -> Iterator[_Entry]:
    """Everything below an open folder, each entry before its contents; links are not followed."""
    if depth > _DEEPEST:
        raise HostError(f"{shown(str(path))}: more than {_DEEPEST} folders below each other")
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        yield folder, name, found, path / name
        if stat.S_ISDIR(found.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                yield from _walk(below, path / name, depth + 1)
            finally:
                os.close(below)


def _end_processes(uid: int) -> None:
    """Kill a user's remaining processes: builds of an earlier version did not run in a unit that ends them."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while running := [pid for pid in _processes(uid) if _lives(pid)]:
        if time.monotonic() > deadline:
            raise HostError(f"processes {running} of the user who builds do not end: reboot, and run again")
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _processes(uid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                yield int(entry.name)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    return False
