"""Files that are either old or new, complete and with their mode, even after a power failure."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path


def write_atomic(path: Path, content: bytes, mode: int) -> None:
    """Replace a file. Its mode is set before it has content, and it is on disk before it gets its name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # the error of a full disk has no name, and the temporary one means nothing
        raise
    sync_folder(path.parent)


def link_atomic(path: Path, target: str) -> None:
    """Create or change a symbolic link in one step."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    try:
        temporary.rename(path)
    except OSError:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Create a folder and its missing parents, whatever the umask."""
    if not folder.parent.exists():
        make_folder(folder.parent)
    if not folder.is_dir():
        folder.mkdir()
        folder.chmod(mode)


def make_own_folder(folder: Path) -> None:
    """Create a folder that others cannot write. One that they can write, from an earlier version, is removed first."""
    make_folder(folder.parent)
    if os.path.lexists(folder):
        looked_at = (folder.lstat(), folder.stat()) if folder.is_dir() else ()
        if looked_at and all(found.st_uid == os.geteuid() for found in looked_at) and not looked_at[1].st_mode & 0o022:
            return
        if folder.is_dir() and not folder.is_symlink():
            remove_tree(folder)
        else:
            folder.unlink()
    make_folder(folder)


def remove_tree(folder: Path, *, put: Path | None = None) -> None:
    """Remove a folder, renamed first to a name that nothing looks for: a killed removal leaves no half of it in use.

    Args:
        put: the folder that takes its name at once.
    """
    if folder.is_symlink() or not folder.exists():
        return
    doomed = folder.with_name(f".removed-{secrets.token_hex(4)}")
    folder.rename(doomed)
    if put:
        put.rename(folder)
        sync_folder(folder.parent)
    shutil.rmtree(doomed)


def read_text(path: Path) -> str | None:
    """The text of a file, with invalid bytes as escapes; none = it cannot be read."""
    try:
        return path.read_text(errors="backslashreplace")
    except OSError:
        return None
