"""The page of the cards' metrics, on loopback. Each request for it asks the driver's tool: nothing on it is old."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from roles.host.programs.gpu.metrics import CardReader, MetricsError

_LONGEST_READING = 8.0
"""Seconds. Prometheus waits for ten."""
_LONGEST_REQUEST = 5
"""Seconds that a client may take to say what it wants."""
_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


class CardServer(ThreadingHTTPServer):
    """Answers `/metrics`, and `/` without asking the driver."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """
        Raises:
            OSError: the port is taken.
        """
        super().__init__(("127.0.0.1", port), _Request)
        self._reader = CardReader()
        self._problem: str | None = None
        self._one_at_a_time = threading.Lock()

    def metrics(self) -> tuple[int, str]:
        """Status and text. What is wrong is in the journal too, once."""
        end = time.monotonic() + _LONGEST_READING
        with self._one_at_a_time:
            try:
                status, text, problem = 200, self._reader.metrics(end), None
            except MetricsError as error:
                status, text, problem = 503, f"{error}\n", str(error)
            if problem != self._problem:
                print(problem or "the cards are read again", flush=True)
            self._problem = problem
        return status, text


class _Request(BaseHTTPRequestHandler):
    server: CardServer
    timeout = _LONGEST_REQUEST

    def do_GET(self) -> None:
        if self.path == "/metrics":
            status, text = self.server.metrics()
            self._answer(status, text, _METRICS if status == 200 else _TEXT)
        elif self.path == "/":
            self._answer(200, "The metrics of the graphics cards are at /metrics.\n", _TEXT)
        else:
            self._answer(404, "There is /metrics.\n", _TEXT)

    def _answer(self, status: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line for each request says nothing."""


def serve(port: int) -> None:
    """Answer until the process is ended.

    Raises:
        OSError: the port is taken.
    """
    with CardServer(port) as server:
        server.serve_forever()
