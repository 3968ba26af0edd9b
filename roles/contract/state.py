"""What a deploy reads of a host, in one step without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roles.contract.foreign import ForeignState, Listener, SystemState
from roles.contract.generation import PlatformKey, Scope
from roles.contract.requests import Holder, Request


@dataclass(frozen=True, kw_only=True)
class ReadState(Request):
    """Print everything that a deploy must know of a host, as JSON: a `HostState`.

    Attributes:
        disk_folders: those whose free space matters.
        marked_folders: those that contain complete installs.
        packages: Debian packages that should be installed.
        users: system users, likewise.
        build_user: the user for builds; none = the user of the program.
        gpus: look for graphics cards, which takes half a second or more.
        toolkits: CUDA toolkits to look for: folders, and empty for the one on PATH or in NVIDIA's folder.
        cpu_flags: flags that an x86_64 processor should have, as /proc/cpuinfo has them.
        units: name → the file that marks it as done, below the runtime folder; none = it has a process.
        effect_commands: name → the command that prints what that task has brought about.
        secrets: paths of those that are made on the host.
        ports: those of the plan.
        installs: the folder of the installs.
        cache: the layout's.
        taken_over: the folder of what was moved aside.
        dynamic_users: names of users that services would have, had we not named theirs.
        other_units: units of packages that the plan uses under units of its own.
    """

    program = "state"

    scope: Scope
    config: str
    generations: str
    state: str
    units_folder: str
    wanted_by: str
    disk_folders: tuple[str, ...]
    marked_folders: tuple[str, ...]
    packages: tuple[str, ...]
    users: tuple[str, ...]
    build_user: str | None
    gpus: bool
    toolkits: tuple[str, ...]
    cpu_flags: tuple[str, ...]
    units: Mapping[str, str | None]
    effect_commands: Mapping[str, tuple[str, ...]]
    secrets: tuple[str, ...]
    ports: tuple[int, ...]
    installs: str
    cache: str
    taken_over: str
    other_units: tuple[str, ...]
    dynamic_users: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UnitState:
    """A unit as systemd and the kernel show it.

    Attributes:
        needs_reload: systemd has not read its current file yet.
        running_digest: the digest in its process, or the one that a finished task ran with; empty if it is not running,
            or cannot be seen.
        outdated: its processes have loaded files that an upgrade has replaced.
    """

    needs_reload: bool
    running_digest: str
    active: bool
    outdated: bool


@dataclass(frozen=True, kw_only=True)
class CardsState:
    """The host's graphics cards, if the request asks for them.

    Attributes:
        cards: UUID → name.
        problem: why they cannot be used, and how to fix it.
        driver: version of the driver; none = unknown.
        capabilities: UUID → compute capability, `8.9`, where it is known.
        memory: UUID → bytes that programs can have, likewise.
        foreign: UUID → bytes that processes use which are of none of the plan's units, as far as the driver says it.
        problems: UUID → why it cannot be used as a whole card, and how to fix it.
        exclusive: UUIDs of those on which only one process at a time may compute.
        cuda: the newest CUDA that the driver runs, `12.2`; none = unknown.
    """

    vendor: str | None = None
    cards: Mapping[str, str]
    problem: str | None = None
    driver: str | None = None
    capabilities: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    foreign: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    exclusive: tuple[str, ...] = ()
    cuda: str | None = None


@dataclass(frozen=True, kw_only=True)
class DiskState:
    """The file system of a folder, also of one that does not exist yet: its device number, and its free bytes."""

    device: int
    free: int


@dataclass(frozen=True, kw_only=True)
class HostState:
    """A host's state when it was read.

    Attributes:
        platform: machine (`x86_64`), os (`debian-12`), python (`3.11.2`), cpu (digest of its flags),
            gpu (architectures of its cards as a compiler takes them, e.g. `86;89`).
        disks: folder → its file system.
        systemd: version of the manager that would run the units; none = it does not answer.
        verified: the current generation has passed its verification, once.
        last_event: the last entry of the host's history that is not a verdict.
        files: path below the current generation → SHA-256 or link target, mode, owner's uid.
        installs: folders of the complete installs.
        damaged_installs: those of the current generation that do not look as they did when they were made.
        used_installs: folders that a kept generation uses.
        linked_units: units that link into the configuration.
        wanted_links: those among them that start at boot.
        lock: the holder of the deploy lock; empty = a lock that names none, none = there is no lock.
        main_memory: bytes of main memory; none = not known.
        ports: each port of the plan that is in use → who listens, ours too.
        toolkits: version of each CUDA toolkit that is there, `12.2`, by the name that the request has for it.
        missing_cpu_flags: flags that its processor should have and has not, on x86_64.
        system: what the host is.
        foreign: what is there and is not ours.
    """

    platform: Mapping[PlatformKey, str]
    gpus: CardsState
    uid: int
    user: str
    home: str
    lingers: bool
    disks: Mapping[str, DiskState]
    missing_packages: tuple[str, ...]
    build_user: bool
    missing_users: tuple[str, ...]
    systemd: str | None
    generation: str | None
    verified: bool
    last_event: Mapping[str, Any] | None
    files: Mapping[str, tuple[str, int, int]]
    secrets: tuple[str, ...]
    installs: tuple[str, ...]
    damaged_installs: tuple[str, ...]
    used_installs: tuple[str, ...]
    activated: str | None
    lock: Holder | None
    linked_units: tuple[str, ...]
    wanted_links: tuple[str, ...]
    units: Mapping[str, UnitState]
    ports: Mapping[str, tuple[Listener, ...]]
    toolkits: Mapping[str, str] = field(default_factory=dict)
    missing_cpu_flags: tuple[str, ...] = ()
    main_memory: int | None = None
    system: SystemState = field(default_factory=SystemState)
    foreign: ForeignState = field(default_factory=ForeignState)
