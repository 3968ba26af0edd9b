"""The clients' file of the generation, read again when it changes: a new client restarts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from roles.contract.clients import Clients, Limits
from roles.contract.wire import read


class DeclaredClients:
    """The clients in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int, int] | None = None
        """By this the file showed that it was the one that was read."""
        self._clients: Mapping[str, Limits] = {}

    def find(self, name: str) -> Limits | None:
        """What a client may do; none = it is not declared."""
        # A link above the file leads to the generation that runs.
        look = self._path.stat()
        now = (look.st_dev, look.st_ino, look.st_mtime_ns)
        if now != self._read:
            # It may be another version's.
            found = read(Clients, json.loads(self._path.read_text()), strict=False)
            self._clients, self._read = {client.name: client for client in found.clients}, now
        return self._clients.get(name)
