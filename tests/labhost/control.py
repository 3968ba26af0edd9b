"""How a host's supervisor is spoken to: one JSON request and one JSON reply over its Unix socket.

A connection that is refused means that the supervisor is dead, whatever became of its process number.
"""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.labhost.errors import LabError

_LONGEST_SOCKET_PATH = 107


def listen(path: Path) -> socket.socket:
    """The supervisor's end. Only root can reach it, as it lies in a folder of root's."""
    if len(str(path)) > _LONGEST_SOCKET_PATH:
        raise LabError(f"{path} is too long for a Unix socket: set AI_BACKEND_LAB_DIR to a shorter folder")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen()
    return server


def is_alive(path: Path) -> bool:
    """Whether a supervisor answers on ``path``."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True


def request(path: Path, verb: str, timeout: float = 60.0, **arguments: Any) -> dict[str, Any]:
    """Ask the supervisor to do ``verb``; return what it says, raise `LabError` with what it could not do."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            raise LabError(f"host {path.parent.name} has no living supervisor to {verb} it ({error})") from error
    if not answer:
        raise LabError(f"the supervisor of host {path.parent.name} died while it was to {verb} it")
    reply: dict[str, Any] = json.loads(answer)
    if "error" in reply:
        raise LabError(reply["error"])
    return reply


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """One request, or None when the other side only looked whether anybody is there."""
    with connection.makefile("rb") as lines:
        line = lines.readline()
    return json.loads(line) if line else None


def reply(connection: socket.socket, **answer: Any) -> None:
    connection.sendall(json.dumps(answer).encode())
