"""Names from outside, and folders by handle: a name from a server or an archive never leads out of its own folder.

Every name from outside (a Hub's list, an archive, an address, a list of digests) becomes a path by `parts_of` only.
In folders that others can write, root works through `Folder` only, which follows no link even if links change
meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from roles.contract.generation import INSTALL_FILES, INSTALL_MARK
from roles.host.programs.console import HostError

REVISION_FILE = ".revision.json"
"""The commit of the files: what a branch or tag led to when they were fetched."""
PART = ".part"
"""Suffix of a file's name until the file is complete."""

_LONGEST_PART, _LONGEST_PATH = 255, 4000
"""Bytes. The longest name, and the longest path (with room for the folder above) that Linux accepts."""
_DEEPEST = 100
"""Deepest nesting of folders."""
_SHOWN = 120

_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _SAFELY


def shown(name: object) -> str:
    """A name from outside for a message: on one line, shortened, without characters that control a terminal."""
    text = ascii(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def one_line(words: object) -> str:
    """Words of a server for a message: the same, but without quotes."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(words)).split())
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}..."


def parts_of(name: object, where: str) -> tuple[str, ...]:
    """The relative path for a name from outside.

    Args:
        where: the origin of the name, for the message.

    Raises:
        HostError: it could lead elsewhere, is not a valid name here, or is reserved by this project.
    """
    why = _fault(name)
    if why:
        raise HostError(f"{where} names a file {shown(name)}: {why}. Nothing was written there; take another source")
    return tuple(str(name).split("/"))


def _fault(name: object) -> str | None:
    if not isinstance(name, str):
        return "that is no name"
    parts = name.split("/")
    try:
        encoded = [part.encode() for part in parts]
    except UnicodeEncodeError:
        return "that is no valid Unicode"
    if name.startswith("/"):
        return "that is an absolute path"
    if ".." in parts or "." in parts:
        return "that leads up, or to the folder itself"
    if "" in parts:
        return "one of its parts is empty"
    if "\\" in name:
        return "a backslash separates folders elsewhere"
    # Cc, Cf: control and invisible characters, including those that change the text direction.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        return "it contains a control character"
    if max(map(len, encoded)) > _LONGEST_PART or len(name.encode()) > _LONGEST_PATH or len(parts) > _DEEPEST:
        return "it is too long, or too deep"
    if parts[0] in (INSTALL_MARK, INSTALL_FILES, REVISION_FILE):
        return "that name is kept for what is noted about an install"
    return None


class Listing:
    """The names of one list: none twice, no two that some file system takes for one, none below a non-folder."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._spellings: dict[str, tuple[str, ...]] = {}
        self._folders: set[tuple[str, ...]] = set()
        self._files: set[tuple[str, ...]] = set()

    def add(self, parts: tuple[str, ...], *, folder: bool = False) -> None:
        """Add a name.

        Raises:
            HostError: it collides with an earlier one.
        """
        for length in range(1, len(parts) + 1):
            path = parts[:length]
            spelling = unicodedata.normalize("NFC", "/".join(path)).casefold()
            if self._spellings.setdefault(spelling, path) != path:
                self._refuse(parts, f"it collides with {shown('/'.join(self._spellings[spelling]))}")
            if length < len(parts) or folder:
                if path in self._files:
                    self._refuse(parts, f"{shown('/'.join(path))} is no folder")
                self._folders.add(path)
        if not folder:
            if parts in self._files or parts in self._folders:
                self._refuse(parts, "it is there twice")
            self._files.add(parts)

    def _refuse(self, parts: tuple[str, ...], why: str) -> None:
        raise HostError(f"{self._where} names a file {shown('/'.join(parts))}: {why}. Nothing was written there")


class Folder:
    """A folder by handle. Work below it follows no link and touches no file that has a name elsewhere too."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Open the folder at a path that no other user can change."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if descriptor is None else descriptor

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    @contextlib.contextmanager
    def below(self, parts: Iterable[str], *, make: bool = False) -> Iterator[Folder]:
        """The folder at the end of the parts, each of them a folder itself; `make` = create the missing ones."""
        path, descriptor = self.path, os.dup(self._descriptor)
        try:
            for part in parts:
                path /= part
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                above, descriptor = descriptor, self._open(part, _FOLDER, descriptor, path)
                os.close(above)
            yield Folder(path, descriptor)
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int | None:
        """Bytes of a regular file; none = nothing has that name."""
        try:
            found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        self._check(found, name)
        return found.st_size

    def read(self, name: str) -> io.BufferedReader:
        return os.fdopen(self._file(name, os.O_RDONLY), "rb")

    def append(self, name: str, *, anew: bool = False) -> BinaryIO:
        """Open a file for appending, created if missing; `anew` = emptied first."""
        file = os.fdopen(self._file(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
        if anew:
            file.truncate(0)
        return file

    def write(self, name: str, mode: int = 0o644) -> BinaryIO:
        """Create a file that does not exist yet."""
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, mode, dir_fd=self._descriptor)
        return os.fdopen(descriptor, "wb")

    def link(self, name: str, target: str) -> None:
        """Create a symbolic link. Nothing here follows it."""
        os.symlink(target, name, dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file or a link, if there is one."""
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise HostError(f"{self.path / name} is a folder where a file belongs: remove it and run again") from None

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def _file(self, name: str, flags: int) -> int:
        # O_NONBLOCK: opening a named pipe would otherwise block until its other end is opened.
        descriptor = self._open(name, flags | os.O_NONBLOCK | _SAFELY, self._descriptor, self.path / name)
        try:
            self._check(os.fstat(descriptor), name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self, found: os.stat_result, name: str) -> None:
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise HostError(f"{self.path / name} is no file of this folder alone: remove it and run again")

    @staticmethod
    def _open(name: str, flags: int, above: int, path: Path) -> int:
        try:
            return os.open(name, flags, 0o644, dir_fd=above)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
                raise HostError(f"{path} is a link, or not what belongs there: remove it and run again") from None
            raise
