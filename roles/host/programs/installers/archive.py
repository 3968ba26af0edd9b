"""Unpacking an untrusted archive: it is first checked to its end, then written below a folder by handle.

A program of its own, which `unpack` runs confined. Both passes read the archive in the same way, so what was checked
is what is written.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from roles.contract.requests import UnpackArchive
from roles.host.programs.below import Folder, Listing, parts_of, shown
from roles.host.programs.console import HostError, megabytes

REFUSED = "refused: "
"""Prefix of a line that says why an archive is not unpacked."""
_MOST_MEMBERS, _MOST_LINKS = 300_000, 20_000
_LONGEST_HEADER = _CHUNK = 1 << 20
_LONGEST_LINK = 512
_MOST_TURNS = 40
"""Links that lead to links, as many as Linux follows."""
_PER_MEMBER = 4096
"""Bytes that a name takes on disk besides its content, at least."""
_RESERVE = 256 << 20
"""Bytes that unpacking leaves free on the disk."""
_DAMAGE = (
    tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError, OverflowError, RecursionError,
    IndexError, KeyError,
)  # fmt: skip
"""Exceptions of Python's modules for invalid archives."""

_Parts = tuple[str, ...]


@dataclass(frozen=True)
class _Member:
    """kind: `folder`, `file`, `link`, or `name`, a further name of a file; leads_to: the text of a link."""

    parts: _Parts
    kind: str
    info: tarfile.TarInfo
    leads_to: str = ""
    file: _Parts = ()


def main(request: UnpackArchive) -> int:
    """Unpack it. Returns the exit status."""
    archive, folder, strip = Path(request.archive), Path(request.folder, request.into), request.strip
    try:
        if request.into != ".":
            with Folder(Path(request.folder)) as top, top.below(parts_of(request.into, "the recipe"), make=True):
                pass
        links = _links_of(folder)
        with _opened(archive) as tar:
            links |= {found.parts: found.leads_to for found in _members(tar, folder, strip) if found.kind == "link"}
        for parts, target in links.items():
            _check_link(parts, target, links)
        with _opened(archive) as tar, Folder(folder) as top:
            for member in _members(tar, folder, strip):
                _write(tar, member, top)
    except HostError as error:
        print(f"{REFUSED}{error}")
    except gzip.BadGzipFile as error:
        print(f"{REFUSED}it is damaged, or no archive: {error}")
    except OSError as error:
        print(f"{REFUSED}{error.filename or folder}: {error.strerror}")
    except _DAMAGE as error:
        print(f"{REFUSED}it is damaged, or no archive: {shown(str(error))}")
    except MemoryError:
        print(f"{REFUSED}reading it takes more memory than there is")
    else:
        return 0
    return 1


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(_plain(archive))
        # As a stream: there is no seeking, and only headers are kept in memory.
        tar = stack.enter_context(tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 18, encoding="utf-8"))
        tar.fileobj = _Bounded(tar.fileobj)
        yield tar


