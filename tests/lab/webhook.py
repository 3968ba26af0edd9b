"""A webhook on the lab's network, and what hosts post to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.labhost import Lab


@contextmanager
def webhook(lab: Lab) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that hosts reach, and what it is told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    server = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_port}/a-secret-path", told
    finally:
        server.shutdown()
        server.server_close()
