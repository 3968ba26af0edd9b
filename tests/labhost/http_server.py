"""An HTTP server for a test's own process, and what those that serve files have in common."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK = 1 << 16
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class ThreadedServer(ThreadingHTTPServer):
    """Answers at `url`, on a port of its own, in threads of this process, while its ``with`` block runs.

    Attributes:
        closing: set when the block ends, for an answer that waits.
    """

    def __init__(self, address: str, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((address, 0), handler)
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test looks at what its server has noted."""


def asked_part(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte that a Range header asks for, and the one behind the last; None: the whole."""
    asked = _RANGE.fullmatch(header or "")
    if not asked:
        return None
    return int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size


def pieces(file: Path, first: int, end: int, flip_byte: int | None = None) -> Iterator[bytes]:
    """What lies there, in pieces; the byte at ``flip_byte`` of the file with all its bits inverted."""
    with file.open("rb") as source:
        source.seek(first)
        while first < end:
            piece = bytearray(source.read(min(CHUNK, end - first)))
            if flip_byte is not None and first <= flip_byte < first + len(piece):
                piece[flip_byte - first] ^= 0xFF
            yield bytes(piece)
            first += len(piece)
