"""The check that the stack's processes listen where it is declared, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.generation import PLAIN, Generation
from roles.verify.probe.sockets import Listener, described, is_at, listeners
from roles.verify.verdict.claim import CheckFailed, Claim

_PAUSE = 2.0
"""Seconds until a port counts as one that stays open."""


def open_ports_check(generation: Generation, proc: Path) -> Coroutine[Any, Any, Check]:
    """The check, to be awaited."""
    claim = Claim("host/listeners", "host", "listens nowhere else", "the declared endpoints alone")
    return claim.check(_listens_nowhere_else(generation, proc))


async def _listens_nowhere_else(generation: Generation, proc: Path) -> str:
    found = await asyncio.to_thread(_undeclared, generation, proc)
    if any(owner is None for owner in found.values()):
        await asyncio.sleep(_PAUSE)
        again = await asyncio.to_thread(_undeclared, generation, proc)
        stayed = {(listener.address, listener.port) for listener in found}
        found = {listener: owner for listener, owner in again.items() if (listener.address, listener.port) in stayed}
    strange = [listener for listener, owner in found.items() if owner is None]
    if strange:
        raise CheckFailed("undeclared-listener", described(strange))
    notes = sorted({owner for owner in found.values() if owner})
    return "; ".join(["nowhere else", *notes])


def _undeclared(generation: Generation, proc: Path) -> dict[Listener, str | None]:
    """Each undeclared listening socket of the stack's units → the note to report if it is allowed; None = it is not."""
    return dict(_judged(generation, proc))


def _judged(generation: Generation, proc: Path) -> Iterator[tuple[Listener, str | None]]:
    declared = {service.unit: service for service in generation.services}
    units = {*declared, *(task.unit for task in generation.tasks)}
    all_traits = generation.traits()
    for listener in listeners(None, proc):
        for unit in sorted({unit for holder in listener.holders for unit in holder.units} & units):
            service = declared.get(unit)
            if service and listener.port == service.port and is_at(listener, service.bind):
                continue
            if service and listener.port in service.local_ports and is_at(listener, "127.0.0.1"):
                continue
            traits = all_traits.get(unit, PLAIN)
            address = ip_address(listener.address)
            if address.is_loopback and traits.talks_to_itself:
                yield listener, ""
            elif address.is_unspecified and traits.listens_elsewhere:
                yield listener, f"but for {described([listener])}: {traits.listens_elsewhere}"
            else:
                yield listener, None
