"""What a run knows and asks with: handed as one to the checks."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import httpx

from roles.verify.generation import Gateway, Generation, Scope
from roles.verify.probe.api import Api
from roles.verify.probe.systemd import UnitState, read_unit_states
from roles.verify.verdict.claim import CannotCheck

ReadStates: TypeAlias = Callable[[Sequence[str], Scope], Awaitable[Mapping[str, UnitState]]]
"""Asks systemd for the states of units; raises `CannotCheck` when it cannot be asked."""

Progress: TypeAlias = Callable[[str], None]
"""Gets, now and then, what a long run waits for."""

PROC = Path("/proc")

_UNBOUNDED = httpx.Limits(max_connections=None, max_keepalive_connections=None)
"""A pool would make one slow answer delay the others."""
_TIMEOUTS = httpx.Timeout(None, connect=10)
"""Seconds. The whole of an answer is bounded by each request's own time-out."""


def gateway_client() -> httpx.AsyncClient:
    """A client without the proxies of the environment: everything is asked from this very host."""
    return httpx.AsyncClient(trust_env=False, limits=_UNBOUNDED, timeout=_TIMEOUTS)


def runtime_folder(scope: Scope) -> Path:
    """Where the manager of a scope makes each unit's `RuntimeDirectory=`."""
    return Path("/run" if scope == "system" else os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))


def no_progress(_: str) -> None:
    """No progress is reported."""


@dataclass(frozen=True)
class VerificationContext:
    """Attributes:
    generation: what is verified.
    client: sends HTTP requests.
    runtime: where the manager of the scope makes each unit's `RuntimeDirectory=`.
    read_states: asks systemd; replaced in tests.
    progress: gets what a long run waits for.
    proc: where the proc file system is mounted.
    """

    generation: Generation
    client: httpx.AsyncClient
    runtime: Path
    read_states: ReadStates = read_unit_states
    progress: Progress = no_progress
    proc: Path = PROC

    @property
    def scope(self) -> Scope:
        return self.generation.scope

    @property
    def gateway(self) -> Gateway:
        """Raises `CannotCheck` where the generation has none."""
        if self.generation.gateway is None:
            raise CannotCheck("providers.yaml names no gateway")
        return self.generation.gateway

    @property
    def cooldown(self) -> float:
        """Seconds for which the gateway passes over a deployment after a failure."""
        return self.generation.gateway.cooldown if self.generation.gateway else 0

    @cached_property
    def api(self) -> Api:
        """The gateway as seen with the right key. Raises `CannotCheck` where that cannot be had; asked again, it looks
        again."""
        return self.api_with(self.gateway.key())

    @cached_property
    def instance_api(self) -> Api:
        """An instance of the gateway as the front sees it. Raises `CannotCheck` likewise."""
        return Api(self.client, self.gateway.instance_url, self.gateway.instance_key())

    def api_with(self, key: str | None) -> Api:
        """The gateway as seen with another key, or with none."""
        return Api(self.client, self.gateway.url, key)

    async def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        """The units' states. Raises `CannotCheck` when systemd cannot be asked."""
        return await self.read_states(units, self.scope)

    async def state(self, unit: str) -> UnitState:
        """One unit's state. Raises `CannotCheck` likewise."""
        states = await self.states([unit])
        if unit not in states:
            raise CannotCheck("systemd said nothing about it")
        return states[unit]
