"""The HTTP server: framing, order of headers, access checks and errors as Go's server and gin give them."""

from __future__ import annotations

import contextlib
import ipaddress
import posixpath
import re
import select
import socket
import socketserver
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any
from urllib.parse import unquote

from .errors import ApiError, ClientGone

JSON = "application/json; charset=utf-8"
_TEXT = "text/plain"
_BUFFER = 2048
"""Bytes. Go gives a length to answers that fit in its buffer, and sends longer ones in chunks."""
_DRAIN = 256 << 10
"""Bytes of a body that nobody read, before the connection is given up."""
_RESET_DELAY = 0.5
"""Seconds between the end of an answer and that of its connection, where the body was not read: with a connection that
is reset the answer could be lost."""
_LOCAL_NAMES = (".localhost", ".local", ".internal")
# Not `is_private`: Python counts more than Go does, ranges for tests and documentation among them.
_PRIVATE = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
_ALLOWED_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)


class Body:
    """The body of a request, with a length or in chunks."""

    def __init__(self, file: BufferedIOBase, length: int, *, chunked: bool) -> None:
        self._file = file
        self.left = length
        """Bytes that are known to come."""
        self._chunked = chunked

    def chunks(self) -> Iterator[bytes]:
        """Raises `ApiError` when the body ends too early."""
        while True:
            if self._chunked and not self.left:
                self.left = int(self._file.readline().partition(b";")[0] or b"0", 16)
                if not self.left:
                    self._chunked = False
                    while self._file.readline().strip():
                        pass
            if not self.left:
                return
            chunk = self._file.read(min(self.left, 1 << 16))
            if not chunk:
                raise ApiError(500, "unexpected EOF")
            self.left -= len(chunk)
            if self._chunked and not self.left:
                self._file.readline()
            yield chunk

    def read(self) -> bytes:
        return b"".join(self.chunks())

    @property
    def unread(self) -> bool:
        return self._chunked or self.left > 0


@dataclass
class Request:
    parameter: str
    """What stands in the path where the route has a `*`."""
    body: Body
    gone: Callable[[], bool]
    """Whether the client has hung up."""


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Stream:
    """An answer in chunks, each sent as soon as it is there."""

    pieces: Iterator[bytes]
    content_type: str
    status: int = 200


