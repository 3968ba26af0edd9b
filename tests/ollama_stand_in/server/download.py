"""Downloads of blobs, in parts side by side, each with a note on disk of how far it is.

Who asks for a blob that is already on its way waits for the same download. The last one to hang up ends it; what has
arrived stays, and the next pull goes on from there. A part's note is written when its transfer ends, not before: after
a SIGKILL the parts that were on their way begin again.
"""

from __future__ import annotations

import errno
import http.client
import json
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .go_formats import encode
from .registry_client import Registry, RegistryError, ask
from .store import Store

_PARTS = 16
_SMALLEST_PART, _LARGEST_PART = 100_000_000, 1_000_000_000
_TRIES = 6
_TICK = 0.06
"""Seconds between two lines of progress: a blob that takes less time gives none."""
_CHUNK = 1 << 16


@dataclass
class _Part:
    number: int
    offset: int
    size: int
    completed: int = 0
    arriving: int = 0
    """Bytes that have come since the last note."""

    def as_json(self) -> dict[str, int]:
        return {"N": self.number, "Offset": self.offset, "Size": self.size, "Completed": self.completed}


class _Cancelled(Exception):
    pass


class _Download:
    """One blob on its way, in threads of its own."""

    def __init__(self, blob: Path, digest: str, registry: Registry) -> None:
        self.blob, self.digest = blob, digest
        self.waiting = 0
        self.cancelled, self.done = threading.Event(), threading.Event()
        self.error: RegistryError | None = None
        self._registry = registry
        self._partial = blob.with_name(f"{blob.name}-partial")
        self._parts: list[_Part] = []

    @property
    def total(self) -> int:
        return sum(part.size for part in self._parts)

    @property
    def arrived(self) -> int:
        return sum(part.completed + part.arriving for part in self._parts)

    def prepare(self) -> None:
        """Find out where an earlier download stopped, or how large the blob is. Raises `RegistryError`."""
        notes = sorted(
            self.blob.parent.glob(f"{self._partial.name}-*"), key=lambda note: int(note.name.rpartition("-")[2])
        )
        for content in (json.loads(note.read_text()) for note in notes):
            self._parts.append(_Part(content["N"], content["Offset"], content["Size"], content["Completed"]))
        if self._parts:
            return
        total = self._registry.blob_size(self.digest)
        size = min(max(total // _PARTS, _SMALLEST_PART), _LARGEST_PART)
        for number, offset in enumerate(range(0, total, size)):
            self._parts.append(_Part(number, offset, min(size, total - offset)))
            self._note(self._parts[-1])

    def run(self) -> None:
        """Fetch what is missing, then give the blob its name."""
        try:
            with self._partial.open("r+b" if self._partial.exists() else "wb") as file:
                file.truncate(self.total)
            url = self._registry.direct_url(self.digest)
            with ThreadPoolExecutor(_PARTS) as pool:
                fetched = [pool.submit(self._fetch, part, url) for part in self._parts if part.completed < part.size]
                for future in fetched:
                    future.result()
            for part in self._parts:
                self._note_of(part).unlink()
            self._partial.rename(self.blob)
        except _Cancelled:
            # A part that gave up has cancelled the others, and left its reason.
            self.error = self.error or RegistryError("context canceled")
        except RegistryError as error:
            self.error = error
        except OSError as error:
            self.error = RegistryError(str(error))

    def _fetch(self, part: _Part, url: str) -> None:
        problem = ""
        for attempt in range(_TRIES):
            try:
                self._transfer(part, url)
                return
            except (RegistryError, OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise
                problem = str(error) or "unexpected EOF"
            finally:
                part.completed, part.arriving = part.completed + part.arriving, 0
                self._note(part)
            if self.cancelled.wait(2**attempt):
                raise _Cancelled
        self.error = RegistryError(f"max retries exceeded: {problem}")
        self.cancelled.set()
        raise _Cancelled

    def _transfer(self, part: _Part, url: str) -> None:
        first, last = part.offset + part.completed, part.offset + part.size - 1
        with ask("GET", url, {"Range": f"bytes={first}-{last}"}) as reply, self._partial.open("r+b") as file:
            file.seek(first)
            missing = part.size - part.completed
            # Whatever the status, and whether it is the part that was asked for: the digest tells in the end.
            while missing:
                if self.cancelled.is_set():
                    raise _Cancelled
                chunk = reply.response.read1(min(_CHUNK, missing))
                if not chunk:
                    raise RegistryError("unexpected EOF")
                file.write(chunk)
                part.arriving += len(chunk)
                missing -= len(chunk)

    def _note_of(self, part: _Part) -> Path:
        return self._partial.with_name(f"{self._partial.name}-{part.number}")

    def _note(self, part: _Part) -> None:
        self._note_of(part).write_text(encode(part.as_json()) + "\n")


class Downloads:
    """All that are running."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[str, _Download] = {}
        self._lock = threading.Lock()

    def fetch(self, registry: Registry, digest: str) -> Generator[dict[str, Any], None, bool]:
        """Yields lines of progress; returns whether the blob was here already. Raises `RegistryError`."""
        blob = self._store.blob(digest)
        if blob.exists():
            size = blob.stat().st_size
            yield _progress(digest, size, size)
            return True
        with self._lock:
            download = self._running.get(digest) or self._started(blob, digest, registry)
            download.waiting += 1
        try:
            while not download.done.wait(_TICK):
                yield _progress(digest, download.total, download.arrived)
        finally:
            with self._lock:
                download.waiting -= 1
                if not download.waiting:
                    download.cancelled.set()
        if download.error:
            raise download.error
        return False

    def cancel_all(self) -> None:
        """Stop, with a note of how far each part is."""
        with self._lock:
            running = list(self._running.values())
        for download in running:
            download.cancelled.set()
        for download in running:
            download.done.wait(1)

    def _started(self, blob: Path, digest: str, registry: Registry) -> _Download:
        download = _Download(blob, digest, registry)
        download.prepare()
        self._running[digest] = download
        threading.Thread(target=self._run, args=(download,), daemon=True).start()
        return download

    def _run(self, download: _Download) -> None:
        download.run()
        with self._lock:
            del self._running[download.digest]
        download.done.set()


def _progress(digest: str, total: int, completed: int) -> dict[str, Any]:
    return {
        "status": f"pulling {digest.removeprefix('sha256:')[:12]}",
        "digest": digest,
        **({"total": total} if total else {}),
        **({"completed": completed} if completed else {}),
    }
