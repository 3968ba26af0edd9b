"""Moving files, links and folders with everything that belongs to them; also from one file system to another.

Each move can be killed at any moment and made again: what is moved is always whole in one of the two places.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import stat
from pathlib import Path

from roles.host.programs.console import HostError
from roles.host.programs.files import make_folder, sync_folder


def move(source: Path, target: Path) -> bool:
    """Move what is at `source`; false = there is nothing any more.

    Raises:
        HostError: it is nothing that can be copied, such as a socket, and `target` is on another file system.
    """
    copy, moved = (path.with_name(f".{path.name}.{what}") for path, what in ((target, "copy"), (source, "moved")))
    _remove(moved)  # what a killed move has left
    if not os.path.lexists(source):
        return False
    _remove(target)  # a copy, whose original is still there
    make_folder(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _remove(copy)
        _copy(source, copy)
        os.sync()
        copy.rename(target)
        sync_folder(target.parent)
        # Never half of it under the name that somebody looks for.
        source.rename(moved)
        _remove(moved)
    sync_folder(target.parent)
    sync_folder(source.parent)
    return True


def are_alike(one: Path, other: Path) -> bool:
    """Whether two files, links or folders are the same in everything that a move keeps, as after a killed one."""
    first, second = one.lstat(), other.lstat()
    if any(getattr(first, each) != getattr(second, each) for each in ("st_mode", "st_uid", "st_gid", "st_mtime_ns")):
        return False
    if one.is_symlink():
        return one.readlink() == other.readlink()
    if not one.is_dir():
        return filecmp.cmp(one, other, shallow=False)
    names = [sorted(entry.name for entry in folder.iterdir()) for folder in (one, other)]
    return names[0] == names[1] and all(are_alike(one / name, other / name) for name in names[0])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _copy(source: Path, target: Path) -> None:
    status = source.lstat()
    if stat.S_ISLNK(status.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISDIR(status.st_mode):
        target.mkdir(0o700)
        for entry in sorted(source.iterdir()):
            _copy(entry, target / entry.name)
    elif stat.S_ISREG(status.st_mode):
        shutil.copyfile(source, target)
    else:
        raise HostError(f"{source} is neither a file nor a folder, and cannot be moved: remove it yourself")
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)  # mode, times, extended attributes
