"""The files of a generation and of an install that another program, or another version, reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["system", "user"]
"""Which systemd manager runs the units."""

PlatformKey: TypeAlias = Literal["machine", "os", "python", "cpu", "gpu"]
"""What installs depend on: see `HostState.platform`."""

UnitKind: TypeAlias = Literal["server", "task", "timer", "triggered"]

ACTIVATION = "activation.json"
"""Path, below the generation, of what its activation needs: it can be activated again without its plan."""

NO_GENERATION = "none"
"""In place of a generation's name: the host before the first one."""

PACKAGES_FILE = "packages.yaml"
"""Path, below the generation, of the list of the Debian packages that it needs."""

DRIVER_FILE = "nvidia-driver.yaml"
"""Path, below the generation, of what the inventory says of the graphics driver, if it says anything."""

VERIFIER_START = "roles/verify/start.py"
"""Path, below the install of the verifier's sources, of the file that starts it."""

INSTALL_MARK = ".install.json"
"""Written last into an install: a folder without it is the remains of a run that died, and is made anew."""

INSTALL_FILES = ".files.json"
"""Beside the mark: path → the look of the file, and its SHA-256. The mark has the digest over the look of all."""

HOST_LOCK = "turn"
"""In the state folder: a process that changes something on the host has a kernel lock on it, which ends with the
process. The name stays: programs of an earlier version, and verifiers of earlier generations, use the same file."""

DIGEST_VARIABLE = "AI_BACKEND_DIGEST"
"""In the environment of a unit's process: the digest of everything that it was started from."""


@dataclass(frozen=True)
class Drain:
    """How a unit's requests are drained before a restart: HAProxy sends new requests to others meanwhile, or answers
    503 if there are none.

    Attributes:
        socket: HAProxy's runtime socket, below the folder for runtime files of the systemd manager.
        backend: HAProxy's name of the group of servers.
        server: HAProxy's name of this one.
        timeout: seconds that the requests under way may take to end; those that take longer are cut.
    """

    socket: str
    backend: str
    server: str
    timeout: int


@dataclass(frozen=True)
class Spare:
    """A server that the front could have, and whether the generation uses it.

    Attributes:
        server: HAProxy's name of it.
        unit: the unit that runs it.
        used: whether it gets requests.
    """

    server: str
    unit: str
    used: bool


@dataclass(frozen=True)
class Live:
    """What HAProxy gets at run time, through its runtime socket: a change of it restarts nothing.

    Attributes:
        socket: its runtime socket, below the folder for runtime files of the systemd manager.
        keys: its map of the digests of the keys, likewise: see `roles.contract.holders`.
        key_files: environment files with the variables of that map, any of which may be missing; of one that several
            have, the last counts.
        key_variable: the variable of the gateway's own key in them.
        backend: its name of the group of servers.
        servers: all servers that it may have.
        drain_timeout: seconds that the requests under way of a removed server may take to end.
        made_digests: folder of the digests of the keys that are made on the host, an environment file a client; none =
            a generation of an earlier version, whose front has a list of digests in place of the map.
    """

    socket: str
    keys: str
    key_files: tuple[str, ...]
    key_variable: str
    backend: str
    servers: tuple[Spare, ...]
    drain_timeout: int
    made_digests: str | None = None


@dataclass(frozen=True)
class GeneratedVariable:
    """An environment file with one random value that is made on the host, once.

    Attributes:
        variable: the value's name.
        also: its second name, for another process that reads the file.
        inherited_from: units of the version before,
        inherited_as: and the variable of their processes whose value is taken over if one of them is running.
    """

    path: str
    variable: str
    prefix: str = ""
    also: str | None = None
    inherited_from: tuple[str, ...] = ()
    inherited_as: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.variable, self.also) if self.also else (self.variable,)


@dataclass(frozen=True, kw_only=True)
class ActivatedUnit:
    """A unit, in the order of the plan: the digest of its process, and how it is stopped and waited for.

    Attributes:
        done_file: below the runtime folder: a task writes its digest there once it has done its work.
        timeout: seconds until it must be ready.
        stop_timeout: seconds that its stop may take.
        effect_command: prints what a task has brought about.
        last: it comes after all others.
    """

    name: str
    kind: UnitKind
    digest: str
    ready_url: str | None
    done_file: str | None
    timeout: int
    stop_timeout: int
    drain: Drain | None = None
    # Earlier versions wrote neither.
    effect_command: tuple[str, ...] = ()
    last: bool = False
    live: Live | None = None
