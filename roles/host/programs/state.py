"""Everything that a deploy must know of a host, read at once and without changing anything.

Stands alone (imports no other program), as its text is the fact's command. Prints one JSON object.
"""

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
import sys
from pathlib import Path
from typing import Any

_UNIT_PROPERTIES = "Id,MainPID,NeedDaemonReload,ActiveState,SubState"


def main(request: dict[str, Any]) -> None:
    layout = request["layout"]
    config, units_folder = Path(layout["config"]), Path(layout["units"])
    linked = _linked_units(units_folder, config)
    names = sorted({*request["units"], *linked})
    gpus = _gpus(request["gpu_program"])
    generation, history = _current_generation(config), _program(request["kept_program"])["events"](layout["state"])
    print(
        json.dumps(
            {
                "platform": {**_platform(), "gpu": gpus["architectures"]},
                "gpus": gpus,
                "uid": os.getuid(),
                "user": pwd.getpwuid(os.getuid()).pw_name,
                "home": pwd.getpwuid(os.getuid()).pw_dir,
                "lingers": Path("/var/lib/systemd/linger", pwd.getpwuid(os.getuid()).pw_name).exists(),
                "disk_free": [_disk_free(Path(layout[key])) for key in ("installs", "state", "cache")],
                "missing_packages": _missing_packages(request["packages"]),
                "build_user": _user_exists(request["build_user"]),
                "missing_users": [name for name in request["users"] if not _user_exists(name)],
                "systemd": _systemd_version(layout["scope"]),
                "generation": generation,
                "verified": any(
                    event["generation"] == generation and event.get("verdict") == "pass" for event in history
                ),
                "last_event": next((event for event in reversed(history) if event["event"] != "verified"), None),
                "files": _tree(config),
                "secrets": [path for path in request["secrets"] if _is_private(Path(path))],
                "installs": _complete_installs([layout["installs"], f"{layout['state']}/models"]),
                "damaged_installs": _damaged_installs(config, request["manifest_program"]),
                "used_installs": _used_installs(Path(layout["generations"])),
                "activated": _read(f"{layout['state']}/activated"),
                "lock": _lock(Path(layout["state"], "lock")),
                "linked_units": linked,
                "wanted_links": _wanted_links(units_folder, layout["wanted_by"], names),
                "units": _units(names, request["units"], request["holds"], layout["scope"]),
                "ports": {str(port): _listeners(port) for port in request["ports"]},
            }
        )
    )


def _read(path: str | Path) -> str | None:
    """A text file; names in it, of processes and their groups, are chosen by whoever runs them, in any bytes."""
    try:
        return _decoded(Path(path).read_bytes()).strip(" \n")
    except OSError:
        return None


