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
from collections.abc import Collection, Sequence
from pathlib import Path

from roles.contract.foreign import ForeignState, SystemState
from roles.contract.generation import INSTALL_MARK, PlatformKey
from roles.contract.state import CardsState, DiskState, HostState, ReadState, UnitState
from roles.contract.wire import written
from roles.host.programs.deploy_lock import holder_of
from roles.host.programs.foreign.folders import foreign_folders, found_users
from roles.host.programs.foreign.listeners import listeners, unit_of
from roles.host.programs.foreign.names import decoded, printable
from roles.host.programs.foreign.records import records
from roles.host.programs.foreign.units import foreign_units, init_system
from roles.host.programs.generations.kept import events
from roles.host.programs.generations.running import linked_units, running_digest
from roles.host.programs.gpu.cards import Card, Facts, cuda_architectures
from roles.host.programs.gpu.facts import facts
from roles.host.programs.installers.install_files import is_damaged
from roles.host.programs.installers.toolkits import toolkit_versions
from roles.host.programs.systemd import Manager

_UNIT_PROPERTIES = ("MainPID", "NeedDaemonReload", "ActiveState", "SubState")


def main(request: ReadState) -> None:
    manager = Manager(request.scope)
    config, units_folder = Path(request.config), Path(request.units_folder)
    linked = linked_units(units_folder, config)
    names = sorted({*request.units, *linked})
    cards = facts() if request.gpus else None
    generation, history = _current_generation(config), events(request.state)
    units = _units(manager, names, request)
    account = pwd.getpwuid(os.getuid())
    state = HostState(
        platform={**_platform(), "gpu": cuda_architectures(cards) if cards else ""},
        gpus=_cards(cards, names) if cards else CardsState(cards={}),
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
        units=units,
        ports={str(port): found for port, found in listeners(request.ports).items()},
        toolkits=toolkit_versions(request.toolkits),
        missing_cpu_flags=_missing_cpu_flags(request.cpu_flags),
        main_memory=_main_memory(),
        system=_system(),
        foreign=_foreign(manager, request, [name for name, unit in units.items() if unit.running_digest]),
    )
    print(json.dumps(written(state)))


def _read(path: str | Path) -> str | None:
    """A text file. It may contain names of processes and cgroups, which their users choose, in any bytes."""
    try:
        return decoded(Path(path).read_bytes()).strip(" \n")
    except OSError:
        return None


def _output(command: Sequence[str]) -> str:
    """The output of a command; empty if it cannot be run."""
    try:
        return decoded(subprocess.run(command, capture_output=True, check=False).stdout)
    except OSError:
        return ""


def _cards(found: Facts, ours: Collection[str]) -> CardsState:
    cards = {card["uuid"] or "a card without a UUID": card for card in found["cards"]}
    return CardsState(
        vendor=found["vendor"],
        cards={uuid: card["name"] for uuid, card in cards.items()},
        problem=found["problem"],
        driver=found["driver"]["kernel"] or found["driver"]["library"],
        capabilities={uuid: known for uuid, card in cards.items() if (known := card["compute_capability"])},
        memory={uuid: total for uuid, card in cards.items() if (total := card["memory_total"])},
        foreign={uuid: used for uuid, card in cards.items() if (used := _used_by_others(card, ours))},
        problems={uuid: problem for uuid, card in cards.items() if (problem := card["problem"])},
        exclusive=tuple(uuid for uuid, card in cards.items() if card["exclusive"]),
        cuda=found["driver"]["cuda"],
    )


def _used_by_others(card: Card, ours: Collection[str]) -> int:
    """Bytes of a card that processes of no unit of ours use."""
    found = ((process, unit_of(Path(f"/proc/{process['pid']}"))) for process in card["processes"])
    return sum(process["memory"] or 0 for process, unit in found if unit is None or unit[1] or unit[0] not in ours)


def _main_memory() -> int | None:
    """As the kernel counts it: without what it keeps for itself."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _system() -> SystemState:
    release = _release()
    init, container = init_system()
    return SystemState(name=printable(release.get("PRETTY_NAME", "")), init=init, container=container)


def _foreign(manager: Manager, request: ReadState, running: Collection[str]) -> ForeignState:
    shown = manager.shown(request.other_units, ("ActiveState",))
    users = (*request.users, *request.dynamic_users, *([request.build_user] if request.build_user else []))
    return ForeignState(
        units=tuple(
            foreign_units(manager, [*request.units], Path(request.units_folder), Path(request.config), running)
        ),
        folders=tuple(
            foreign_folders(request.config, request.generations, request.installs, request.state, request.cache)
        ),
        users=tuple(found_users(sorted({*users}))),
        others=tuple(name for name, properties in shown.items() if properties["ActiveState"] == "active"),
        taken_over=tuple(record for _, record in records(request.taken_over)),
    )


def _platform() -> dict[PlatformKey, str]:
    release, flags = _release(), _cpu_flags()
    return {
        "machine": platform.machine(),
        "os": f"{release.get('ID', 'unknown')}-{release.get('VERSION_ID', 'rolling')}",
        "python": platform.python_version(),
        "cpu": hashlib.sha256(" ".join(sorted(flags)).encode()).hexdigest()[:16],
    }


def _cpu_flags() -> list[str]:
    """The words of the first processor's line of flags."""
    lines = (_read("/proc/cpuinfo") or "").splitlines()
    return next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])


def _missing_cpu_flags(wanted: Sequence[str]) -> tuple[str, ...]:
    if platform.machine() != "x86_64" or not (found := _cpu_flags()):
        return ()
    return tuple(flag for flag in wanted if flag not in found)


def _release() -> dict[str, str]:
    # Not platform.freedesktop_os_release(): a Python too old for a deploy must still be able to report that.
    lines = (_read("/etc/os-release") or "").splitlines()
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}


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
        unit, user = unit_of(process) or (None, None)
        if (
            unit
            and not user
            and unit not in found
            and any(not _OWN_CODE.search(file) for file in _replaced_files(process))
        ):
            found.add(unit)
    return found


def _replaced_files(process: Path) -> list[str]:
    """Empty for a process that ends meanwhile."""
    return _REPLACED.findall(_read(process / "maps") or "")
