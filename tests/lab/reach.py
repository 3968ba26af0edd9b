"""Who reaches what of a host's stack, tried out: the table of `docs/operations.md`."""

from __future__ import annotations

import socket

import httpx

from tests.lab.local_user import USER
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

DOCS = REPOSITORY / "docs/operations.md"
BEGIN, END = "<!-- written by tests/lab/test_local_user.py -->\n", "<!-- end -->\n"

_ANSWERS, _KEY, _CLOSED = "answers", "asks for its key", "closed"
_PORTS = {
    "the endpoint (front)": (4000, "/v1/models"),
    "an instance of the gateway": (4001, "/health/liveliness"),
    "llama-server": (8080, "/v1/models"),
    "Ollama": (11434, "/api/tags"),
}
_REDIS = 6379
_LOCAL = {
    "another user of the host": USER,
    "the gateway's user": "ai-backend-gateway",
    "the front's user": "ai-backend-front",
    "root": "root",
}
_ELSEWHERE = "another host"


def table(host: LabHost) -> str:
    """A row for each that listens, a column for each that asks, without a key."""
    lines = [f"| | {' | '.join([*_LOCAL, _ELSEWHERE])} |", "|---" * (len(_LOCAL) + 2) + "|"]
    for what, (port, path) in _PORTS.items():
        seen = [_asked_on_the_host(host, user, port, path) for user in _LOCAL.values()]
        lines.append(f"| {what} | {' | '.join([*seen, _asked_from_elsewhere(host, port, path)])} |")
    seen = [_redis_on_the_host(host, user) for user in _LOCAL.values()]
    lines.append(f"| Redis | {' | '.join([*seen, _port_from_elsewhere(host, _REDIS)])} |")
    return "\n".join(lines) + "\n"


def _asked_on_the_host(host: LabHost, user: str, port: int, path: str) -> str:
    command = f"curl -s -m 10 -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{port}{path}"
    return _meant(int(host.run(f"runuser -u {user} -- {command}", check=False).stdout))


def _asked_from_elsewhere(host: LabHost, port: int, path: str) -> str:
    try:
        return _meant(httpx.get(f"http://{host.address}:{port}{path}", trust_env=False, timeout=10).status_code)
    except httpx.ConnectError:
        return _CLOSED


def _meant(status: int) -> str:
    """Other statuses, and 0 of a connection that was refused, are no answer of a server that is asked rightly."""
    return {0: _CLOSED, 200: _ANSWERS, 401: _KEY}.get(status, str(status))


def _redis_on_the_host(host: LabHost, user: str) -> str:
    said = host.run(f"runuser -u {user} -- redis-cli ping 2>&1", check=False).stdout
    return {"PONG\n": _ANSWERS, "NOAUTH Authentication required.\n\n": _KEY}.get(said, said)


def _port_from_elsewhere(host: LabHost, port: int) -> str:
    try:
        socket.create_connection((host.address, port), 10).close()
    except ConnectionRefusedError:
        return _CLOSED
    return "takes connections"