@contextlib.contextmanager
def _plain(archive: Path) -> Iterator[IO[bytes]]:
    """The archive's content, whatever its compression."""
    with archive.open("rb") as file:
        begins = file.read(6)
    if begins[:4] == b"\x28\xb5\x2f\xfd" or (begins[1:4] == b"*M\x18" and begins[0] & 0xF0 == 0x50):
        command = ["zstd", "--decompress", "--stdout", "--quiet", "--no-progress", str(archive)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield process.stdout
        return
    openers: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    with openers.get(begins[:2], open)(archive, "rb") as content:
        yield content


class _Bounded:
    """A tar stream whose headers cannot exhaust the memory: their sizes come from the archive itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""
        """The last bytes read: at the end of an archive none, or zeros."""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise HostError(f"it has a header of {size} bytes")
        self.last = self._stream.read(size)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _members(tar: tarfile.TarFile, folder: Path, strip: int) -> Iterator[_Member]:
    """The members to write, each checked; members that `strip` leaves nothing of are left out.

    Raises:
        HostError: a member is not allowed below a folder, or there is not enough room.
    """
    names, files, links = Listing("it"), set[_Parts](), 0
    room, needed = shutil.disk_usage(folder).free - _RESERVE, 0
    for number, info in enumerate(tar, 1):
        if number > _MOST_MEMBERS:
            raise HostError(f"it has more than {_MOST_MEMBERS} members")
        kind = _kind(info)
        if kind == "folder" and info.name in (".", "./", ""):
            continue
        parts = _stripped(info.name, strip)
        if not parts:
            continue
        needed += _PER_MEMBER + (info.size if kind == "file" else 0)
        if info.size < 0 or needed > room:
            raise HostError(
                f"it unpacks to {megabytes(needed)} or more, and {folder} has room for {megabytes(max(room, 0))}: "
                "make room, or take another one"
            )
        names.add(parts, folder=kind == "folder")
        member = _Member(parts, kind, info)
        match kind:
            case "file":
                files.add(parts)
            case "link":
                links += 1
                member = _Member(parts, kind, info, leads_to=info.linkname)
            case "name":
                member = _Member(parts, kind, info, file=_stripped(info.linkname, strip))
                if member.file not in files:
                    raise HostError(f"{shown(info.name)} is a hard link to {shown(info.linkname)}, no file before it")
        if links > _MOST_LINKS:
            raise HostError(f"it has more than {_MOST_LINKS} links")
        yield member
    if cast(_Bounded, tar.fileobj).last.strip(b"\0"):
        raise tarfile.ReadError("a header is no header")


def _kind(info: tarfile.TarInfo) -> str:
    if info.issparse():
        raise HostError(f"{shown(info.name)} is a sparse file")
    match info.type:
        case tarfile.REGTYPE | tarfile.AREGTYPE:
            return "file"
        case tarfile.DIRTYPE:
            return "folder"
        case tarfile.SYMTYPE:
            return "link"
        case tarfile.LNKTYPE:
            return "name"
    raise HostError(f"{shown(info.name)} is neither a file nor a folder nor a link")


def _stripped(name: str, strip: int) -> _Parts:
    # As tar counts: the dot of `./bin` is one of the folders to strip.
    plain = name.removeprefix("./")
    rest = parts_of(plain, "it")[max(0, strip - (plain != name)) :]
    return parts_of("/".join(rest), "it") if rest else ()


def _links_of(folder: Path) -> dict[_Parts, str]:
    """The links that earlier archives have left there."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                found[path.relative_to(folder).parts] = str(path.readlink())
    return found


def _check_link(parts: _Parts, target: str, links: dict[_Parts, str]) -> None:
    """Follow a link through all others: it must stay below the folder."""
    name = f"{shown('/'.join(parts))} is a link to {shown(target)}"
    if not target or target.startswith("/") or not target.isprintable() or len(target) > _LONGEST_LINK:
        raise HostError(f"{name}, which is absolute, too long, or no path")
    at, ahead, turns = [*parts[:-1]], target.split("/")[::-1], 0
    while ahead:
        match ahead.pop():
            case "" | ".":
                pass
            case "..":
                if not at:
                    raise HostError(f"{name}, which leads out of it")
                at.pop()
            case part:
                at.append(part)
                if (onward := links.get(tuple(at))) is not None:
                    at.pop()
                    ahead += onward.split("/")[::-1]
                    turns += 1
                if turns > _MOST_TURNS:
                    raise HostError(f"{name}, which leads in a circle")


def _write(tar: tarfile.TarFile, member: _Member, top: Folder) -> None:
    *above, name = member.parts
    if member.kind == "folder":
        with top.below(member.parts, make=True):
            return
    with top.below(above, make=True) as parent:
        parent.remove(name)  # an earlier archive may have written it
        match member.kind:
            case "file":
                _write_file(tar, member.info, parent, name)
            case "link":
                parent.link(name, member.leads_to)
            case "name":
                with top.below(member.file[:-1]) as source:
                    os.link(
                        member.file[-1], name, src_dir_fd=source.fileno(), dst_dir_fd=parent.fileno(),
                        follow_symlinks=False,
                    )  # fmt: skip


def _write_file(tar: tarfile.TarFile, info: tarfile.TarInfo, parent: Folder, name: str) -> None:
    """Files get no setuid or setgid bits, and no write access for others."""
    content, missing = tar.extractfile(info), info.size
    assert content is not None
    with parent.write(name, 0o755 if info.mode & 0o111 else 0o644) as file:
        while missing:
            chunk = content.read(min(_CHUNK, missing))
            if not chunk:
                raise tarfile.ReadError("it ends early")
            file.write(chunk)
            missing -= len(chunk)
        file.flush()
        with contextlib.suppress(OSError, OverflowError, ValueError):
            os.utime(file.fileno(), (info.mtime, info.mtime))
