"""`LoginProxy`: an HTTP proxy that wants a login, and alone knows the way to some hosts.

It takes CONNECT and plain http. It runs in threads of the test's own process, on a port of its own, and notes what it
was asked.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import shutil
import socket
import ssl
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.labhost.http_server import CHUNK, QuietHandler, ThreadedServer

_TIMEOUT = 60


def with_tls(server: HTTPServer, certificate: Path, key: Path) -> None:
    """From here on the server speaks TLS. The handshake is each connection's own, so that none holds up the others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)


class LoginProxy(ThreadedServer):
    """
    Args:
        login: `user:password`.
        ways: name of a host → the address and port where its server is.
    """

    def __init__(self, address: str, login: str, ways: Mapping[str, tuple[str, int]]) -> None:
        super().__init__(address, _Handler)
        self.wanted = f"Basic {base64.b64encode(login.encode()).decode()}"
        self.ways = ways
        self.let_through: list[str] = []
        """What was asked of whom: `CONNECT host`, `GET host`."""
        self.refused = 0


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    server: LoginProxy

    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0]
        if not self._let_through(host):
            return
        with socket.create_connection(self.server.ways[host], timeout=_TIMEOUT) as there:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.close_connection = True
            back = threading.Thread(target=_carry, args=(there, self.connection), daemon=True)
            back.start()
            _carry(self.connection, there)
            back.join()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if not self._let_through(address.hostname or ""):
            return
        there = http.client.HTTPConnection(*self.server.ways[address.hostname or ""], timeout=_TIMEOUT)
        passed = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        there.request(self.command, f"{address.path}{'?' + address.query if address.query else ''}", headers=passed)
        answer = there.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        shutil.copyfileobj(answer, self.wfile)
        there.close()

    do_HEAD = do_GET

    def _let_through(self, host: str) -> bool:
        proxy = self.server
        status = None
        if self.headers.get("Proxy-Authorization") != proxy.wanted:
            proxy.refused += 1
            status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        elif host not in proxy.ways:
            status = HTTPStatus.BAD_GATEWAY
        if status is None:
            proxy.let_through.append(f"{self.command} {host}")
            return True
        self.send_response(status)
        self.send_header("Proxy-Authenticate", 'Basic realm="lab"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            end.shutdown(how)
