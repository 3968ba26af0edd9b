"""The check of the front: every gateway instance gets requests. A run that was killed may have left one without."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Mapping
from pathlib import Path

from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import Front
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import decoded

_PATIENCE = 10.0
"""Seconds until HAProxy, which asks once a second, has noticed that an instance answers again."""
_PAUSE = 0.5
_LONGEST_ANSWER = 10.0
"""Seconds. HAProxy answers from memory."""


async def front_check(front: Front, context: VerificationContext) -> Check:
    """Whether HAProxy sends requests to each instance."""
    expected = ", ".join(f"{server} UP" for server in front.servers)
    return await Claim("gateway/servers", "gateway", "gives each instance requests", expected).check(
        _servers(front, context.runtime / front.socket)
    )


async def _servers(front: Front, socket: Path) -> str:
    deadline = time.monotonic() + _PATIENCE
    while True:
        statuses = await _statuses(front, socket)
        seen = ", ".join(f"{server} {statuses.get(server, 'missing')}" for server in front.servers)
        # "UP 1/2" is a server that has missed a health check and still gets requests.
        if all(statuses.get(server, "").startswith("UP") for server in front.servers):
            return seen
        # A server in state drain or maint stays so until it is set to ready again.
        if time.monotonic() > deadline:
            raise CheckFailed("instance-unused", seen)
        await asyncio.sleep(_PAUSE)


async def _statuses(front: Front, socket: Path) -> Mapping[str, str]:
    """Server → status, as HAProxy's `show stat` prints it.

    Raises:
        CannotCheck: HAProxy cannot be asked.
    """
    try:
        async with asyncio.timeout(_LONGEST_ANSWER):
            table = await _table(front, socket)
    except (OSError, TimeoutError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no answer"
        raise CannotCheck(f"{socket}: {reason}", code="connection-failed") from None
    return {str(row.get("svname")): row.get("status") or "" for row in csv.DictReader(table.strip().splitlines())}


async def _table(front: Front, socket: Path) -> str:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(f"show stat {front.backend} 4 -1\n".encode())  # 4: servers, -1: all of them
        await writer.drain()
        return decoded(await reader.read()).removeprefix("# ")
    finally:
        writer.close()
