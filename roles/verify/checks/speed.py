"""Whether each route is as fast as it should be: measured, and compared with what is declared and with what it was. One
route after the other."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from roles.contract.measured import RouteSpeed
from roles.contract.modes import MODES
from roles.contract.speeds import KeptSpeed
from roles.contract.verdict import Check
from roles.verify.checks.front import requests_under_way
from roles.verify.checks.measuring import speed_of
from roles.verify.context import VerificationContext
from roles.verify.generation import Generation, Route
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.kept_speeds import compared_with, read_speeds
from roles.verify.verdict.slower import faster, slower

Which: TypeAlias = Literal["all", "changed", "due"]
"""All routes that are measured at all; those that changed since they were; those not measured since a time, and only
while nobody else has requests under way."""

_NIGHT = timedelta(hours=3)
_PATIENCE = 10.0
"""Seconds, in all, for which a run waits for requests of others: the host's own verification may have just begun."""
_MOMENT, _PAUSE = 1.0, 0.3
"""Seconds."""


@dataclass(frozen=True)
class Measuring:
    """Which routes a run measures.

    Attributes:
        since: for `due`: ISO 8601, UTC.
    """

    which: Which
    since: str = ""

    @classmethod
    def at_night(cls, at: str, now: datetime) -> Measuring | None:
        """For a run that begins `now`; None = it is not the time.

        Args:
            at: the time of day from which on they are due: HH:MM, in the time zone of `now`.
        """
        hour, minute = map(int, at.split(":"))
        began = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if began > now:
            began -= timedelta(days=1)
        return cls("due", began.astimezone(UTC).isoformat(timespec="seconds")) if now < began + _NIGHT else None


async def measure_speeds(
    context: VerificationContext, measuring: Measuring
) -> tuple[list[Check], tuple[RouteSpeed, ...]]:
    """A check for each route that is measured, and the speeds of those that answered."""
    kept = read_speeds(context.generation.state)
    routes = [route for route in context.generation.routes if _is_wanted(route, measuring, context, kept)]
    if routes:
        context.progress(f"measuring the speed of {len(routes)} routes, some seconds each")
    quiet_by = time.monotonic() + _PATIENCE
    checks, speeds = [], list[RouteSpeed]()
    for route in routes:
        if measuring.which == "due" and await _others(context):
            continue
        claim = Claim(f"route/{route.name}/speed", route.name, "is as fast as it should be", _expected(route))
        measured = _measured(route, context, kept, speeds, quiet_by)
        checks.append(await claim.check(measured if measuring.which == "all" else _if_possible(route, measured)))
    return checks, tuple(speeds)


def _is_wanted(route: Route, measuring: Measuring, context: VerificationContext, kept: Sequence[KeptSpeed]) -> bool:
    if not MODES[route.mode].generates or route.is_metered or route.speed.when_slower == "off":
        return False
    own = [each for each in kept if each.last.route == route.name]
    match measuring.which:
        case "all":
            return True
        case "changed":
            made_of = _made_of(route, context.generation)
            return not any(each.good and each.good.made_of == made_of for each in own if made_of)
        case "due":
            name = context.generation.name
            return not any(each.generation == name and each.time >= measuring.since for each in own)


def _made_of(route: Route, generation: Generation) -> str:
    """A digest of all that decides how fast it is: its servers and the gateway as deployed, and the route itself. Empty
    if that cannot be read."""
    names = {deployment.provider for deployment in route.deployments}
    services = [provider.service for provider in generation.providers if provider.name in names]
    services += generation.gateway.instances if generation.gateway else ()
    try:
        parts = [asdict(route), *sorted(service.wanted_digest() for service in services)]
    except CannotCheck:
        return ""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _expected(route: Route) -> str:
    bounds = route.speed
    parts = [f"at least {bounds.tokens_per_second:g} tokens/s"] if bounds.tokens_per_second else []
    parts += [f"the first token after at most {bounds.first_token:g} s"] if bounds.first_token else []
    return ", ".join([*parts, "no slower than before"])


async def _measured(
    route: Route,
    context: VerificationContext,
    kept: Sequence[KeptSpeed],
    speeds: list[RouteSpeed],
    quiet_by: float,
) -> str:
    """Adds its speed to `speeds`.

    Raises:
        CheckFailed: it is slower than it should be, and that is a failure; or it does not answer.
        CannotCheck: it cannot be measured now.
    """
    before = compared_with(kept, context.generation.name, route.name)
    others = await _others(context, quiet_by)
    speed = await speed_of(route, context)
    found = slower(speed, route.speed, before)
    if found:
        # That may be chance, which only ever makes a route slower.
        speed = faster(speed, await speed_of(route, context))
        found = slower(speed, route.speed, before)
    others = max(others, await _others(context))
    speed = replace(speed, others=others, slower=found, made_of=_made_of(route, context.generation))
    speeds.append(speed)
    if not found:
        return speed.words
    if route.speed.when_slower == "fail" and not others:
        raise CheckFailed("route-slower", f"{found}. Measured: {speed.words}")
    return f"slower: {found}. Measured: {speed.words}"


async def _if_possible(route: Route, measured: Awaitable[str]) -> str:
    """In a run that nobody asked to measure, a speed that cannot be measured fails nothing."""
    try:
        return await measured
    except CannotCheck as reason:
        return f"not measured: {reason}"
    except CheckFailed as failed:
        if route.speed.when_slower == "fail":
            raise
        return f"not measured: {failed}"


async def _others(context: VerificationContext, quiet_by: float = 0.0) -> int:
    """How many requests of others are under way; 0, too, if this user cannot ask.

    Args:
        quiet_by: until when to wait for them, in seconds on the monotonic clock.
    """
    front = context.gateway.front
    # One of our own that was just cut off counts for a moment.
    until = max(quiet_by, time.monotonic() + _MOMENT)
    while True:
        try:
            count = await requests_under_way(front, context) if front else 0
        except CannotCheck:
            return 0
        if not count or time.monotonic() >= until:
            return count
        await asyncio.sleep(_PAUSE)
