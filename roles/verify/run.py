"""One run, in phases: wait for the services, check the front, begin what others wait for, make all other checks side by
side, ask as client programs ask and inject faults if wanted, and conclude."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roles.contract.graphs import LastDay
from roles.contract.measured import EngineMemory, RouteSpeed
from roles.contract.verdict import Check, ExternalState, Verdict
from roles.verify.checks.apis import ask_apis
from roles.verify.checks.asked import asked_checks
from roles.verify.checks.cache import cache_check
from roles.verify.checks.certificate import certificate_check
from roles.verify.checks.externals import Externals, check_externals
from roles.verify.checks.fault_injection import inject_faults
from roles.verify.checks.files import files_check
from roles.verify.checks.front import front_check, keys_check
from roles.verify.checks.gateway import canary_check, gateway_checks
from roles.verify.checks.host import host_checks
from roles.verify.checks.other_hosts import outages_tolerated
from roles.verify.checks.planned_memory import engine_memory
from roles.verify.checks.routes import balance_check, route_checks, warm_up
from roles.verify.checks.speed import Measuring, measure_speeds
from roles.verify.checks.tasks import task_checks, timer_checks
from roles.verify.checks.units import Settled, settle, unit_checks
from roles.verify.checks.versions import version_checks
from roles.verify.context import (
    PROC,
    Progress,
    ReadStates,
    VerificationContext,
    gateway_client,
    no_progress,
    runtime_folder,
)
from roles.verify.describe import describe
from roles.verify.doctor import explained
from roles.verify.generation import Gateway, Generation
from roles.verify.probe.last_day import read_last_day
from roles.verify.probe.sockets import Listener, listeners
from roles.verify.probe.systemd import read_unit_states
from roles.verify.probe.usage import read_usage
from roles.verify.verdict.claim import CannotCheck, or_reason
from roles.verify.verdict.events import read_events
from roles.verify.verdict.kept_speeds import compared_with, read_speeds

_COLD_SECONDS = 60
"""Within this time after its start, a gateway may not have had a request yet."""


async def verify(
    generation: Generation,
    *,
    read_states: ReadStates = read_unit_states,
    progress: Progress = no_progress,
    deep: bool = False,
    apis: bool = False,
    apis_seconds: float = math.inf,
    faults: bool = False,
    speed: Measuring | None = None,
    wait: bool = True,
    last: Verdict | None = None,
    sparing: bool = False,
    graphs: bool = False,
    proc: Path = PROC,
) -> Verdict:
    """Verifies a generation on the host that this runs on.

    Args:
        read_states: asks systemd; replaced in tests.
        progress: called with what a long run is waiting for.
        deep: read every model's files, also those that look unchanged.
        apis: ask each route as client programs ask, by its abilities, and with their mistakes.
        apis_seconds: after so many, no further such question is asked.
        faults: really stop backends, one route after the other, to see its fallbacks answer.
        speed: measure how fast these routes answer.
        wait: wait for services that are starting.
        last: the last kept verdict.
        sparing: ask metered providers for answers only if they have not answered within a day.
        graphs: ask Prometheus, if there is one, what it has measured in the last day.
        proc: where the proc file system is mounted.
    """
    beginning = Beginning()
    async with gateway_client() as client:
        context = VerificationContext(
            generation, client, runtime_folder(generation.scope), read_states, progress, proc, waits=wait
        )
        run = _Run(context, await _wait_for_services(context))
        # Before any request through the front: it needs a moment to notice that an instance answers again.
        made = await run.look_at_the_front()
        tasks = run.begin_tasks()
        checks = await run.unit_and_gateway_checks()
        await run.warm_up()
        routes = run.begin_routes()
        checks += await run.host_checks(tasks, routes, deep=deep)
        made += await asyncio.gather(*tasks, *checks, *routes)
        memory = await engine_memory(context)
        externals = Externals()
        if generation.gateway:
            usage = await asyncio.to_thread(read_usage, generation.state, generation.folder)
            spent = [each.provider for each in usage.provider_budgets if each.spent >= each.usd] if usage else []
            externals = await check_externals(context, last, sparing=sparing, spent=spent)
            made = outages_tolerated([*made, *externals.checks], externals.states, generation)
        speeds: tuple[RouteSpeed, ...] = ()
        # Only after everything else has been checked undisturbed.
        if speed and generation.gateway:
            measured, speeds = await measure_speeds(context, speed)
            made += measured
        if apis and generation.gateway:
            made += await ask_apis(context, apis_seconds)
        if faults:
            made += await inject_faults(context)
        last_day = await read_last_day(generation.folder, client) if graphs else None
    return await concluded(
        generation,
        made,
        beginning,
        speeds=speeds,
        externals=externals.states,
        memory=memory,
        last_day=last_day,
        proc=proc,
    )


async def _wait_for_services(context: VerificationContext) -> Settled:
    return await settle(context.generation.services, context)


@dataclass(frozen=True)
class _Run:
    """The phases that follow once the services have had their time to start. They return the checks to be awaited;
    those that others wait for have already begun."""

    context: VerificationContext
    settled: Settled

    async def look_at_the_front(self) -> list[Check]:
        gateway = self.context.generation.gateway
        if gateway is None or gateway.front is None:
            return []
        servers = await front_check(gateway.front, self.context)
        # A generation of an earlier version does not say which keys there are.
        return [servers, *([await keys_check(gateway.front, self.context)] if gateway.front.keys else [])]

    def begin_tasks(self) -> list[asyncio.Task[Check]]:
        return _begun(check for task in self.context.generation.tasks for check in task_checks(task, self.context))

    async def unit_and_gateway_checks(self) -> list[Coroutine[Any, Any, Check]]:
        context, generation = self.context, self.context.generation
        listening = await self._listening()
        checks = [files_check(generation.folder)]
        for service in generation.services:
            checks += unit_checks(service, self.settled, listening, context.proc)
        checks += version_checks(context)
        checks += asked_checks(context)
        if generation.timer:
            checks += timer_checks(generation.timer, context)
        if generation.gateway:
            checks += gateway_checks(context)
            if tls := generation.gateway.tls:
                checks.append(certificate_check(tls, generation.gateway.service, context))
                checks += timer_checks(tls.watch, context)
            if generation.gateway.canary:
                checks.append(canary_check(generation.gateway.canary, context))
            if generation.cache:
                checks.append(cache_check(generation.cache, generation.routes, context))
        return checks

    async def warm_up(self) -> None:
        """Only a gateway that has just started needs it."""
        gateway = self.context.generation.gateway
        if gateway and self._has_just_started(gateway):
            await or_reason(warm_up(self.context, times=2 * max(1, len(gateway.instances))))

    def begin_routes(self) -> list[asyncio.Task[Check]]:
        context, routes = self.context, self.context.generation.routes
        begun = _begun(check for route in routes for check in route_checks(route, context))
        return begun + _begun(balance_check(route, context, [*begun]) for route in routes if route.balance)

    async def host_checks(
        self, tasks: Sequence[Awaitable[Check]], routes: Sequence[Awaitable[Check]], *, deep: bool
    ) -> list[Coroutine[Any, Any, Check]]:
        return await host_checks(self.context, self.settled, brought=tasks, asked=routes, deep=deep)

    async def _listening(self) -> Sequence[Listener] | CannotCheck:
        ports = {service.port for service in self.context.generation.services}
        return await or_reason(asyncio.to_thread(listeners, ports, self.context.proc))

    def _has_just_started(self, gateway: Gateway) -> bool:
        states = self.settled.states
        if isinstance(states, CannotCheck):
            return False
        units = [each.unit for each in gateway.instances or (gateway.service,)]
        since = [states[unit].active_since for unit in units if unit in states]
        return time.monotonic() - max(since, default=0.0) < _COLD_SECONDS


def _begun(checks: Iterable[Coroutine[Any, Any, Check]]) -> list[asyncio.Task[Check]]:
    """Starts checks that others wait for."""
    return [asyncio.create_task(check) for check in checks]


@dataclass(frozen=True)
class Beginning:
    """When a run began."""

    time_of_day: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    moment: float = field(default_factory=time.monotonic)


async def concluded(
    generation: Generation,
    checks: Sequence[Check],
    beginning: Beginning,
    *,
    speeds: tuple[RouteSpeed, ...] = (),
    memory: tuple[EngineMemory, ...] = (),
    externals: tuple[ExternalState, ...] = (),
    last_day: LastDay | None = None,
    proc: Path = PROC,
) -> Verdict:
    """The verdict of the checks that were made, with likely causes for each that does not pass."""
    return Verdict(
        host=socket.gethostname(),
        time=beginning.time_of_day,
        boot_id=_boot_id(proc),
        generation=generation.name,
        seconds=round(time.monotonic() - beginning.moment, 3),
        checks=explained(checks, generation),
        deployment=await asyncio.to_thread(describe, generation),
        events=read_events(generation.state),
        usage=await asyncio.to_thread(read_usage, generation.state, generation.folder) if generation.gateway else None,
        speeds=speeds,
        speeds_before=_before(speeds, generation) if speeds else (),
        memory=memory,
        externals=externals,
        last_day=last_day,
    )


def _before(speeds: Sequence[RouteSpeed], generation: Generation) -> tuple[RouteSpeed, ...]:
    kept = read_speeds(generation.state)
    found = [compared_with(kept, generation.name, each.route) for each in speeds]
    return tuple(each.good for each in found if each and each.good)


def _boot_id(proc: Path) -> str:
    """The boot id that systemd gives to the unit, else the kernel's."""
    with contextlib.suppress(KeyError, ValueError):
        return str(uuid.UUID(os.environ["BOOT_ID"]))
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
