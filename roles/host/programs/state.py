"""Everything that a deploy must know of a host, read in one step without changing anything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from roles.contract.generation import INSTALL_MARK, PlatformKey
from roles.contract.state import CardsState, DiskState, HostState, ReadState, UnitState
from roles.contract.wire import written
from roles.host.programs.deploy_lock import holder_of
from roles.host.programs.generations.kept import events
from roles.host.programs.generations.running import linked_units, running_digest
from roles.host.programs.gpu.cards import Facts, cuda_architectures
from roles.host.programs.gpu.facts import facts
from roles.host.programs.installers.install_files import is_damaged
from roles.host.programs.systemd import Manager

_UNIT_PROPERTIES = ("MainPID", "NeedDaemonReload", "ActiveState", "SubState")


def main(request: ReadState) -> None:
    manager = Manager(request.scope)
    config, units_folder = Path(request.config), Path(request.units_folder)
    linked = linked_units(units_folder, config)
    names = sorted({*request.units, *linked})
    cards = facts() if request.gpus else None
    generation, history = _current_generation(config), events(request.state)
    account = pwd.getpwuid(os.getuid())
    state = HostState(
        platform={**_platform(), "gpu": cuda_architectures(cards) if cards else ""},
        gpus=_cards(cards) if cards else CardsState(cards={}),
        uid=os.getuid(),
        user=account.pw_name,
        home=account.pw_dir,
        lingers=Path("/var/lib/systemd/linger", account.pw_name).exists(),
        disks={folder: _disk(Path(folder)) for folder in request.disk_folders},
        missing_packages=_missing_packages(request.packages),
        build_user=request.build_user is None or _user_exists(request.build_user),
        missing_users=tuple(name for name in request.users if not _user_exists(name)),
        systemd=manager.version,
        generation=generation,
        verified=any(event["generation"] == generation and event.get("verdict") == "pass" for event in history),
        last_event=next((event for event in reversed(history) if event["event"] != "verified"), None),
        files=_tree(config),
        secrets=tuple(path for path in request.secrets if _is_private(Path(path))),
        installs=_complete_installs(request.marked_folders),
        damaged_installs=_damaged_installs(config),
        used_installs=_used_installs(Path(request.generations)),
        activated=_read(f"{request.state}/activated"),
        lock=holder_of(Path(request.state, "lock")),
        linked_units=tuple(linked),
        wanted_links=tuple(name for name in names if (units_folder / f"{request.wanted_by}.wants" / name).is_symlink()),
        units=_units(manager, names, request),
        ports={str(port): _listeners(port) for port in request.ports},
    )
    print(json.dumps(written(state)))


def _read(path: str | Path) -> str | None:
    """A text file. It may contain names of processes and cgroups, which their users choose, in any bytes."""
    try:
        return _decoded(Path(path).read_bytes()).strip(" \n")
    except OSError:
        return None


def _decoded(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _output(command: Sequence[str]) -> str:
    """The output of a command; empty if it cannot be run."""
    try:
        return _decoded(subprocess.run(command, capture_output=True, check=False).stdout)
    except OSError:
        return ""


def _cards(found: Facts) -> CardsState:
    names = {card["uuid"] or "a card without a UUID": card["name"] for card in found["cards"]}
    return CardsState(vendor=found["vendor"], cards=names, problem=found["problem"])


def _platform() -> dict[PlatformKey, str]:
    # Not platform.freedesktop_os_release(): a Python too old for a deploy must still be able to report that.
    lines = (_read("/etc/os-release") or "").splitlines()
    release = {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
    flags = next(
        (line for line in (_read("/proc/cpuinfo") or "").splitlines() if line.startswith(("flags", "Features"))), ""
    )
    return {
        "machine": platform.machine(),
        "os": f"{release.get('ID', 'unknown')}-{release.get('VERSION_ID', 'rolling')}",
        "python": platform.python_version(),
        "cpu": hashlib.sha256(" ".join(sorted(flags.split())).encode()).hexdigest()[:16],
    }


def _disk(path: Path) -> DiskState:
    """The file system of a folder, also of one that does not exist yet."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return DiskState(device=existing.stat().st_dev, free=shutil.disk_usage(existing).free)


def _missing_packages(wanted: Sequence[str]) -> tuple[str, ...]:
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted]
    output = _output(query) if wanted else ""
    installed = {line.split()[0] for line in output.splitlines() if line.endswith(" installed")}
    return tuple(package for package in wanted if package not in installed)


