"""What a host is to be, and what it turned out to be: the two JSON files in its folder."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.labhost.errors import LabError
from tests.labhost.network import Link, Subnet
from tests.labhost.paths import HostFolder, write_atomically

_NAME = re.compile(r"^[a-z][a-z0-9-]{0,30}$")


@dataclass(frozen=True)
class Owner:
    """A process whose end is the end of the host. The start time tells it from a later one with its number."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Owner:
        started = _start_time(pid)
        if started is None:
            raise LabError(f"no process {pid} is there to own a host")
        return cls(pid, started)

    def lives(self) -> bool:
        return _start_time(self.pid) == self.started


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks after the boot; None for a dead one or a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(fields[18])


@dataclass(frozen=True)
class HostSpec:
    """What `Lab.create` was asked for.

    ``disks`` are what `LabHost.keep_disk` has kept, the uppermost first; they lie over ``image``. ``binds``
    maps folders of this machine to where the host sees them; ``small_disks`` maps paths in the host to the
    size, in the words of tmpfs (``200M``), of a disk of their own that a test can fill.
    """

    name: str
    release: str
    image: str
    disks: list[str] = field(default_factory=list)
    nested: bool = False
    binds: dict[str, str] = field(default_factory=dict)
    read_only_binds: dict[str, str] = field(default_factory=dict)
    small_disks: dict[str, str] = field(default_factory=dict)
    owner: Owner | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise LabError(f"{self.name!r} cannot name a host: use up to 31 of a-z, 0-9 and -, a letter first")

    def save(self, folder: HostFolder) -> None:
        write_atomically(folder.spec, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, folder: HostFolder) -> HostSpec:
        values = json.loads(folder.spec.read_text())
        owner = values.pop("owner")
        return cls(**values, owner=Owner(**owner) if owner else None)


@dataclass(frozen=True)
class Live:
    """What the kernel holds for a host, so that any process can find it, and remove it after a crash."""

    link: Link
    groups: tuple[str, ...]

    def save(self, folder: HostFolder) -> None:
        write_atomically(folder.live, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, folder: HostFolder) -> Live | None:
        """None while the host has no address yet."""
        if not folder.live.exists():
            return None
        values = json.loads(folder.live.read_text())
        link = values["link"]
        return cls(Link(Subnet(link["subnet"]["third"]), link["number"], link["namespace"]), tuple(values["groups"]))