Route = Callable[[Request], Answer | Stream]
Routes = dict[str, dict[str, Route]]
"""Path, with a `*` for its last part, and method; the methods in the order in which they are told."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], routes: Routes, origins: tuple[str, ...]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        self.routes, self.origins = routes, origins
        self._connections: set[socket.socket] = set()
        self.loopback = ipaddress.ip_address(self.server_address[0]).is_loopback  # type: ignore[arg-type]

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def break_off(self) -> None:
        """Close all connections, whatever is being answered on them."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        start = time.monotonic()
        # Not `self.path`: there two slashes at the beginning are one already.
        path = unquote(self.requestline.split()[1].partition("?")[0])
        length = self.headers.get("Content-Length", "")
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self._body = Body(self.rfile, int(length) if length.isdecimal() else 0, chunked=chunked)
        self._status = 0
        self._common: list[tuple[str, str]] = []
        try:
            self._send(self._answer(path))
        except ClientGone:
            self.close_connection = True
        took = (time.monotonic() - start) * 1000
        print(
            f"[GIN] {time.strftime('%Y/%m/%d - %H:%M:%S')} | {self._status} | {took:.3f}ms |"
            f' {self.client_address[0]} | {self.command} "{path}"',
            flush=True,
        )

    def _answer(self, path: str) -> Answer | Stream:
        methods, parameter = self._routed(path)
        if not methods:
            clean = posixpath.normpath("/" + path.lstrip("/"))
            if clean != path and self._routed(clean)[0]:
                return self._redirect(clean)
        allow = [("Allow", ", ".join(methods))] if methods and self.command not in methods else []
        refused = self._refused_origin(allow) or self._refused_host()
        if refused:
            return refused
        if not methods:
            return Answer(404, b"404 page not found", [("Content-Type", _TEXT)])
        if allow:
            return Answer(405, b"405 method not allowed", [*allow, ("Content-Type", _TEXT)])
        return methods[self.command](Request(parameter, self._body, self._gone))

    def _routed(self, path: str) -> tuple[dict[str, Route], str]:
        if path in self.server.routes:
            return self.server.routes[path], ""
        folder, _, last = path.rpartition("/")
        return (self.server.routes.get(f"{folder}/*", {}), last) if last else ({}, "")

    def _redirect(self, path: str) -> Answer:
        if self.command != "GET":
            return Answer(307, b"", [("Location", path)])
        body = f'<a href="{path}">Moved Permanently</a>.\n\n'.encode()
        return Answer(301, body, [("Content-Type", "text/html; charset=utf-8"), ("Location", path)])

    def _origin(self) -> str:
        """Of a request from another site's page."""
        origin = self.headers.get("Origin", "")
        host = self.headers.get("Host", "")
        return "" if origin in (f"http://{host}", f"https://{host}") else origin

    def _refused_origin(self, allow: list[tuple[str, str]]) -> Answer | None:
        """Also the answer to a browser that asks what it may do."""
        origin = self._origin()
        if not origin:
            return None
        if not any(fnmatchcase(origin, allowed) for allowed in self.server.origins):
            return Answer(403)
        if self.command != "OPTIONS":
            self._common = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
            return None
        return Answer(
            204,
            b"",
            [
                ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
                ("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Max-Age", "43200"),
                *allow,
                ("Vary", "Origin"),
                ("Vary", "Access-Control-Request-Method"),
                ("Vary", "Access-Control-Request-Headers"),
            ],
        )

    def _refused_host(self) -> Answer | None:
        """A server on a loopback address answers to names of this machine and private addresses only."""
        host = self.headers.get("Host", "")
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        if not self.server.loopback or name in ("", "localhost", socket.gethostname().lower()):
            return None
        if name.endswith(_LOCAL_NAMES):
            return None
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return Answer(403)
        private = any(address in network for network in _PRIVATE)
        allowed = address.is_loopback or private or address.is_unspecified or _is_ours(name)
        return None if allowed else Answer(403)

    def _gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _send(self, answer: Answer | Stream) -> None:
        if isinstance(answer, Stream):
            self._send_stream(answer)
            return
        headers = sorted([*answer.headers, *self._common], key=lambda header: header[0])
        empty_head = self.command == "HEAD" and not answer.body
        chunked = len(answer.body) > _BUFFER and self.command != "HEAD" and self.request_version == "HTTP/1.1"
        if answer.status == 204 or empty_head:
            self._send_head(answer.status, headers)
        elif chunked:
            self._send_head(answer.status, headers, chunked=True)
            self._send_chunk(answer.body)
            self._send_chunk(b"")
        else:
            self._send_head(answer.status, headers, length=len(answer.body))
            if self.command != "HEAD":
                self.wfile.write(answer.body)
        self._drain()

    def _send_stream(self, stream: Stream) -> None:
        headers = sorted([("Content-Type", stream.content_type), *self._common])
        chunked = self.request_version == "HTTP/1.1"
        self.close_connection = self.close_connection or not chunked
        begun = False
        for piece in stream.pieces:
            if not begun:
                self._send_head(stream.status, headers, chunked=chunked)
                begun = True
            if chunked:
                self._send_chunk(piece)
            else:
                self.wfile.write(piece)
        if chunked:
            self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send_head(
        self, status: int, headers: list[tuple[str, str]], *, length: int | None = None, chunked: bool = False
    ) -> None:
        self._status = status
        headers = [*headers, ("Date", formatdate(usegmt=True))]
        if length is not None:
            headers.append(("Content-Length", str(length)))
        if self._body.left > _DRAIN:
            self.close_connection = True
        if self.close_connection and self.request_version == "HTTP/1.1":
            headers.append(("Connection", "close"))
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        version = "HTTP/1.1" if self.request_version == "HTTP/1.1" else "HTTP/1.0"
        head = f"{version} {status} {HTTPStatus(status).phrase}\r\n"
        self.wfile.write((head + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode())

    def _drain(self) -> None:
        """Read what is left of the body, so that the next request can be read; Go does so for short ones."""
        if self._body.unread and not self.close_connection:
            self._body.read()
        elif self._body.unread:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            time.sleep(_RESET_DELAY)


def _is_ours(address: str) -> bool:
    """Whether this machine has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
