"""Downloading a file: resumed after a cut, renamed only once its digest is right, with stall detection and progress.

The server is not trusted: it can send only a file, and no more than was declared or fits on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Literal

from roles.host.programs.below import PART, Folder, one_line
from roles.host.programs.console import HostError, Progress, megabytes, say

STALL_SECONDS = 30
"""After this time without a byte, the connection is closed and the download resumed."""
ATTEMPTS = 6
"""Attempts without any progress between them before the download fails."""
_CHUNK = 1 << 20
_RESERVE = 256 << 20
"""Bytes that a download leaves free on the disk."""


@dataclass(frozen=True)
class Copies:
    """Copies that a server makes of a model, and the folder in which it does that."""

    number: int
    folder: Path


@dataclass(frozen=True)
class Digest:
    """A file's expected digest: `sha256` of its bytes, or `git-blob`, the SHA-1 by which git names its content."""

    kind: Literal["sha256", "git-blob"]
    hexadecimal: str

    def of(self, file: io.BufferedReader) -> str:
        """The digest of that kind for an open file."""
        if self.kind == "sha256":
            return hashlib.file_digest(file, "sha256").hexdigest()
        begun = _git_blob(os.fstat(file.fileno()).st_size)
        return hashlib.file_digest(file, lambda: begun).hexdigest()

    def fits(self, content: bytes) -> bool:
        """Whether bytes have it."""
        begun = hashlib.sha256() if self.kind == "sha256" else _git_blob(len(content))
        begun.update(content)
        return begun.hexdigest() == self.hexadecimal


def _git_blob(size: int) -> hashlib._Hash:
    """Git's digest of a file, before its first byte."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def open_url(url: str, headers: Mapping[str, str], *, first_byte: int = 0, timeout: float) -> HTTPResponse:
    """Open `url`. It may redirect, but to http and https only: never to a file or another service of this host.

    Args:
        headers: sent to the address itself, and not to a redirect's target: a token must not reach other servers.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={first_byte}-"} if first_byte else {})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    opener = urllib.request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    answer: HTTPResponse = opener.open(request, timeout=timeout)
    return answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The proxy's password is for the proxy: where a redirect leads past it, its target would get that."""

    def redirect_request(self, *redirect: Any) -> urllib.request.Request | None:
        following = super().redirect_request(*redirect)
        if following:
            following.remove_header("Proxy-authorization")
        return following


_HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.UnknownHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    _Redirects,
    urllib.request.HTTPErrorProcessor,
)


def remedy(cause: str) -> str:
    """What to do about the way out that a request was refused on; empty = it may be something else."""
    if re.search(r"\b407\b", cause):
        return "the proxy wants another user or password: fix `login` of the stack's `outbound`"
    if "certificate verify failed" in cause.lower():
        return (
            "the host does not trust who signed the server's certificate: if that is your company's proxy, give its "
            "authority as `ca` of the stack's `outbound`"
        )
    return ""


def download(
    url: str,
    digest: Digest,
    folder: Folder,
    name: str,
    title: str,
    headers: Mapping[str, str] | None = None,
    size: int | None = None,
    copies: Copies | None = None,
) -> None:
    """Download `url` to a file in the folder. Afterwards the file has the digest, or does not exist.

    The part so far waits in `<name>.part`, also over a reboot.

    Args:
        headers: see `open_url`.
        size: bytes that it must have; none = unknown.
        copies: what its server makes of it.

    Raises:
        HostError: the server refuses, the connection keeps failing, the disk is too small, the server sends more than
            it should, or the digest differs.
    """
    part = name + PART
    if size is not None and (folder.size(part) or 0) > size:
        folder.remove(part)  # the remains of another file
    fetch = _Fetch(url, folder, part, headers or {}, size, copies)
    at_start = fetch.done
    say(f"{title}: {'resuming at ' + megabytes(at_start) if at_start else 'fetching'}")
    started = time.monotonic()
    with Progress(title, fetch.how_far):
        fetch.all()
        advice = "Either the server sends something else than was pinned, or the pin is wrong"
        accept_part(folder, name, digest, f"{title}: {url}", advice)
    speed = (fetch.done - at_start) / max(time.monotonic() - started, 0.001)
    say(f"{title}: {megabytes(fetch.done)} there and checked ({megabytes(speed)}/s)")


def accept_part(folder: Folder, name: str, digest: Digest, what: str, advice: str) -> None:
    """Give a complete `<name>.part` its name if it has the digest; otherwise remove it.

    Args:
        what: the file, as the error calls it.
        advice: the error's end.

    Raises:
        HostError: it has another digest.
    """
    part = name + PART
    with folder.read(part) as file:
        actual = digest.of(file)
        os.fchmod(file.fileno(), 0o644)
    if actual != digest.hexadecimal:
        folder.remove(part)
        raise HostError(
            f"{what} has the digest {actual}, not {digest.hexadecimal} as declared. It was thrown away. {advice}"
        )
    folder.rename(part, name)


