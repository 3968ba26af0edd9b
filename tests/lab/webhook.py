"""A webhook on the lab's network, and what hosts post to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.labhost import Lab
from tests.labhost.http_server import QuietHandler, ThreadedServer


@contextmanager
def webhook(lab: Lab) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that hosts reach, and what it is told."""
    told: list[dict[str, Any]] = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

    address = lab.mirror_url.removeprefix("http://").partition(":")[0]
    with ThreadedServer(address, Handler) as server:
        yield f"{server.url}/a-secret-path", told
