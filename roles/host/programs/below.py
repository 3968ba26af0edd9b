"""Names from outside, and folders by handle: what a server or an archive names never leads out of its own folder.

Whatever is named by others (a Hub's list, an archive, an address, a list of digests) becomes a path only by `parts_of`.
Root works in folders that others can write only through `Folder`, which follows no link whatever happens meanwhile.
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
"""Which commit the files are of: what a branch or tag led to when they were fetched."""
PART = ".part"
"""What the name of a file ends with until all of it has come."""

_LONGEST_PART, _LONGEST_PATH = 255, 4000
"""Bytes. The longest name and, with room for the folder above, the longest path that Linux takes."""
_DEEPEST = 100
"""Folders below each other."""
_SHOWN = 120

_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _SAFELY


def shown(name: object) -> str:
    """A name from outside for a message: on one line, of bounded length, without what drives a terminal."""
    text = ascii(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def one_line(words: object) -> str:
    """What a server says, for a message: likewise, but without quotes."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(words)).split())
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}..."


def parts_of(name: object, where: str) -> tuple[str, ...]:
    """The relative path that a name from outside stands for.

    Args:
        where: what gave the name, for the message.

    Raises:
        HostError: it could lead elsewhere, cannot be a name here, or is one that this project keeps to itself.
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
    # Cc, Cf: control and invisible characters, those that turn the direction of writing among them.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        return "it holds a control character"
    if max(map(len, encoded)) > _LONGEST_PART or len(name.encode()) > _LONGEST_PATH or len(parts) > _DEEPEST:
        return "it is too long, or too deep"
    if parts[0] in (INSTALL_MARK, INSTALL_FILES, REVISION_FILE):
        return "that name is kept for what is noted about an install"
    return None


class Listing:
    """The names of one list: none twice, no two that some file system takes for one, none below what is no folder."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._spellings: dict[str, tuple[str, ...]] = {}
        self._folders: set[tuple[str, ...]] = set()
        self._files: set[tuple[str, ...]] = set()

    def add(self, parts: tuple[str, ...], *, folder: bool = False) -> None:
        """Take a name in.

        Raises:
            HostError: it collides with one that is there already.
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
    """A folder by handle. What is done below it follows no link and touches nothing that is elsewhere too."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Open the folder at a path that nobody else can change."""
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
        """The folder that the parts lead to, each of them a folder itself; `make` = make what is missing."""
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
        """Bytes of a regular file; none = there is nothing of that name."""
        try:
            found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        self._check(found, name)
        return found.st_size

    def read(self, name: str) -> io.BufferedReader:
        return os.fdopen(self._file(name, os.O_RDONLY), "rb")

    def append(self, name: str, *, anew: bool = False) -> BinaryIO:
        """Open a file to write at its end, made where it is missing; `anew` = emptied first."""
        file = os.fdopen(self._file(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")
        if anew:
            file.truncate(0)
        return file

    def write(self, name: str, mode: int = 0o644) -> BinaryIO:
        """Make a file that is not there yet."""
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, mode, dir_fd=self._descriptor)
        return os.fdopen(descriptor, "wb")

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link. Nothing here follows it."""
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
        # O_NONBLOCK: a pipe that somebody laid there would keep us waiting for its other end.
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
