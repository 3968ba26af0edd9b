"""Things on a host that are not ours and are in the way of the stack, or that it would use without being asked."""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM = ":system"
"""The host's own systemd manager, where a user's runs our units. No user has that name."""


@dataclass(frozen=True, kw_only=True)
class ForeignFile:
    """A unit file or drop-in.

    Attributes:
        owner: name of its user.
        package: the Debian package that brought it; none = none did.
        target: of a symbolic link; none = it is a file.
    """

    path: str
    owner: str
    package: str | None = None
    target: str | None = None

    @property
    def masks(self) -> bool:
        return self.target == "/dev/null"


@dataclass(frozen=True, kw_only=True)
class ForeignUnit:
    """What exists under the name of one of our units.

    Attributes:
        files: its unit files, the one in force first; empty = ours is in force, or the file is gone.
        drop_ins: files that change a unit of this name, whosever it is.
        active: it runs, and is not ours.
        enabled: it starts at boot.
        program: path of what it starts; empty = unknown.
        user: the user that it runs as; empty = unknown.
    """

    name: str
    files: tuple[ForeignFile, ...] = ()
    drop_ins: tuple[ForeignFile, ...] = ()
    active: bool = False
    enabled: bool = False
    description: str = ""
    program: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container in which, or for which, a process listens.

    Attributes:
        engine: `docker`, `podman`, or what its cgroup says.
        name, image: empty = the engine does not say it.
        id: the beginning of its number; empty = unknown.
    """

    engine: str
    name: str = ""
    image: str = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A process that listens on a port of ours.

    Attributes:
        process: its name; empty = it cannot be seen.
        user: the user that it runs as; empty = unknown.
        unit: the unit of it, or of its container's proxy; none = it has none.
        manager: whose systemd manager runs that unit, a user's name or `SYSTEM`; none = the one that runs ours.
        container: none = it is in none, and listens for none.
    """

    process: str = ""
    pid: int | None = None
    user: str = ""
    unit: str | None = None
    manager: str | None = None
    container: Container | None = None


@dataclass(frozen=True, kw_only=True)
class ForeignFolder:
    """What lies at a path of our layout: its kind in words, its owner, its last change, and some of what is in it."""

    path: str
    kind: str
    owner: str
    changed: str
    entries: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FoundUser:
    """A user of a name that matters."""

    name: str
    uid: int
    home: str
    shell: str


@dataclass(frozen=True, kw_only=True)
class Move:
    """A file, link or folder that was moved aside, and where it is kept."""

    path: str
    kept: str


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """The record of something that was moved aside, written before the first change.

    Attributes:
        name: as people name it: a unit, `USER:UNIT` for a unit of another user's manager, or a path.
        time: ISO 8601, UTC.
        who: who ran the deploy.
        generation: the one that was to take its place.
        same_name: it has the name of one of our units; otherwise it was only in the way.
        moves: in the order in which they are made.
        units: those that were running, in the order in which they are stopped.
        manager: the user whose manager runs the units; none = the one that runs ours.
        enabled: units of another user's manager that started with it.
        ports: TCP ports on which they listened.
        earlier: the generations from before that: going back to one gives it back. None = the record is of a version
            that did not write them.
        finished: everything is moved.
    """

    name: str
    time: str
    who: str
    generation: str
    same_name: bool
    moves: tuple[Move, ...] = ()
    units: tuple[str, ...] = ()
    manager: str | None = None
    enabled: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    earlier: tuple[str, ...] | None = None
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class SystemState:
    """What the host is.

    Attributes:
        name: the distribution's, for people: `Debian GNU/Linux 12 (bookworm)`.
        init: name of process 1.
        container: kind of the container that it is; empty = none is known.
    """

    name: str = ""
    init: str = "systemd"
    container: str = ""


@dataclass(frozen=True, kw_only=True)
class ForeignState:
    """Everything of that kind on a host.

    Attributes:
        units: by the names of the plan's units; those without anything foreign are not there.
        folders: paths of the layout where others have put something.
        users: those of the plan that exist, and those with a name that a service's user would have had.
        others: running units of packages that the plan uses under units of its own.
        taken_over: what is kept aside.
    """

    units: tuple[ForeignUnit, ...] = ()
    folders: tuple[ForeignFolder, ...] = ()
    users: tuple[FoundUser, ...] = ()
    others: tuple[str, ...] = ()
    taken_over: tuple[TakenOver, ...] = ()
