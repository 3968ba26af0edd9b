"""One run: wait for the services, then make all checks side by side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from roles.contract.verdict import Check, Verdict
from roles.verify.checks.cache import cache_check
from roles.verify.checks.fault_injection import drill
from roles.verify.checks.files import files_check
from roles.verify.checks.front import front_check
from roles.verify.checks.gateway import canary_check, gateway_checks
from roles.verify.checks.host import host_checks
from roles.verify.checks.routes import balance_check, route_checks, warm_up
from roles.verify.checks.tasks import runtime_folder, task_checks, timer_checks
from roles.verify.checks.units import Progress, ReadStates, Settled, settle, unit_checks
from roles.verify.describe import describe
from roles.verify.doctor import explained
from roles.verify.generation import Gateway, Generation
from roles.verify.probe.api import Api
from roles.verify.probe.sockets import listeners
from roles.verify.probe.systemd import read_unit_states
from roles.verify.verdict.claim import CannotCheck, or_reason
from roles.verify.verdict.events import read_events

_UNBOUNDED = httpx.Limits(max_connections=None, max_keepalive_connections=None)
"""A pool would make one slow answer hold up the others."""
_COLD_SECONDS = 60
"""For so long after its start nobody may have asked a gateway anything."""
_TIMEOUTS = httpx.Timeout(None, connect=10)
"""Seconds. The whole of an answer is bounded by each request's own time-out."""


async def verify(
    generation: Generation,
    *,
    read_states: ReadStates = read_unit_states,
    progress: Progress = lambda _: None,
    deep: bool = False,
    faults: bool = False,
    proc: Path = Path("/proc"),
) -> Verdict:
    """Verifies a generation on the host that this runs on.

    Args:
        read_states: asks systemd; replaced in tests.
        progress: is told what a long run waits for.
        deep: read every model's files, also those that look untouched.
        faults: really stop backends, one route after the other, to see its fallbacks answer.
        proc: where the proc file system is mounted.
    """
    began = Beginning()
    services = generation.services
    async with gateway_client() as client:
        settled = await settle(services, generation.scope, read_states, client, progress)
        listening = await or_reason(asyncio.to_thread(listeners, {service.port for service in services}, proc))
        api = key_holder(client, generation.gateway)
        runtime = runtime_folder(generation.scope)
        # Before all that is asked through the front: it needs a moment to see that an instance answers again.
        made = (
            [await front_check(generation.gateway.front, runtime)]
            if generation.gateway and generation.gateway.front
            else []
        )
        tasks = _begun(
            check for task in generation.tasks for check in task_checks(task, generation.scope, read_states, runtime)
        )
        checks: list[Awaitable[Check]] = [files_check(generation.folder)]
        checks += [check for service in services for check in unit_checks(service, settled, listening, proc)]
        if generation.timer:
            checks += timer_checks(generation.timer, generation.scope, read_states)
        cooldown = generation.gateway.cooldown if generation.gateway else 0
        if generation.gateway:
            checks += gateway_checks(client, generation.gateway, generation.routes, api)
            if generation.gateway.canary:
                checks.append(canary_check(generation.gateway.canary, generation.routes, api, cooldown))
            if generation.cache:
                checks.append(
                    cache_check(generation.cache, generation.routes, api, instance_api(client, generation.gateway))
                )
        if generation.gateway and _just_started(generation.gateway, settled):
            await or_reason(warm_up(generation.routes, api, times=2 * max(1, len(generation.gateway.instances))))
        routes = _begun(check for route in generation.routes for check in route_checks(route, api, cooldown))
        routes += _begun(
            [balance_check(route, api, cooldown, [*routes]) for route in generation.routes if route.balance]
        )
        checks += await host_checks(generation, settled, client, brought=tasks, asked=routes, deep=deep, proc=proc)
        if faults:
            # Not before all else has been looked at as it is.
            made += await asyncio.gather(*tasks, *checks, *routes)
            made += await drill(generation, client, api, read_states, progress)
            return await make_checks(generation, [], made, proc=proc, began=began)
        return await make_checks(generation, [*tasks, *checks, *routes], made, proc=proc, began=began)


def _just_started(gateway: Gateway, settled: Settled) -> bool:
    if isinstance(settled.states, CannotCheck):
        return False
    units = [each.unit for each in gateway.instances or (gateway.service,)]
    since = [settled.states[unit].active_since for unit in units if unit in settled.states]
    return time.monotonic() - max(since, default=0.0) < _COLD_SECONDS


def _begun(checks: Iterable[Coroutine[Any, Any, Check]]) -> list[asyncio.Task[Check]]:
    """Checks that others wait for."""
    return [asyncio.create_task(check) for check in checks]


@dataclass(frozen=True)
class Beginning:
    """When a run began."""

    time_of_day: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    moment: float = field(default_factory=time.monotonic)


def gateway_client() -> httpx.AsyncClient:
    """A client without the proxies of the environment: everything is asked from this very host."""
    return httpx.AsyncClient(trust_env=False, limits=_UNBOUNDED, timeout=_TIMEOUTS)


async def make_checks(
    generation: Generation,
    checks: Sequence[Awaitable[Check]],
    made: Sequence[Check] = (),
    *,
    proc: Path = Path("/proc"),
    began: Beginning,
) -> Verdict:
    """The verdict of checks that are made now, all at once, and of those that were `made` before."""
    all_checks = (*made, *await asyncio.gather(*checks))
    return Verdict(
        host=socket.gethostname(),
        time=began.time_of_day,
        boot_id=_boot_id(proc),
        generation=generation.name,
        seconds=round(time.monotonic() - began.moment, 3),
        checks=explained(all_checks, generation),
        deployment=await asyncio.to_thread(describe, generation),
        events=read_events(generation.state),
    )


def key_holder(client: httpx.AsyncClient, gateway: Gateway | None) -> Api | CannotCheck:
    """The gateway as seen with the right key, or why that cannot be had."""
    if gateway is None:
        return CannotCheck("providers.yaml names no gateway")
    try:
        return Api(client, gateway.url, gateway.key())
    except CannotCheck as reason:
        return reason


def instance_api(client: httpx.AsyncClient, gateway: Gateway) -> Api | CannotCheck:
    """An instance as the front sees it, or why that cannot be had."""
    try:
        return Api(client, gateway.instance_url, gateway.instance_key())
    except CannotCheck as reason:
        return reason


def _boot_id(proc: Path) -> str:
    """As systemd has told it to the unit, else as the kernel does."""
    with contextlib.suppress(KeyError, ValueError):
        return str(uuid.UUID(os.environ["BOOT_ID"]))
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