def _decoded(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _output(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a command prints; empty where it cannot be run."""
    try:
        return _decoded(subprocess.run(command, capture_output=True, check=False, env=environment).stdout)
    except OSError:
        return ""


def _platform() -> dict[str, str]:
    # Not platform.freedesktop_os_release(): a Python too old to deploy with must still be able to say so.
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


def _program(text: str) -> dict[str, Any]:
    """What another program, whose text is given, defines."""
    module: dict[str, Any] = {"__name__": "another program"}
    exec(compile(text, "another program", "exec"), module)
    return module


def _gpus(program: str | None) -> dict[str, Any]:
    """What `gpu.py`, whose text is given, finds; nothing where nobody wants to know."""
    if program is None:
        return {"vendor": None, "cards": [], "problem": None, "architectures": ""}
    module = _program(program)
    facts = module["facts"]()
    return {**facts, "architectures": module["cuda_architectures"](facts)}


def _disk_free(path: Path) -> list[Any]:
    """The folder, the file system that it lies on or will lie on, and the bytes that are free there."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return [str(path), existing.stat().st_dev, shutil.disk_usage(existing).free]


def _missing_packages(wanted: list[str]) -> list[str]:
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted]
    output = _output(query) if wanted else ""
    installed = {line.split()[0] for line in output.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def _user_exists(name: str | None) -> bool:
    try:
        return name is None or bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _systemctl(scope: str, *arguments: str) -> str:
    environment = {**os.environ, "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")}
    return _output(["systemctl", *(["--user"] if scope == "user" else []), *arguments], environment)


def _systemd_version(scope: str) -> str | None:
    """Version of the manager that would run the units, or none where it does not answer."""
    return _systemctl(scope, "show", "--property=Version", "--value").strip() or None


def _current_generation(config: Path) -> str | None:
    return config.readlink().name if config.is_symlink() else None


def _tree(config: Path) -> dict[str, list[Any]]:
    """Path below the current generation → [digest or link target, mode, owner]."""
    found: dict[str, list[Any]] = {}
    for parent, folders, names in os.walk(config.resolve()):
        for name in (*names, *(folder for folder in folders if Path(parent, folder).is_symlink())):
            path = Path(parent, name)
            # One that cannot be read is not as it was written, which is all that matters.
            with contextlib.suppress(OSError):
                status = path.lstat()
                link = stat.S_ISLNK(status.st_mode)
                found[str(path.relative_to(config.resolve()))] = [
                    str(path.readlink()) if link else _digest_of(path, status.st_mode),
                    0 if link else stat.S_IMODE(status.st_mode),
                    status.st_uid,
                ]
    return found


def _digest_of(path: Path, mode: int) -> str:
    """Of a regular file; of another, which might never end, none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""


def _is_private(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode) == 0o600
    return False


def _complete_installs(roots: list[str]) -> list[str]:
    marks = [mark for root in roots for depth in ("*/*", "*") for mark in Path(root).glob(f"{depth}/.install.json")]
    # What builds in a folder may write a mark too: it counts where mark and folder are our own.
    return sorted({str(mark.parent) for mark in marks if {_owner(mark), _owner(mark.parent)} == {os.getuid()}})


def _owner(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.lstat().st_uid
    return None


def _damaged_installs(config: Path, program: str) -> list[str]:
    """Those of the current generation that do not look as `manifest.py`, whose text is given, has written down."""
    is_damaged = _program(program)["is_damaged"]
    folders = sorted({str(link.readlink()) for link in config.glob("install/*") if link.is_symlink()})
    return [folder for folder in folders if is_damaged(Path(folder))]


def _used_installs(generations: Path) -> list[str]:
    """Where the installs of all kept generations lead."""
    return sorted({str(link.readlink()) for link in generations.glob("*/install/*") if link.is_symlink()})


def _lock(folder: Path) -> str | None:
    """What the lock says of its holder; none = there is no lock."""
    if not folder.is_symlink() and not folder.exists():
        return None
    with contextlib.suppress(OSError):
        # No more than a regular file: reading another, as a pipe, may never end.
        if (folder / "holder.json").is_file():
            return (folder / "holder.json").read_bytes().decode(errors="replace")
    return ""


def _linked_units(units: Path, config: Path) -> list[str]:
    """Names of the units that lead into the configuration: those that a deploy made."""
    found = []
    with contextlib.suppress(OSError):
        for path in units.iterdir():
            if path.is_symlink() and path.readlink() == config / "units" / path.name:
                found.append(path.name)
    return sorted(found)


def _wanted_links(units: Path, target: str, names: list[str]) -> list[str]:
    return [name for name in names if (units / f"{target}.wants" / name).is_symlink()]


def _units(
    names: list[str], done_files: dict[str, str | None], holds: dict[str, list[str]], scope: str
) -> dict[str, dict[str, Any]]:
    if not names:
        return {}
    found: dict[str, dict[str, Any]] = {}
    runtime = "/run" if scope == "system" else os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for block in _systemctl(scope, "show", f"--property={_UNIT_PROPERTIES}", *names).strip().split("\n\n"):
        values: dict[str, Any] = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if name := values.get("Id"):
            done = done_files.get(name)
            if not done:
                values["Digest"] = _running_digest(values.get("MainPID", "0"))
            elif values.get("SubState") == "exited" and _still_holds(holds.get(name, []), Path(runtime, done)):
                values["Digest"] = _read(f"{runtime}/{done}") or ""
            else:
                values["Digest"] = ""
            found[name] = values
    outdated = _outdated_units()
    for name, values in found.items():
        values["Outdated"] = name in outdated
    return found


def _still_holds(command: list[str], done: Path) -> bool:
    """Whether what a task has brought about is as it left it."""
    if not command:
        return True
    try:
        printed = subprocess.run(command, capture_output=True, check=False).stdout
        return printed == done.with_name("held").read_bytes()
    except OSError:
        return False


_REPLACED = re.compile(r"^\S+ ..x. \S+ \S+ \d+ +(/.*) \(deleted\)$", re.MULTILINE)
_OWN_CODE = re.compile("^/(memfd:|dev/|SYSV|tmp/|var/|run/)|/[.]cache/")
"""As in the verifier's check."""


def _outdated_units() -> set[str]:
    """The services whose processes have loaded code of files that an upgrade has put others in the place of."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        unit = _unit_of(process)
        if unit and unit not in found and any(not _OWN_CODE.search(file) for file in _replaced_files(process)):
            found.add(unit)
    return found


def _replaced_files(process: Path) -> list[str]:
    """Empty of a process that ends meanwhile."""
    return _REPLACED.findall(_read(process / "maps") or "")


def _running_digest(pid: str) -> str:
    with contextlib.suppress(OSError):
        for variable in Path("/proc", pid, "environ").read_bytes().split(b"\0"):
            if variable.startswith(b"AI_BACKEND_DIGEST="):
                return _decoded(variable.split(b"=", 1)[1])
    return ""


def _listeners(port: int) -> list[str]:
    """Who listens on a TCP port: the unit or command of each process, `unknown` where it cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in map(str.split, (_read(table) or "").splitlines()[1:]):
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return sorted({_holder_of(inode) for inode in inodes})


def _holder_of(inode: str) -> str:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_leads_to(descriptor, inode) for descriptor in (process / "fd").iterdir()):
                return _unit_of(process) or _shown(_read(process / "comm") or "") or "a process without a name"
    return "unknown"


def _unit_of(process: Path) -> str | None:
    """The service that a process belongs to. Below a unit that is given to somebody, as each user's manager is, that
    somebody names the groups, and may name one like a unit of the stack: only those of our own managers count."""
    for line in (_read(process / "cgroup") or "").split("\n"):
        units = [part for part in line.split("/") if part.endswith((".service", ".scope"))]
        own = units[1:2] if units[:1] == [f"user@{os.getuid()}.service"] else units[:1]
        if own and own[0].endswith(".service"):
            return own[0]
    return None


def _shown(name: str) -> str:
    """A foreign name on one line, each character that is not printable as its escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def _leads_to(descriptor: Path, inode: str) -> bool:
    """A busy process closes descriptors while they are looked at."""
    try:
        return str(descriptor.readlink()) == inode
    except OSError:
        return False


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except OSError as error:
        sys.exit(f"{error.filename or 'reading the host'}: {error.strerror}: see to that, then run again")
