"""Moving files, links and folders with everything that belongs to them; also from one file system to another.

Each move can be killed at any moment and made again: what is moved is always whole in one of the two places.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from pathlib import Path

from roles.host.programs.console import HostError
from roles.host.programs.files import make_folder, remove_tree, sync_folder


def move(source: Path, target: Path) -> bool:
    """Move what is at `source`; false = there is nothing any more.

    Raises:
        HostError: it is nothing that can be copied, such as a socket, and `target` is on another file system.
    """
    if not os.path.lexists(source):
        return False
    if os.path.lexists(target):  # a copy of a killed move, whose original is still there
        remove(target)
    make_folder(target.parent)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f".copy-{secrets.token_hex(4)}")
        _copy(source, beside)
        os.sync()
        beside.rename(target)
        sync_folder(target.parent)
        remove(source)
    sync_folder(target.parent)
    sync_folder(source.parent)
    return True


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
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
