"""The systemd units of a host plan, and what their processes depend on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from roles.contract.generation import Drain, Live
from roles.options import GivenSecret, OptionsError
from roles.plan.outbound import ProxyLogin


@dataclass(frozen=True)
class DigestOf:
    """A variable that has only the digest of a secret: the host need not know more of it."""

    secret: GivenSecret


@dataclass(frozen=True)
class SecretAddress:
    """A web address that is a secret.

    Attributes:
        option: the option that gives it, for messages.
        query: it may have parameters.
    """

    secret: GivenSecret
    option: str
    query: bool = True

    def address(self, reveal: Callable[[GivenSecret], str] = lambda secret: secret.reveal()) -> str:
        """
        Raises:
            OptionsError: the secret is something else.
        """
        address = reveal(self.secret)
        if not _ADDRESS.fullmatch(address):
            raise OptionsError(
                f"{self.option}: the secret from {self.secret.source()} is no http:// or https:// address, or has a "
                "user in it; give one such as https://alerts.example.com/…"
            )
        if "?" in address and not self.query:
            raise OptionsError(f"{self.option}: the address from {self.secret.source()} has a `?`; give it without")
        return address


EnvValue: TypeAlias = str | GivenSecret | DigestOf | ProxyLogin | SecretAddress
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~:/@!$&()*+,;=%-]*)?(\?[A-Za-z0-9._~:/?@!$&()*+,;=%-]*)?"
)
"""As programs write it too: nothing in it that any of them would encode."""
STOP_SECONDS = 60
"""How long a unit's stop may take before systemd kills it, unless set otherwise."""


@dataclass(frozen=True)
class Endpoint:
    """Where a unit listens: the TCP port that it must own on address `bind`, and an address on its own host that gives
    status 200 once it is ready, or a `redis://` one that answers a PING.

    `local_port` is a further port of it, on loopback, for its own host, and `metrics_port` one with its metrics, for
    what collects them; none = it has none.
    """

    bind: str
    port: int
    ready_url: str
    local_port: int | None = None
    metrics_port: int | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, *(port for port in (self.local_port, self.metrics_port) if port))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit, and everything that its process depends on: one of the four types below.

    Attributes:
        name: file name, e.g. `llama-server@native.service`.
        text: the unit file, with a placeholder for the unit's digest.
        environment: the variables of its `environment_file`, which has mode 0600; empty = it has none.
        reads: files of the generation that the process reads when it starts.
        installs: names of the installs that it runs from.
        start_timeout: seconds that a server may take until its first answer, and a task between two signs of progress.
        stop_timeout: seconds that its stop may take.
        user: the system user that it runs as; none = a dynamic one, which exists only while it runs.
    """

    kind: ClassVar[Literal["server", "task", "timer", "triggered"]]

    name: str
    text: str
    environment: Mapping[str, EnvValue] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    installs: tuple[str, ...] = ()
    start_timeout: int
    stop_timeout: int = STOP_SECONDS
    user: str | None = None

    @property
    def environment_file(self) -> str:
        """Its path below the generation's folder."""
        return f"env/{self.name}.env"

    @property
    def all_environment(self) -> Mapping[str, EnvValue]:
        """All variables of its `environment_file`."""
        return self.environment


@dataclass(frozen=True, kw_only=True)
class ServerUnit(Unit):
    """It runs permanently and answers at its endpoint.

    Attributes:
        callers: the users, besides root, that may connect to it from this host, as it requires no login; none = it
            requires one from every caller.
        peers: the addresses of the other hosts that may connect to it; none = no firewall of ours says so.
        drain: how its requests are drained before a restart. Units with one are restarted one after the other.
        live: how a change of its `live_environment` is applied while it runs.
        live_environment: further variables of its `environment_file`, which it also reads at its start: a change of
            them does not restart it.
    """

    kind = "server"

    endpoint: Endpoint
    callers: tuple[str, ...] | None = None
    peers: tuple[str, ...] | None = None
    drain: Drain | None = None
    live: Live | None = None
    live_environment: Mapping[str, EnvValue] = field(default_factory=dict)

    @property
    def all_environment(self) -> Mapping[str, EnvValue]:
        return {**self.environment, **self.live_environment}


@dataclass(frozen=True, kw_only=True)
class TaskUnit(Unit):
    """It does something and ends, but stays active: it writes the digest that it ran with to its `done_file`.

    Attributes:
        effect_command: prints its effect. The task writes that beside its `done_file`, and must run again if the
            command prints something else; empty = the effect is not checked.
        last: it is restarted once all others run what they should.
    """

    kind = "task"

    effect_command: tuple[str, ...] = ()
    last: bool = False

    @property
    def done_file(self) -> str:
        """Where it writes its digest, below its systemd manager's folder for runtime files."""
        return f"{runtime_folder(self.name)}/done"


@dataclass(frozen=True, kw_only=True)
class TimerUnit(Unit):
    """It starts another unit at intervals, or when files change. It has no process, and so shows no digest."""

    kind = "timer"


@dataclass(frozen=True, kw_only=True)
class TriggeredUnit(Unit):
    """Only a `TimerUnit` starts it, and no deploy waits for it."""

    kind = "triggered"


def runtime_folder(unit: str) -> str:
    """The unit's own `RuntimeDirectory=`."""
    return f"ai-backend-{unit.removesuffix('.service').removeprefix('ai-backend-')}"
