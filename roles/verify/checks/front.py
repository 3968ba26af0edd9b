"""The checks of the front: every gateway instance gets requests, and it knows the right keys. A run that was killed may
have left an instance without requests, or a key that should be refused."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Mapping
from pathlib import Path

from roles.contract.holders import client_of, clients_of, holders
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


async def keys_check(front: Front, context: VerificationContext) -> Check:
    """Whether HAProxy accepts the keys of the declared clients and the gateway's own, and no others."""
    claim = Claim("gateway/keys", "gateway", "accepts the declared clients' keys", "these keys and no others")
    return await claim.check(_keys(front, context))


async def _keys(front: Front, context: VerificationContext) -> str:
    variables = context.gateway.key_variables(front)
    wanted = holders(variables, context.gateway.key_variable)
    deadline = time.monotonic() + _PATIENCE
    while (known := await _known_keys(front, context.runtime)) != wanted:
        # Somebody may be changing them just now.
        if time.monotonic() > deadline:
            raise CheckFailed("keys-differ", _difference(known, wanted))
        await asyncio.sleep(_PAUSE)
    clients = clients_of(variables)
    have = {client_of(holder) for holder in wanted.values()}
    without = [name for name in clients if name not in have]
    return f"{len(clients) - len(without)} of clients" + (f"; no key yet: {', '.join(without)}" if without else "")


def _difference(known: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """In words, without digests."""
    missing = sorted({client_of(holder) for digest, holder in wanted.items() if known.get(digest) != holder})
    excess = sorted({client_of(holder) for digest, holder in known.items() if wanted.get(digest) != holder})
    parts = [("not as declared", missing), ("to be refused", excess)]
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


async def _known_keys(front: Front, runtime: Path) -> dict[str, str]:
    """Digest → holder. Each line of HAProxy's answer is an entry's address, its key and its value."""
    answer = await _ask(f"show map {runtime / front.keys}", runtime / front.socket)
    lines = (line.split() for line in answer.splitlines())
    return {line[1]: line[2] for line in lines if len(line) == 3 and line[0].startswith("0x")}


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


async def requests_under_way(front: Front, context: VerificationContext) -> int:
    """How many requests the instances work at.

    Raises:
        CannotCheck: HAProxy cannot be asked.
    """
    return sum(int(row.get("scur") or 0) for row in await _rows(front, context.runtime / front.socket))


async def _statuses(front: Front, socket: Path) -> Mapping[str, str]:
    """Server → status.

    Raises:
        CannotCheck: HAProxy cannot be asked.
    """
    return {str(row.get("svname")): row.get("status") or "" for row in await _rows(front, socket)}


async def _rows(front: Front, socket: Path) -> list[dict[str, str]]:
    """What HAProxy's `show stat` prints of each server. Raises `CannotCheck` likewise."""
    answer = await _ask(f"show stat {front.backend} 4 -1", socket)  # 4: servers, -1: all of them
    return list(csv.DictReader(answer.removeprefix("# ").strip().splitlines()))


async def _ask(command: str, socket: Path) -> str:
    """HAProxy's answer. Raises `CannotCheck` if it gives none."""
    try:
        async with asyncio.timeout(_LONGEST_ANSWER):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(f"{command}\n".encode())
                await writer.drain()
                return decoded(await reader.read())
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no answer"
        raise CannotCheck(f"{socket}: {reason}", code="connection-failed") from None
