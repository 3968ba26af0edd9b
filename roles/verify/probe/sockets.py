"""Who listens on a TCP port. Read from /proc, so no tool is needed on the host.

A process has a socket when one of its descriptors leads to it: `/proc/net/tcp` gives a listening socket's inode,
`/proc/<pid>/fd` the inodes that a process has open, `/proc/<pid>/cgroup` the unit that the process belongs to.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from roles.verify.probe.processes import units_of
from roles.verify.verdict.quoting import escaped, read_foreign

_LISTEN = "0A"
"""TCP_LISTEN as `/proc/net/tcp` writes it. Source: include/net/tcp_states.h of Linux."""
_INODE = 9
"""The column of a socket's inode in that file."""


@dataclass(frozen=True)
class Holder:
    """A process that has a socket open. `units` are the names in its cgroup path, innermost last."""

    pid: int
    command: str
    units: tuple[str, ...]

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) of {self.units[-1] if self.units else 'no unit'}"


@dataclass(frozen=True)
class Listener:
    """A listening socket. `holders` is empty if this user may not see its processes."""

    address: str
    port: int
    holders: tuple[Holder, ...]

    def belongs_to(self, unit: str) -> bool:
        return any(unit in holder.units for holder in self.holders)

    def __str__(self) -> str:
        return f"{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"


def listeners(ports: Collection[int] | None, proc: Path = Path("/proc")) -> tuple[Listener, ...]:
    """All listening sockets on `ports`, at any address; None = on any port."""
    found = [
        (address, port, inode)
        for table in ("tcp", "tcp6")
        for address, port, inode in _listening(proc / "net" / table)
        if ports is None or port in ports
    ]
    holders: dict[str, list[Holder]] = {inode: [] for _, _, inode in found}
    for process in proc.glob("[0-9]*"):
        held = _sockets_of(process) & holders.keys()
        if held:
            holder = _holder(process)
            for inode in held:
                holders[inode].append(holder)
    return tuple(Listener(address, port, tuple(holders[inode])) for address, port, inode in found)


def _listening(table: Path) -> Iterator[tuple[str, int, str]]:
    """(address, port, inode) of each listening socket. A kernel without IPv6 has no tcp6 table."""
    if not table.exists():
        return
    for fields in map(str.split, read_foreign(table).splitlines()[1:]):
        if len(fields) > _INODE and fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            yield _address(address), int(port, 16), fields[_INODE]


def _address(digits: str) -> str:
    """An address as the kernel prints it: 32-bit words in the host's byte order."""
    words = (digits[start : start + 8] for start in range(0, len(digits), 8))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(packed) == 4:
        return str(IPv4Address(packed))
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


def _sockets_of(process: Path) -> set[str]:
    inodes = set()
    # The process may have ended, or belong to another user: then its sockets have no holder.
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            # A busy process closes some while they are read.
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    return inodes


def _holder(process: Path) -> Holder:
    try:
        command = escaped(read_foreign(process / "comm").removesuffix("\n"))
        return Holder(int(process.name), command, units_of(process))
    except OSError:
        return Holder(int(process.name), "ended meanwhile", ())


def is_at(listener: Listener, bind: str) -> bool:
    """Whether it is what a server opens that is configured to listen on `bind`."""
    # Go programs (Ollama) configured with 0.0.0.0 open one socket on [::] for both families.
    return listener.address == bind or (bind == "0.0.0.0" and listener.address == "::")


def described(found: Sequence[Listener]) -> str:
    """Listening sockets and their processes, for people."""
    return "; ".join(
        f"{listener}, {' and '.join(map(str, listener.holders)) or 'nobody that this user may see'}"
        for listener in found
    )
