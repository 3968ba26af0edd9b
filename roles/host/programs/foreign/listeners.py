"""Who listens on a TCP port: the process, its user, its unit or container."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from roles.contract.foreign import SYSTEM, Container, Listener
from roles.host.programs.foreign.names import decoded, printable, user_name

_ASK_SECONDS = 5
_LISTEN = "0A"
_PROXIES = {
    "docker-proxy": "docker",
    "dockerd": "docker",
    "rootlesskit": "docker",
    "conmon": "podman",
    "rootlessport": "podman",
    "pasta": "podman",
    "pasta.avx2": "podman",
}
"""Processes that listen in place of a container, and whose they are."""
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.\\@-]*\.service")
"""What may be the name of a unit in a user's manager: people copy it from a message into a shell."""
_CONTAINER = re.compile(r"(?:^|/)(docker|libpod|crio|cri-containerd)(?:-conmon)?[-/]([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_MANAGER = re.compile(r"/user@([0-9]+)\.service/init\.scope$", re.MULTILINE)
"""The cgroup of a user's systemd manager itself."""
_PUBLISHED = re.compile(r":([0-9]+)(?:-([0-9]+))?->\S+/tcp")
"""Of the ports of a container: `0.0.0.0:8000-8010->80-90/tcp`."""
_ENGINES = {"docker": "docker", "libpod": "podman"}


def listening_sockets() -> dict[str, int]:
    """Each listening TCP socket, as a process's descriptor names it → its port."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in map(str.split, _read(Path(table)).splitlines()[1:]):
            if len(fields) > 9 and fields[3] == _LISTEN:
                found[f"socket:[{fields[9]}]"] = int(fields[1].rsplit(":", 1)[1], 16)
    return found


def listeners(ports: tuple[int, ...]) -> dict[int, tuple[Listener, ...]]:
    """Port → who listens there; of a process that cannot be seen nothing is known. A free port is missing."""
    sockets = {name: port for name, port in listening_sockets().items() if port in ports}
    found: dict[int, set[Listener]] = {port: set() for port in sockets.values()}
    for process, held in _holders(set(sockets)):
        for name in held:
            found[sockets[name]].add(_listener(process, sockets[name]))
        sockets = {name: port for name, port in sockets.items() if name not in held}
    for port in sockets.values():
        found[port].add(Listener())
    return {port: tuple(sorted(each, key=repr)) for port, each in found.items()}


def ports_of(units: tuple[str, ...], manager: str | None) -> tuple[int, ...]:
    """The ports on which the processes of those units listen, less those of what a listening process has started: what
    Ollama starts for a model listens on another port each time."""
    sockets = listening_sockets()
    found = {
        process: {sockets[name] for name in held}
        for process, held in _holders(set(sockets))
        if unit_of(process) in [(unit, manager) for unit in units]
    }
    ports = (each for process, each in found.items() if not found.keys() & set(_ancestors(process)))
    return tuple(sorted(set().union(*ports)))


def _ancestors(process: Path) -> Iterator[Path]:
    while (parent := _parent(process)) is not None:
        yield parent
        process = parent


def _parent(process: Path) -> Path | None:
    # The name, in parentheses, may hold anything.
    fields = _read(process / "stat").rpartition(")")[2].split()
    return process.with_name(fields[1]) if len(fields) > 1 and fields[1] != "0" else None


def _holders(sockets: set[str]) -> Iterator[tuple[Path, set[str]]]:
    """The first process that holds each of the sockets, with those that it holds."""
    left = set(sockets)
    for process in Path("/proc").glob("[0-9]*") if left else ():
        with contextlib.suppress(OSError):
            if held := left & {target for each in (process / "fd").iterdir() if (target := _target(each))}:
                left -= held
                yield process, held


def _target(descriptor: Path) -> str | None:
    """A busy process closes descriptors while they are read."""
    with contextlib.suppress(OSError):
        return str(descriptor.readlink())
    return None


def _listener(process: Path, port: int) -> Listener:
    name = printable(_read(process / "comm").strip("\n"))
    unit, manager = unit_of(process) or (None, None)
    if process.name == "1":
        unit, manager = _socket_unit(port, "--system"), _system()
    elif user := _MANAGER.search(_read(process / "cgroup")):
        is_own = int(user[1]) == os.getuid()
        unit, manager = (_socket_unit(port, "--user"), None) if is_own else (None, user_name(int(user[1])))
    return Listener(
        process=name or "a process without a name",
        pid=int(process.name),
        user=user_name(process.stat().st_uid),
        unit=unit,
        manager=manager,
        container=_container(process, name, port),
    )


def unit_of(process: Path) -> tuple[str, str | None] | None:
    """The service of a process, and the user whose manager runs it, or `SYSTEM`; none = ours does. Below a delegated
    unit, such as each user's manager, its user names the cgroups: so a unit there never counts as one of ours."""
    for line in _read(process / "cgroup").split("\n"):
        units = [part for part in line.split("/") if part.endswith((".service", ".scope"))]
        user = re.fullmatch(r"user@([0-9]+)\.service", units[0]) if units else None
        within = units[1] if user and len(units) > 1 else None
        own = within if user and int(user[1]) == os.getuid() else units[0] if units else None
        if within and user and int(user[1]) != os.getuid() and _UNIT.fullmatch(within):
            return within, user_name(int(user[1]))
        if own and own.endswith(".service"):
            return own, None if own == within else _system()
    return None


def _system() -> str | None:
    """The host's manager: none = ours is that one."""
    return SYSTEM if os.getuid() else None


def _container(process: Path, name: str, port: int) -> Container | None:
    match = _CONTAINER.search(_read(process / "cgroup"))
    if match:
        known = _asked(_ENGINES[match[1]], number=match[2]) if match[1] in _ENGINES else None
        return known or Container(engine=_ENGINES.get(match[1], match[1]), id=match[2][:12])
    if name in _PROXIES:
        return _asked(_PROXIES[name], port=port) or Container(engine=_PROXIES[name])
    return None


def _asked(engine: str, number: str | None = None, port: int = 0) -> Container | None:
    """The container that the engine names; none = it does not answer.

    Args:
        number: the container's; none = the one that publishes the port. Podman cannot look for that, and Docker before
            20.10 looks for the port within the container.
    """
    command = [engine, "ps", "--no-trunc", "--format", "{{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Ports}}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    for line in decoded(done.stdout).split("\n"):
        found, name, image, ports = (*line.split("\t"), "", "", "", "")[:4]
        if name and (found == number if number else _is_published(port, ports)):
            return Container(engine=engine, name=printable(name), image=printable(image))
    return None


def _is_published(port: int, ports: str) -> bool:
    return any(int(first) <= port <= int(last or first) for first, last in _PUBLISHED.findall(ports))


def _socket_unit(port: int, manager: str) -> str | None:
    """The socket unit by which a systemd manager itself listens."""
    command = ["systemctl", manager, "list-sockets", "--no-legend", "--all"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, check=False, timeout=_ASK_SECONDS)
        for fields in map(str.split, decoded(done.stdout).splitlines()):
            # Sockets of virtual machines end in a port too: "vsock:2:22".
            if len(fields) > 1 and fields[0].endswith(f":{port}") and not fields[0].startswith("vsock:"):
                return printable(fields[1])
    return None


def _read(path: Path) -> str:
    """Names of processes and cgroups are chosen by their users, in any bytes."""
    with contextlib.suppress(OSError):
        return decoded(path.read_bytes())
    return ""
