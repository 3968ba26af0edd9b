"""What a run needs: its inputs and its connections, passed to the checks as one object."""

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
from roles.verify.probe.queues import Queues
from roles.verify.probe.systemd import UnitState, read_unit_states
from roles.verify.verdict.claim import CannotCheck

ReadStates: TypeAlias = Callable[[Sequence[str], Scope], Awaitable[Mapping[str, UnitState]]]
"""Asks systemd for the states of units; raises `CannotCheck` if it cannot be asked."""

Progress: TypeAlias = Callable[[str], None]
"""Called now and then with what a long run is waiting for."""

PROC = Path("/proc")

_UNBOUNDED = httpx.Limits(max_connections=None, max_keepalive_connections=None)
"""With a pool, one slow answer would delay the others."""
_TIMEOUTS = httpx.Timeout(None, connect=10)
"""Seconds. Each request's own time-out limits the whole answer."""


def gateway_client() -> httpx.AsyncClient:
    """A client that ignores the environment's proxies: all requests are sent from this host."""
    return httpx.AsyncClient(trust_env=False, limits=_UNBOUNDED, timeout=_TIMEOUTS)


def runtime_folder(scope: Scope) -> Path:
    """Where the service manager of a scope creates each unit's `RuntimeDirectory=`."""
    return Path("/run" if scope == "system" else os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))


def no_progress(_: str) -> None:
    """Reports no progress."""


@dataclass(frozen=True)
class VerificationContext:
    """Attributes:
    generation: what is verified.
    client: sends HTTP requests.
    runtime: where the scope's service manager creates each unit's `RuntimeDirectory=`.
    read_states: asks systemd; replaced in tests.
    progress: called with what a long run is waiting for.
    proc: where the proc file system is mounted.
    waits: services that are starting are waited for.
    """

    generation: Generation
    client: httpx.AsyncClient
    runtime: Path
    read_states: ReadStates = read_unit_states
    progress: Progress = no_progress
    proc: Path = PROC
    waits: bool = True

    @property
    def scope(self) -> Scope:
        return self.generation.scope

    @property
    def gateway(self) -> Gateway:
        """Raises `CannotCheck` if the generation has none."""
        if self.generation.gateway is None:
            raise CannotCheck("providers.yaml names no gateway")
        return self.generation.gateway

    @property
    def cooldown(self) -> float:
        """Seconds for which the gateway skips a deployment after a failure."""
        return self.generation.gateway.cooldown if self.generation.gateway else 0

    @cached_property
    def api(self) -> Api:
        """The gateway, with the right key. Raises `CannotCheck` if the key cannot be read; each access tries again."""
        return self.api_with(self.gateway.key())

    @cached_property
    def instance_api(self) -> Api:
        """An instance of the gateway, with the key that the front uses. Raises `CannotCheck` likewise."""
        return Api(self.client, self.gateway.instance_url, self.gateway.instance_key(), queues=self._queues)

    @cached_property
    def anthropic_api(self) -> Api:
        """The gateway, asked as Anthropic's programs ask it. Raises `CannotCheck` likewise."""
        return Api(self.client, self.gateway.url, self.gateway.key(), queues=self._queues, anthropic=True)

    def api_with(self, key: str | None) -> Api:
        """The gateway, with another key, or with none."""
        return Api(self.client, self.gateway.url, key, queues=self._queues)

    @cached_property
    def _queues(self) -> Queues:
        return Queues.of(self.generation)

    async def states(self, units: Sequence[str]) -> Mapping[str, UnitState]:
        """The units' states. Raises `CannotCheck` if systemd cannot be asked."""
        return await self.read_states(units, self.scope)

    async def state(self, unit: str) -> UnitState:
        """One unit's state. Raises `CannotCheck` likewise."""
        states = await self.states([unit])
        if unit not in states:
            raise CannotCheck("systemd said nothing about it")
        return states[unit]
