"""`FaultyMirror`: a file server that fails on request, for tests of downloads that must survive it.

It runs in threads of the test's own process, on a port of its own, and notes what it sent.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.labhost.http_server import CHUNK, QuietHandler, ThreadedServer, asked_part, pieces


@dataclass
class Faults:
    """What goes wrong with each response."""

    cut_after: int | None = None
    """Close the connection after that many bytes."""
    stall_after: int | None = None
    """Send that many bytes, then nothing more, with the connection open."""
    flip_byte: int | None = None
    """Serve the byte at this offset of the file with all its bits inverted."""
    refuse_with: int | None = None
    """Answer every request with this status."""
    redirect_to: str | None = None
    """Send requests for a file of a repository on to the same path at this address, as a Hub does to its storage."""
    wants_token: str | None = None
    """Refuse every request without this bearer token, as a Hub does for a gated repository."""
    bytes_per_second: int | None = None
    """Send no faster than that."""
    ignore_range: bool = False
    """Answer a request for a part with the whole file, as servers without Range do."""


@dataclass
class Served:
    """One request, and how many bytes of the body were sent for it so far."""

    method: str
    path: str
    first_byte: int
    authorization: str | None = None
    sent: int = 0


class FaultyMirror(ThreadedServer):
    """Serves ``folder`` on ``address`` while its ``with`` block runs. ``faults`` may be changed at any time."""

    def __init__(self, folder: Path, address: str, faults: Faults | None = None) -> None:
        super().__init__(address, _Handler)
        self.folder = folder
        self.faults = faults or Faults()
        self.served: list[Served] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = super().get_request()
        # What was written and not read stays small, so that `Served.sent` is what the client was sent.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        return connection, client


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyMirror

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        mirror = self.server
        file = (mirror.folder / self.path.partition("?")[0].lstrip("/")).resolve()
        if mirror.faults.wants_token and self.headers.get("Authorization") != f"Bearer {mirror.faults.wants_token}":
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        if not (file.is_relative_to(mirror.folder.resolve()) and file.is_file()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if mirror.faults.refuse_with is not None:
            self.send_error(mirror.faults.refuse_with)
            return
        if mirror.faults.redirect_to and "/resolve/" in self.path:
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", mirror.faults.redirect_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = file.stat().st_size
        part = None if mirror.faults.ignore_range else asked_part(self.headers.get("Range"), size)
        first, end = part or (0, size)
        if part and first >= end:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
        if file.suffix == ".html":
            self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(end - first))
        if part:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        if not mirror.faults.ignore_range:
            self.send_header("Accept-Ranges", "bytes")
        # Noted before it is sent, here and below: who has received it finds it noted.
        served = Served(self.command, self.path, first, self.headers.get("Authorization"))
        mirror.served.append(served)
        self.end_headers()
        if with_body:
            self._send_body(file, first, end, served)

    def _send_body(self, file: Path, first: int, end: int, served: Served) -> None:
        faults = self.server.faults
        limits = [limit for limit in (faults.cut_after, faults.stall_after) if limit is not None]
        stop = min([end, *(first + limit for limit in limits)])
        for piece in pieces(file, first, stop, faults.flip_byte):
            served.sent += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:  # the client has gone; what it was sent before stays noted
                served.sent -= len(piece)
                break
            if faults.bytes_per_second:
                self.server.closing.wait(len(piece) / faults.bytes_per_second)
        if stop < end:
            if faults.stall_after is not None and stop == first + faults.stall_after:
                self.server.closing.wait()
            self.close_connection = True