class _Fetch:
    """One download: `done` of `total` bytes have arrived; no total = the server has not sent one."""

    def __init__(
        self,
        url: str,
        folder: Folder,
        part: str,
        headers: Mapping[str, str],
        size: int | None,
        copies: Copies | None,
    ) -> None:
        self._url, self._folder, self._part, self._headers, self._size = url, folder, part, headers, size
        self._copies = copies
        self.done = folder.size(part) or 0
        self.total = 0

    def how_far(self) -> str:
        share = f" of {megabytes(self.total)} ({100 * self.done // self.total} %)" if self.total else ""
        return f"{megabytes(self.done)}{share}"

    def all(self) -> None:
        """Download until the file is complete."""
        fruitless = 0
        while True:
            before = self.done
            try:
                self._rest()
                return
            except urllib.error.HTTPError as error:
                if advice := remedy(str(error.code)):
                    raise HostError(f"{self._url} cannot be fetched: {advice}") from None
                if error.code == 416:
                    if error.headers.get("Content-Range") == f"bytes */{self.done}":
                        return  # the file was already complete
                    self._begin_anew()  # longer than the file, so not a part of it
                elif error.code < 500 and error.code not in (408, 429):
                    raise HostError(f"{self._url} answers {error.code} {one_line(error.reason)}") from None
                cause: str = f"{error.code} {one_line(error.reason)}"
            except TimeoutError:
                cause = f"nothing came for {STALL_SECONDS} s"
            except (urllib.error.URLError, HTTPException, ConnectionError, ValueError) as error:
                # ValueError: it redirects to an invalid address.
                reason = getattr(error, "reason", None) or error
                cause = one_line(reason) or type(error).__name__
            if advice := remedy(cause):
                raise HostError(f"{self._url} cannot be fetched ({cause}): {advice}")
            fruitless = 0 if self.done > before else fruitless + 1
            if fruitless >= ATTEMPTS:
                raise HostError(
                    f"{self._url} cannot be fetched: {cause} ({ATTEMPTS} tries). "
                    f"{megabytes(self.done)} are kept; run again to resume"
                )
            say(f"{self._url}: {cause}; trying again at {megabytes(self.done)}")
            time.sleep(min(2**fruitless, 20))

    def _begin_anew(self) -> None:
        self._folder.remove(self._part)
        self.done = 0

    def _rest(self) -> None:
        """Append what is missing; returns when the server has sent all."""
        self.done = self._folder.size(self._part) or 0
        with open_url(self._url, self._headers, first_byte=self.done, timeout=STALL_SECONDS) as answer:
            resumed = answer.status == 206
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {self.done}-"):
                self._begin_anew()
                raise ConnectionError("the server sends another part of it than it was asked for")
            if not resumed:
                self.done = 0
            self.total = self.done + answer.length if answer.length is not None else 0
            most = self._most()
            with self._folder.append(self._part, anew=not resumed) as file:
                while chunk := answer.read1(_CHUNK):
                    if self.done + len(chunk) > most:
                        self._refuse_more(most)
                    try:
                        file.write(chunk)
                        file.flush()
                    except OSError as error:
                        path = self._folder.path / self._part
                        raise HostError(f"{path}: {error.strerror}; free some space and run again to resume") from None
                    self.done += len(chunk)
        if self.total and self.done < self.total:
            raise ConnectionError(f"the connection ended {megabytes(self.total - self.done)} early")

    def _most(self) -> int:
        """Most bytes to accept; fails at once if the server announces more."""
        if self._size is not None and max(self.total, self.done) > self._size:
            self._refuse_more(self._size)
        whole = self.total or self._size or 0
        check_space(self._folder.path, whole, self._url, there=self.done, copies=self._copies)
        room = self.done + max(0, shutil.disk_usage(self._folder.path).free - _RESERVE)
        return room if self._size is None else min(self._size, room)

    def _refuse_more(self, most: int) -> None:
        with contextlib.suppress(OSError):
            self._begin_anew()
        if most == self._size:
            raise HostError(f"{self._url} sends more than the {most} bytes that were declared. It was thrown away")
        raise HostError(
            f"{self._url} sends more than the {megabytes(most)} that there is room for. It was thrown away; "
            "make room and run again"
        )


def check_space(folder: Path, size: int, what: str, *, there: int = 0, copies: Copies | None = None) -> None:
    """Refuse to begin what would fill a disk.

    Args:
        size: bytes that it will have, of which `there` are in the folder already.
        copies: what its server makes of it.

    Raises:
        HostError: there is no room.
    """
    needed, more = max(0, size - there), copies.number * size if copies else 0
    where = _there_already(copies.folder) if copies and more else folder
    if where.stat().st_dev == folder.stat().st_dev:
        also = f", and {megabytes(more)} more for what its server makes of it" if more else ""
        _check_free(folder, needed + more, f"{what} needs {megabytes(needed)}{also}")
    else:
        _check_free(folder, needed, f"{what} needs {megabytes(needed)}")
        _check_free(where, more, f"What its server makes of {what} needs {megabytes(more)}")


def _check_free(folder: Path, needed: int, who_needs_it: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE > free:
        raise HostError(
            f"{who_needs_it}, but {folder} has {megabytes(free)} free and {megabytes(_RESERVE)} are to stay free. "
            "Nothing was fetched; make room and run again"
        )


def _there_already(folder: Path) -> Path:
    """A folder, or what is above one that does not exist yet."""
    return next(path for path in (folder, *folder.parents) if path.exists())
