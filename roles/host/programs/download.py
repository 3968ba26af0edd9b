"""Fetching a file: resumed after a cut, its digest checked before it gets its name, a stall noticed, progress shown."""

from __future__ import annotations

import hashlib
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from roles.host.programs.console import HostError, Progress, megabytes, say

STALL_SECONDS = 30
"""Without a byte for so long, the connection is given up and the download resumed."""
ATTEMPTS = 6
"""Tries without any progress between them before the download fails."""
_CHUNK = 1 << 20
_RESERVE = 256 << 20
"""Bytes that a download leaves free on the disk."""


@dataclass(frozen=True)
class Digest:
    """What a file must hold: `sha256` of its bytes, or `git-blob`, the SHA-1 by which git names its content."""

    kind: Literal["sha256", "git-blob"]
    hexadecimal: str

    def of(self, path: Path) -> str:
        """The digest of that kind that a file has."""
        with path.open("rb") as file:
            if self.kind == "sha256":
                return hashlib.file_digest(file, "sha256").hexdigest()
            begun = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
            return hashlib.file_digest(file, lambda: begun).hexdigest()


def download(url: str, digest: Digest, target: Path, title: str, headers: Mapping[str, str] | None = None) -> None:
    """Fetch `url` to `target`, which then has the digest, or is not there.

    What has come so far waits in `<target>.part`, also over a reboot.

    Args:
        headers: sent to the address itself, and not to where it redirects: a token is nobody else's business.

    Raises:
        HostError: the server refuses, the connection keeps failing, the disk is too small, or the digest is another.
    """
    part = target.with_name(f"{target.name}.part")
    done = [part.stat().st_size if part.exists() else 0]
    total = [0]

    def how_far() -> str:
        share = f" of {megabytes(total[0])} ({100 * done[0] // total[0]} %)" if total[0] else ""
        return f"{megabytes(done[0])}{share}"

    say(f"{title}: {'resuming at ' + megabytes(done[0]) if done[0] else 'fetching'}")
    started, at_start = time.monotonic(), done[0]
    with Progress(title, how_far):
        _fetch_all(url, part, done, total, headers or {})
        actual = digest.of(part)
    if actual != digest.hexadecimal:
        part.unlink()
        raise HostError(
            f"{title}: {url} has the digest {actual}, not {digest.hexadecimal} as declared. It was thrown away. "
            "Either the server sends something else than was pinned, or the pin is wrong"
        )
    part.rename(target)
    speed = (done[0] - at_start) / max(time.monotonic() - started, 0.001)
    say(f"{title}: {megabytes(done[0])} there and checked ({megabytes(speed)}/s)")


def _fetch_all(url: str, part: Path, done: list[int], total: list[int], headers: Mapping[str, str]) -> None:
    fruitless = 0
    while True:
        before = done[0]
        try:
            _fetch_from(url, part, done, total, headers)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416:
                if error.headers.get("Content-Range") == f"bytes */{done[0]}":
                    return  # all of it was there already
                # Longer than the file: it is not a part of it.
                part.unlink()
                done[0] = 0
            elif error.code < 500 and error.code not in (408, 429):
                raise HostError(f"{url} answers {error.code} {error.reason}") from None
            cause: str = f"{error.code} {error.reason}"
        except TimeoutError:
            cause = f"nothing came for {STALL_SECONDS} s"
        except (urllib.error.URLError, HTTPException, ConnectionError) as error:
            reason = getattr(error, "reason", None) or error
            cause = str(reason) or type(error).__name__
        fruitless = 0 if done[0] > before else fruitless + 1
        if fruitless >= ATTEMPTS:
            raise HostError(
                f"{url} can not be fetched: {cause} ({ATTEMPTS} tries). "
                f"{megabytes(done[0])} are kept; run again to resume"
            )
        say(f"{url}: {cause}; trying again at {megabytes(done[0])}")
        time.sleep(min(2**fruitless, 20))


def _fetch_from(url: str, part: Path, done: list[int], total: list[int], headers: Mapping[str, str]) -> None:
    """Append what is missing; returns when the server has sent all."""
    done[0] = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done[0]}-"} if done[0] else {})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=STALL_SECONDS) as answer:
        resumed = answer.status == 206
        if not resumed:
            done[0] = 0
        length = answer.headers.get("Content-Length")
        total[0] = done[0] + int(length) if length else 0
        check_space(part.parent, total[0] - done[0], url)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read1(_CHUNK):
                try:
                    file.write(chunk)
                    file.flush()
                except OSError as error:
                    raise HostError(f"{part}: {error.strerror}; free some space and run again to resume") from None
                done[0] += len(chunk)
    if total[0] and done[0] < total[0]:
        raise ConnectionError(f"the connection ended {megabytes(total[0] - done[0])} early")


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what would fill the disk."""
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE > free:
        raise HostError(
            f"{what} needs {megabytes(needed)}, but {folder} has {megabytes(free)} free and "
            f"{megabytes(_RESERVE)} are to stay free. Nothing was fetched; make room and run again"
        )
