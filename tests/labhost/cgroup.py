"""One control group a host, so that hosts do not share groups and nothing of a host outlives a power cut.

systemd-nspawn with ``--keep-unit`` puts a container into a group called ``payload`` below its own group.
Started twice from one place, two hosts would share it. So each host gets its own group, in every hierarchy
that can be written: below the supervisor's, which on a systemd machine is the delegated group of its unit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.labhost.errors import LabError

_SECONDS_TO_DIE = 10.0


def choose(name: str) -> list[Path]:
    """Where the groups of host ``name`` are to be, one in each hierarchy. Called once, by its supervisor."""
    own_groups = list(_own_groups())
    for own in own_groups:
        if _is_version_2(own):
            _delegate_controllers(own)
    return [own / f"ai-backend-lab-{name}" for own in own_groups]


def make_fresh(groups: Sequence[Path]) -> None:
    """Make the groups, empty: what an earlier boot left in them is killed and removed."""
    kill(groups)
    remove(groups)
    for group in groups:
        group.mkdir()
        if not _is_version_2(group):
            # These are empty in a new group, which then takes no process.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (group / setting).exists():
                    (group / setting).write_text((group.parent / setting).read_text())


def kill(groups: Sequence[Path]) -> None:
    """SIGKILL every process in the groups and below, and wait until none is left."""
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while pids := _pids(groups):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(pids)} do not die of SIGKILL: look for a hung mount or device")
        time.sleep(0.02)


def remove(groups: Sequence[Path]) -> None:
    """Remove the groups with all below them; `kill` comes first."""
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                _remove_when_free(Path(folder))


def _remove_when_free(folder: Path) -> None:
    """The kernel lets go of a group a moment after its last process is gone."""
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while True:
        try:
            return folder.rmdir()
        except OSError as error:
            if isinstance(error, FileNotFoundError) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _pids(groups: Sequence[Path]) -> set[int]:
    found: set[int] = set()
    for group in groups:
        for folder, _, _ in os.walk(group):
            with contextlib.suppress(OSError):  # the group went away, or is a threaded one
                found.update(int(line) for line in (Path(folder) / "cgroup.procs").read_text().split())
    return found


def _own_groups() -> Iterator[Path]:
    """This process's own group in each mounted hierarchy that it may write to."""
    memberships = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        memberships[controllers] = path
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        root, mount_point = mounted.split(" ")[3:5]
        for controllers, path in memberships.items():
            v2 = kind == "cgroup2" and not controllers
            v1 = kind == "cgroup" and controllers and set(controllers.split(",")) <= set(options.split(","))
            group = Path(mount_point) / os.path.relpath(path, root)
            if (v1 or v2) and os.access(group / "cgroup.procs", os.W_OK):
                yield group


def _is_version_2(group: Path) -> bool:
    return (group / "cgroup.controllers").exists()


def _delegate_controllers(own: Path) -> None:
    """A group of version 2 passes controllers on only while no process sits in it, so this one steps aside.

    In a group that it shares with other programs this cannot work; the host then goes without resource
    limits.
    """
    with contextlib.suppress(OSError):
        aside = own / "supervisor"
        aside.mkdir(exist_ok=True)
        (aside / "cgroup.procs").write_text(str(os.getpid()))
        controllers = (own / "cgroup.controllers").read_text().split()
        (own / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))
