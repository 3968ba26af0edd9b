"""Fault injection: really stops backends, one route after the other. Their fallbacks must answer. Clients notice."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from roles.contract.verdict import Check
from roles.verify.checks.routes import fallback_check
from roles.verify.checks.units import settle
from roles.verify.context import VerificationContext
from roles.verify.generation import Generation, Provider, Route, Scope
from roles.verify.probe.commands import output_of
from roles.verify.verdict.claim import CannotCheck, Claim

_STOP_SECONDS = 120.0
"""Seconds that stopping or starting units may take, including model servers with large models."""


async def inject_faults(context: VerificationContext) -> list[Check]:
    """The checks of every edge from a route to a fallback, each with the backends before it stopped.

    Whatever happens, what was stopped is started again and waited for.
    """
    generation, checks = context.generation, []
    for route, place, target in _edges(generation):
        id = f"route/{route.name}/fault-injection-{place}"
        before = [route, *(_route(generation, name) for name in route.fallbacks[: place - 1])]
        stopped = _providers(generation, before)
        if {each.provider for route in before for each in route.deployments} - {each.name for each in stopped}:
            # Others run one of them.
            continue
        if {provider.name for provider in _providers(generation, [target])} & {each.name for each in stopped}:
            # Stopping one also stops the other.
            continue
        units = [provider.service.unit for provider in stopped]
        context.progress(f"{route.name} is to fall back to {target.name}: stopping {', '.join(units)}")
        try:
            await _systemctl(generation.scope, "stop", units)
            check = await fallback_check(id, route.name, route.name, target, context, fallbacks=place)
        except CannotCheck as reason:
            check = await Claim(id, route.name, f"falls back to {target.name}", "an answer").check(_raise(reason))
        finally:
            with contextlib.suppress(CannotCheck):
                await _systemctl(generation.scope, "start", units)
            await settle([each.service for each in stopped], context)
        checks.append(replace(check, expected=f"{check.expected}, while {', '.join(units)} is stopped"))
    return checks


def _edges(generation: Generation) -> Iterator[tuple[Route, int, Route]]:
    """A route, the position of a fallback in its list (from 1), and that fallback."""
    for route in generation.routes:
        for place, name in enumerate(route.fallbacks, 1):
            yield route, place, _route(generation, name)


def _route(generation: Generation, name: str) -> Route:
    return next(route for route in generation.routes if route.name == name)


def _providers(generation: Generation, routes: Sequence[Route]) -> list[Provider]:
    names = {deployment.provider for route in routes for deployment in route.deployments}
    return [provider for provider in generation.providers if provider.name in names]


async def _systemctl(scope: Scope, verb: str, units: Collection[str]) -> None:
    flags = ["--user"] if scope == "user" else []
    await output_of(f"systemctl {verb}", ["systemctl", *flags, verb, *units], _STOP_SECONDS)


async def _raise(reason: CannotCheck) -> str:
    raise reason