def _user_exists(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _current_generation(config: Path) -> str | None:
    return config.readlink().name if config.is_symlink() else None


def _tree(config: Path) -> dict[str, tuple[str, int, int]]:
    """Path below the current generation → digest or link target, mode, owner."""
    found: dict[str, tuple[str, int, int]] = {}
    for parent, folders, names in os.walk(config.resolve()):
        for name in (*names, *(folder for folder in folders if Path(parent, folder).is_symlink())):
            path = Path(parent, name)
            # An unreadable file is not as it was written, and only that matters.
            with contextlib.suppress(OSError):
                status = path.lstat()
                link = stat.S_ISLNK(status.st_mode)
                found[str(path.relative_to(config.resolve()))] = (
                    str(path.readlink()) if link else _digest_of(path, status.st_mode),
                    0 if link else stat.S_IMODE(status.st_mode),
                    status.st_uid,
                )
    return found


def _digest_of(path: Path, mode: int) -> str:
    """Of a regular file; none for others, as reading them might never end."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""


def _is_private(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode) == 0o600
    return False


def _complete_installs(roots: Sequence[str]) -> tuple[str, ...]:
    marks = [mark for root in roots for depth in ("*/*", "*") for mark in Path(root).glob(f"{depth}/{INSTALL_MARK}")]
    # Code that builds in a folder could write a mark too: a mark counts only if we own both mark and folder.
    return tuple(sorted({str(mark.parent) for mark in marks if {_owner(mark), _owner(mark.parent)} == {os.getuid()}}))


def _owner(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.lstat().st_uid
    return None


def _damaged_installs(config: Path) -> tuple[str, ...]:
    """Installs of the current generation that no longer look as they did when they were made."""
    folders = sorted({str(link.readlink()) for link in config.glob("install/*") if link.is_symlink()})
    return tuple(folder for folder in folders if is_damaged(Path(folder)))


def _used_installs(generations: Path) -> tuple[str, ...]:
    """The installs that all kept generations link to."""
    return tuple(sorted({str(link.readlink()) for link in generations.glob("*/install/*") if link.is_symlink()}))


def _units(manager: Manager, names: Sequence[str], request: ReadState) -> dict[str, UnitState]:
    outdated = _outdated_units()
    return {
        name: UnitState(
            needs_reload=shown["NeedDaemonReload"] == "yes",
            running_digest=running_digest(
                manager, shown, request.units.get(name), request.effect_commands.get(name, ())
            )
            or "",
            active=shown["ActiveState"] == "active",
            outdated=name in outdated,
        )
        for name, shown in manager.shown(names, _UNIT_PROPERTIES).items()
    }


_REPLACED = re.compile(r"^\S+ ..x. \S+ \S+ \d+ +(/.*) \(deleted\)$", re.MULTILINE)
_OWN_CODE = re.compile("^/(memfd:|dev/|SYSV|tmp/|var/|run/)|/[.]cache/")
"""As in the verifier's check."""


def _outdated_units() -> set[str]:
    """The services whose processes have loaded code from files that an upgrade has replaced."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        unit = _unit_of(process)
        if unit and unit not in found and any(not _OWN_CODE.search(file) for file in _replaced_files(process)):
            found.add(unit)
    return found


def _replaced_files(process: Path) -> list[str]:
    """Empty for a process that ends meanwhile."""
    return _REPLACED.findall(_read(process / "maps") or "")


def _listeners(port: int) -> tuple[str, ...]:
    """The listeners of a TCP port: the unit or command of each process, `unknown` if it cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in map(str.split, (_read(table) or "").splitlines()[1:]):
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return tuple(sorted({_holder_of(inode) for inode in inodes}))


def _holder_of(inode: str) -> str:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_leads_to(descriptor, inode) for descriptor in (process / "fd").iterdir()):
                return _unit_of(process) or _shown(_read(process / "comm") or "") or "a process without a name"
    return "unknown"


def _unit_of(process: Path) -> str | None:
    """The service of a process. Below a delegated unit, such as each user's manager, its user names the cgroups and may
    use the name of a unit of the stack: so only cgroups of our own managers count."""
    for line in (_read(process / "cgroup") or "").split("\n"):
        units = [part for part in line.split("/") if part.endswith((".service", ".scope"))]
        own = units[1:2] if units[:1] == [f"user@{os.getuid()}.service"] else units[:1]
        if own and own[0].endswith(".service"):
            return own[0]
    return None


def _shown(name: str) -> str:
    """A foreign name on one line, with each unprintable character as its escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def _leads_to(descriptor: Path, inode: str) -> bool:
    """A busy process closes descriptors while they are read."""
    try:
        return str(descriptor.readlink()) == inode
    except OSError:
        return False
