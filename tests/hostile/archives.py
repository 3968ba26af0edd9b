"""Archives that mean harm, made here in memory: none of them may be unpacked, nor touch anything outside its folder."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from collections.abc import Callable

from tests.hostile.names import COLLISIONS, NAMES

SCRIPT = b"#!/bin/sh\necho 1.2.3\n"
_HUGE = 1 << 50


def entry(name: str, content: bytes = b"planted", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive; `changes` are attributes of its header, its size among them."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in changes.items():
        setattr(info, attribute, value)
    return info, content


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, b"", type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, b"", type=tarfile.LNKTYPE, linkname=target)


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, b"", type=tarfile.DIRTYPE, mode=0o755)


def tar(*entries: tuple[tarfile.TarInfo, bytes], strip: str = "") -> bytes:
    """Those members after a program that works, as bytes; headers are written as they are, right or wrong."""
    out = io.BytesIO()
    for info, content in (entry(f"{strip}bin/program", SCRIPT, mode=0o755), *entries):
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        out.write(content + b"\0" * (-len(content) % 512))
    return out.getvalue() + b"\0" * 1024


def _named(name: str) -> tuple[tarfile.TarInfo, bytes]:
    # In a header of its own, so that no writer shortens or cleans it.
    return entry("planted", pax_headers={"path": name})


def _pax(size: int, kind: bytes = tarfile.XHDTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry("header", b"30 path=planted\n", type=kind, size=size)


def _negative() -> bytes:
    """A size of -512, as GNU writes numbers that octal digits cannot."""
    header = bytearray(entry("planted", b"")[0].tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return tar()[:-1024] + bytes(header) + b"\0" * 1024


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


_SHAPES: dict[str, Callable[[], bytes]] = {
    "a link to an absolute path": lambda: tar(link("a", "/etc")),
    "a link up": lambda: tar(link("a", "../..")),
    "a link up from a folder": lambda: tar(link("a/b", "../../planted")),
    "a link and a file through it": lambda: tar(link("a", "/etc/cron.d"), entry("a/planted")),
    "a link inside and a file through it": lambda: tar(folder("b"), link("a", "b"), entry("a/planted")),
    "a link that a file replaces": lambda: tar(link("a", "/etc/passwd"), entry("a")),
    "a link that leads out by another": lambda: tar(link("a/b/up", "../.."), link("c", "a/b/up/../../planted")),
    "a link that leads out by two": lambda: tar(link("a", "b/.."), link("b", "c/d/.."), link("c", "../..")),
    "links in a circle": lambda: tar(link("a", "b"), link("b", "a")),
    "a link to itself": lambda: tar(link("a", "a")),
    "a link to nothing": lambda: tar(link("a", "")),
    "a link to what no terminal should see": lambda: tar(link("a", "\x1b[2J")),
    "a link to a long path": lambda: tar(link("a", "b/" * 3000)),
    "a hard link to an absolute path": lambda: tar(hard_link("a", "/etc/shadow")),
    "a hard link up": lambda: tar(hard_link("a", "../../../../etc/shadow")),
    "a hard link to nothing": lambda: tar(hard_link("a", "none")),
    "a hard link to itself": lambda: tar(hard_link("a", "a")),
    "a hard link to what comes later": lambda: tar(hard_link("a", "b"), entry("b")),
    "a hard link to a link": lambda: tar(link("b", "bin"), hard_link("a", "b")),
    "a hard link through a link": lambda: tar(link("b", "/etc"), hard_link("a", "b/shadow")),
    "a hard link to a folder": lambda: tar(hard_link("a", "bin")),
    "a character device": lambda: tar(entry("a", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=1)),
    "a block device": lambda: tar(entry("a", b"", type=tarfile.BLKTYPE, devmajor=8, devminor=0)),
    "a pipe": lambda: tar(entry("a", b"", type=tarfile.FIFOTYPE)),
    "a sparse file of GNU": lambda: tar(entry("a", b"", type=tarfile.GNUTYPE_SPARSE)),
    "a sparse file of POSIX": lambda: tar(
        entry("a", b"0\n", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"})
    ),
    "a sparse file of POSIX, older": lambda: tar(
        entry("a", pax_headers={"GNU.sparse.size": str(_HUGE), "GNU.sparse.map": "0,1"})
    ),
    "a contiguous file": lambda: tar(entry("a", type=tarfile.CONTTYPE)),
    "a part of a volume": lambda: tar(entry("a", type=b"M")),
    "a kind that nobody knows": lambda: tar(entry("a", type=b"Z")),
    "a file of a petabyte": lambda: tar(entry("a", b"", size=_HUGE)),
    "files of a petabyte together": lambda: tar(
        *(entry(f"a{number}", b"", type=tarfile.LNKTYPE, linkname="bin/program") for number in range(9)),
        *(entry(f"b{number}", b"", size=_HUGE >> 4) for number in range(16)),
    ),
    "a petabyte by its extended header": lambda: tar(entry("a", b"", pax_headers={"size": str(_HUGE)})),
    "a size that is no number": lambda: tar(entry("a", pax_headers={"size": "9" * 5000})),
    "a negative size": _negative,
    "a negative size by its extended header": lambda: tar(entry("a", b"", pax_headers={"size": "-512"})),
    "an extended header of gigabytes": lambda: tar(_pax(3 << 30)),
    "a global header of gigabytes": lambda: tar(_pax(3 << 30, tarfile.XGLTYPE)),
    "a long name of gigabytes": lambda: tar(_pax(3 << 30, tarfile.GNUTYPE_LONGNAME)),
    "a long link of gigabytes": lambda: tar(_pax(3 << 30, tarfile.GNUTYPE_LONGLINK)),
    "headers of headers": lambda: tar(*[_pax(16)] * 3000, entry("a")),
    "an extended header of no length": lambda: tar(entry("h", b"0 path=b\n", type=tarfile.XHDTYPE), entry("a")),
    "a file that ends early": lambda: tar(entry("a", b"planted", size=1 << 20)),
    "a gzip that ends early": lambda: gzip.compress(tar(entry("a", bytes(range(256)) * 4000)))[:-600],
    "a gzip with a wrong checksum": lambda: gzip.compress(tar(entry("a")))[:-8] + b"\0" * 8,
    "a gzip of something else": lambda: gzip.compress(b"no archive" * 1000),
    "a zstd that ends early": lambda: zstd(tar(entry("a", bytes(range(256)) * 4000)))[:-100],
    "something else": lambda: b"<html>not found</html>" * 100,
    "nothing": lambda: b"",
    "a bomb in gzip": lambda: gzip.compress(tar(entry("a", b"", size=1 << 45)) + bytes(1 << 22)),
    "a bomb in zstd": lambda: zstd(tar(entry("a", b"", size=1 << 45)) + bytes(1 << 22)),
}

_CLEANED = "a slash at the end"
"""What Python's reader takes off a name by itself."""


def _naming(*names: str) -> Callable[[], bytes]:
    return lambda: tar(*map(_named, names))


ARCHIVES: dict[str, Callable[[], bytes]] = {
    **{f"named by {what}": _naming(name) for what, name in NAMES.items() if what != _CLEANED},
    **{f"colliding, {what}": _naming(*names) for what, names in COLLISIONS.items()},
    **_SHAPES,
}
"""What is wrong with it → what makes it."""
