"""Unit files, drop-ins and links that others have put under the names of our units."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from roles.contract.foreign import ForeignFile, ForeignUnit
from roles.host.programs.files import read_text
from roles.host.programs.foreign.names import dpkg_owner, printable, user_name
from roles.host.programs.systemd import Manager

RUNNING = ("active", "activating", "reloading")
"""The states of a unit that runs."""
_SHOWN = ("ActiveState", "Description", "User", "ExecStart")
_PROGRAM = re.compile(r"path=(\S+)")
_PASSING = ("/generator", "/transient")
"""Parts of the names of folders whose files systemd and programs write anew."""


def search_path(manager: Manager) -> list[Path]:
    """The folders of unit files, the one that counts most first."""
    return [Path(folder) for folder in manager.unit_path]


def is_ours(path: Path, config: Path) -> bool:
    """Whether it is a link into the configuration, as for each of our units."""
    return path.is_symlink() and path.readlink() == config / "units" / path.name


def unit_files(name: str, folders: Sequence[Path], units_folder: Path, config: Path) -> list[Path]:
    """The files of that name that are not ours. Where ours is in force: those that count more than ours."""
    found = []
    for folder in folders:
        path = folder / name
        if folder == units_folder and is_ours(path, config):
            break
        if os.path.lexists(path):
            found.append(path)
    return found


def drop_in_folders(name: str) -> list[str]:
    """The names of the folders whose drop-ins are for that unit: its own, and its template's."""
    prefix, at, _ = name.rpartition(".")[0].partition("@")
    suffix = name.rpartition(".")[2]
    return [f"{name}.d", *([f"{prefix}@.{suffix}.d"] if at else [])]


def shared_drop_in_folders(name: str) -> list[str]:
    """The same for all units whose names begin alike: `ai-backend-.service.d`. systemd.unit(5)"""
    stem, _, suffix = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    parts = prefix.split("-")
    begins = ["-".join(parts[:length]) + "-" for length in range(len(parts) - 1, 0, -1)]
    instances = [f"@{instance}", "@"] if at else [""]
    return [f"{begin}{each}.{suffix}.d" for begin in begins for each in instances]


def drop_ins(names: Iterable[str], folders: Sequence[Path]) -> list[Path]:
    return [path for name in names for folder in folders for path in sorted((folder / name).glob("*.conf"))]


def enablement_links(name: str, folders: Sequence[Path]) -> list[Path]:
    """The links by which a unit starts with others, and those that give it a further name."""
    kinds = ("wants", "requires", "upholds")
    wanted = [link for folder in folders for kind in kinds for link in sorted(folder.glob(f"*.{kind}/{name}"))]
    aliases = [path for folder in folders for path in _links(folder) if path.readlink().name == name != path.name]
    return [path for path in (*wanted, *aliases) if path.is_symlink()]


def _links(folder: Path) -> Iterator[Path]:
    try:
        yield from (
            Path(entry.path) for entry in sorted(os.scandir(folder), key=lambda e: e.name) if entry.is_symlink()
        )
    except OSError:
        return


def is_packaged(path: Path) -> bool:
    """Whether it lies where packages put their unit files, which only lie below ours."""
    return path.is_relative_to("/usr") or path.is_relative_to("/lib")


def can_be_moved(path: Path) -> bool:
    """Whether moving it lasts, and is needed: programs write theirs anew."""
    return not is_packaged(path) and not any(part in str(path.parent) for part in _PASSING)


def foreign_units(
    manager: Manager, names: Sequence[str], units_folder: Path, config: Path, running: Collection[str] = ()
) -> list[ForeignUnit]:
    """What others have put under those names.

    Args:
        running: names of units that run what a generation of ours has started. `systemctl disable` removes the link of
            a unit such as ours, and its process goes on.
    """
    folders = search_path(manager)
    files = {name: unit_files(name, folders, units_folder, config) for name in names}
    changed = {name: drop_ins((*drop_in_folders(name), *shared_drop_in_folders(name)), folders) for name in names}
    shown = manager.shown([*names], _SHOWN)
    found = []
    for name in names:
        ours = is_ours(units_folder / name, config) or (name in running and not files[name])
        properties = {} if ours else shown.get(name, {})
        active = properties.get("ActiveState") in RUNNING
        if not (files[name] or changed[name] or active):
            continue
        program = _PROGRAM.search(properties.get("ExecStart", ""))
        found.append(
            ForeignUnit(
                name=name,
                files=tuple(_described(path) for path in files[name]),
                drop_ins=tuple(_described(path) for path in changed[name]),
                active=active,
                enabled=not ours and bool(enablement_links(name, folders)),
                description=printable(properties.get("Description", "")),
                program=program[1] if program else "",
                user=printable(properties.get("User", "")),
            )
        )
    return found


def _described(path: Path) -> ForeignFile:
    return ForeignFile(
        path=printable(str(path)),
        owner=user_name(path.lstat().st_uid),
        package=dpkg_owner(path),
        target=printable(str(path.readlink())) if path.is_symlink() else None,
    )


def init_system() -> tuple[str, str]:
    """What runs as process 1, and the kind of container; both may be empty."""
    container = read_text(Path("/run/systemd/container")) or ""
    if not container and Path("/.dockerenv").exists():
        container = "docker"
    if not container and Path("/run/.containerenv").exists():
        container = "podman"
    if not container and "microsoft" in (read_text(Path("/proc/sys/kernel/osrelease")) or "").lower():
        container = "wsl"
    return printable((read_text(Path("/proc/1/comm")) or "").strip()), printable(container.strip())
