"""What each client may do, as its generation says it: a new client restarts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from roles.contract.clients import Clients, Limits
from roles.contract.wire import read
from roles.litellm.requests.live_file import LiveFile


class DeclaredClients(LiveFile[Limits]):
    """The declared clients, by name."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, _read)


def _read(text: str) -> Mapping[str, Limits]:
    # It may be another version's.
    found = read(Clients, json.loads(text), strict=False)
    return {client.name: client for client in found.clients}
