"""Checks of the units: the right process runs, and answers at the declared address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from roles.contract.environment_file import parse_environment_block
from roles.contract.generation import DIGEST_VARIABLE
from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import Service
from roles.verify.probe.redis import RedisRefuses, ask_redis
from roles.verify.probe.sockets import Listener, described, is_at
from roles.verify.probe.systemd import UnitState
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim, or_reason
from roles.verify.verdict.codes import Code
from roles.verify.verdict.quoting import quoted

_PAUSE = 0.5
"""Seconds between two checks of services that are not ready yet."""
_REPORT_EVERY = 10.0
"""Seconds between two progress messages about a wait."""
_READY_ANSWER = 5.0
"""Seconds that one answer of a `ready_url` may take."""


@dataclass(frozen=True)
class Readiness:
    """The result of the last request to a `ready_url`, and how many seconds after the first one it came.

    Attributes:
        code: why it is not ready; None = it is.
    """

    code: Code | None
    seen: str
    seconds: float

    @property
    def ready(self) -> bool:
        return self.code is None


@dataclass(frozen=True)
class Settled:
    """The units after all of them have had their time to start.

    Attributes:
        states: by unit; or why systemd could not be asked.
        readiness: by unit.
    """

    states: Mapping[str, UnitState] | CannotCheck
    readiness: Mapping[str, Readiness]

    def state(self, unit: str) -> UnitState:
        if isinstance(self.states, CannotCheck):
            raise CannotCheck(str(self.states))
        if unit not in self.states:
            raise CannotCheck("systemd said nothing about it")
        return self.states[unit]


class _Patience:
    """How long each service is waited for: its start time-out, from when it became active.

    For a service that is not active yet, it counts from the first look. The moment is fixed once known, so the wait for
    a service that keeps dying and restarting ends.
    """

    def __init__(self) -> None:
        self._first_look = time.monotonic()
        self._active_since: dict[str, float] = {}

    def lasts(self, service: Service, state: UnitState | None) -> bool:
        if state is None or not state.may_become_ready:
            return False
        if state.active == "active":
            self._active_since.setdefault(service.unit, state.active_since)
        began = self._active_since.get(service.unit, self._first_look)
        return time.monotonic() < began + service.start_timeout


async def settle(services: Sequence[Service], context: VerificationContext) -> Settled:
    """Waits until every service is ready, or its time to start is over, or it is not running at all.

    Without `context.waits` each is asked once.
    """
    began = time.monotonic()
    patience = _Patience()
    readiness: dict[str, Readiness] = {}
    waiting = list(services)
    next_report = began + _REPORT_EVERY
    while True:
        states = await or_reason(context.states([service.unit for service in services]))
        answers = await asyncio.gather(*(_ask_ready(context.client, service) for service in waiting))
        now = time.monotonic()
        for service, (code, seen) in zip(waiting, answers, strict=True):
            readiness[service.unit] = Readiness(code, seen, round(now - began, 3))
        known = {} if isinstance(states, CannotCheck) else states
        waiting = [
            service
            for service in waiting
            if not readiness[service.unit].ready and patience.lasts(service, known.get(service.unit))
        ]
        if not waiting or not context.waits:
            return Settled(states, readiness)
        if now >= next_report:
            next_report = now + _REPORT_EVERY
            slow = "; ".join(f"{service.unit}: {readiness[service.unit].seen}" for service in waiting)
            context.progress(
                f"waiting for {len(waiting)} of {len(services)} services since {now - began:.0f} s ({slow})"
            )
        await asyncio.sleep(_PAUSE)


async def _ask_ready(client: httpx.AsyncClient, service: Service) -> tuple[Code | None, str]:
    """Why it is not ready (None = it is), and what was seen."""
    if service.ready_url.startswith("redis://"):
        return await _ask_redis(service.ready_url)
    try:
        response = await client.get(service.ready_url, timeout=_READY_ANSWER)
    except httpx.ConnectTimeout:
        return "connect-timeout", f"no connection within {_READY_ANSWER:.0f} s"
    except httpx.TimeoutException:
        return "answer-timeout", f"a connection, and no answer within {_READY_ANSWER:.0f} s"
    except httpx.HTTPError as error:
        return "not-ready", f"no answer: {error}"
    if response.status_code == httpx.codes.OK:
        return None, "200"
    return "not-ready", f"{response.status_code} {quoted(response.text)}"


async def _ask_redis(url: str) -> tuple[Code | None, str]:
    """A Redis is ready if it answers PONG, or that it requires a password."""
    try:
        ready = await ask_redis(url, lambda redis: redis.ping(), _READY_ANSWER)
    except RedisRefuses as refusal:
        return None if refusal.code == "NOAUTH" else "not-ready", refusal.code
    except CheckFailed as failed:
        return "not-ready" if failed.code == "connection-failed" else failed.code, str(failed)
    return (None, "PONG") if ready else ("not-ready", "another answer than PONG")


def unit_checks(
    service: Service, settled: Settled, listening: Sequence[Listener] | CannotCheck, proc: Path
) -> list[Coroutine[Any, Any, Check]]:
    """The checks of one unit, to be awaited."""
    unit = service.unit

    def claim(name: str, text: str, expected: str) -> Claim:
        return Claim(f"unit/{unit}/{name}", unit, text, expected)

    return [
        claim("active", "runs", "active").check(_active(service, settled)),
        claim("enabled", "starts at boot", "enabled").check(_enabled(service, settled)),
        _ready_check(claim("ready", "is ready", f"an answer from {service.ready_url}"), settled.readiness[unit]),
        claim("digest", "runs what is deployed", _wanted_digest(service)).check(_digest(service, settled, proc)),
        claim("port", "owns its port", f"{service.bind}:{service.port}").check(_port(service, listening)),
    ]


async def _active(service: Service, settled: Settled) -> str:
    return require_active(settled.state(service.unit))


async def _enabled(service: Service, settled: Settled) -> str:
    return require_enabled(settled.state(service.unit))


def require_active(state: UnitState) -> str:
    """The state of a running unit, for people. Raises `CheckFailed` for any other."""
    if state.active != "active":
        raise CheckFailed(_inactive_code(state), str(state))
    return str(state)


def _inactive_code(state: UnitState) -> Code:
    if state.loaded != "loaded":
        return "unit-missing"
    if state.has_crashed:
        return "process-crashed"
    return "unit-failed" if state.active in ("failed", "activating") else "unit-stopped"


def require_enabled(state: UnitState) -> str:
    """`enabled`. Raises `CheckFailed` for a unit that does not start at boot."""
    if state.enabled != "enabled":
        raise CheckFailed("unit-disabled", state.enabled or "no unit file")
    return state.enabled


async def _ready_check(claim: Claim, readiness: Readiness) -> Check:
    """The wait is already over: its result and its length are used."""

    async def outcome() -> str:
        if readiness.code is not None:
            raise CheckFailed(readiness.code, readiness.seen)
        return readiness.seen

    return replace(await claim.check(outcome()), seconds=readiness.seconds)


def _wanted_digest(service: Service) -> str:
    try:
        return service.wanted_digest()
    except CannotCheck:
        return "the digest of the generation"


async def _digest(service: Service, settled: Settled, proc: Path) -> str:
    wanted = service.wanted_digest()
    pid = settled.state(service.unit).main_pid
    if not pid:
        raise CheckFailed("no-process", "no process runs")
    try:
        variables = parse_environment_block((proc / str(pid) / "environ").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        raise CheckFailed("no-process", f"process {pid} ended meanwhile") from None
    except OSError as error:
        raise CannotCheck(f"environment of process {pid}: {error.strerror}") from None
    running = variables.get(DIGEST_VARIABLE)
    if not running:
        raise CheckFailed("digest-missing", f"process {pid} has no {DIGEST_VARIABLE} in its environment")
    if running != wanted:
        raise CheckFailed("digest-outdated", running)
    return running


async def _port(service: Service, listening: Sequence[Listener] | CannotCheck) -> str:
    if isinstance(listening, CannotCheck):
        raise CannotCheck(str(listening))
    here = [listener for listener in listening if listener.port == service.port]
    own = [listener for listener in here if listener.belongs_to(service.unit)]
    if not own:
        if any(not listener.holders for listener in here):
            raise CannotCheck("this user may not see who listens there")
        if not here:
            raise CheckFailed("port-silent", f"nothing listens on port {service.port}")
        raise CheckFailed("port-taken", described(here))
    wrong = [listener for listener in own if not is_at(listener, service.bind)]
    strange = [listener for listener in here if listener not in own and is_at(listener, service.bind)]
    if wrong or strange:
        raise CheckFailed("port-taken" if strange else "port-elsewhere", described([*wrong, *strange]))
    return described(own)
