"""What a host is and runs: one fact, one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError

from roles.host.output import NO_ANSWER, decoded
from roles.host.program import PYTHON, program_text, python_command
from roles.host.programs.lock import parse_holder
from roles.plan import HostPlan, PlatformKey, TaskUnit

BUILD_USER = "ai-backend-build"
"""Who compiles and installs packages in system scope: third-party build scripts run with no other right."""

NO_PYTHON = "no-python"


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd and the kernel show it.

    Attributes:
        needs_reload: its file is not the one that systemd has read.
        running_digest: what its process carries, or a task carried that has done its work; empty when it does not run,
            or cannot be seen.
        outdated: its processes have loaded files that an upgrade has put others in the place of.
    """

    needs_reload: bool
    running_digest: str
    active: bool
    outdated: bool


@dataclass(frozen=True)
class GpuState:
    """The host's graphics cards, if they were asked for.

    Attributes:
        cards: UUID → name.
        problem: why they cannot be used, and how to fix it.
    """

    vendor: str | None
    cards: Mapping[str, str]
    problem: str | None


@dataclass(frozen=True)
class HostState:
    """A host as it was when the fact was read.

    Attributes:
        verified: the current generation has passed its verification, once.
        last_event: the last entry of the host's history that is no verdict.
        files: path below the current generation → [SHA-256 or link target, mode, owner's uid].
        installs: folders of the installs that are complete.
        damaged_installs: those of the current generation that do not look as they did when they were made.
        used_installs: folders that some kept generation uses.
        linked_units: units that lead into the configuration.
        wanted_links: those among them that start at boot.
        lock: its holder, as `acquire_lock` describes it; empty = a lock that does not say who holds it.
        disk_free: folder of the layout → the file system it lies on, and the bytes that are free there.
        ports: each port of the plan that somebody listens on → units or commands.
    """

    platform: Mapping[PlatformKey, str]
    uid: int
    user: str
    home: str
    lingers: bool
    disk_free: Mapping[str, tuple[int, int]]
    missing_packages: tuple[str, ...]
    build_user: bool
    missing_users: tuple[str, ...]
    systemd: str | None
    generation: str | None
    verified: bool
    last_event: Mapping[str, Any] | None
    files: Mapping[str, list[Any]]
    secrets: frozenset[str]
    installs: frozenset[str]
    damaged_installs: frozenset[str]
    used_installs: frozenset[str]
    activated: str | None
    lock: Mapping[str, str] | None
    linked_units: tuple[str, ...]
    wanted_links: frozenset[str]
    units: Mapping[str, UnitState]
    ports: Mapping[int, tuple[str, ...]]
    gpus: GpuState

    @classmethod
    def parse(cls, read: Mapping[str, Any]) -> HostState:
        """From the JSON object that `programs/state.py` prints."""
        return cls(
            platform=read["platform"],
            uid=read["uid"],
            user=read["user"],
            home=read["home"],
            lingers=read["lingers"],
            disk_free={folder: (device, free) for folder, device, free in read["disk_free"]},
            missing_packages=tuple(read["missing_packages"]),
            build_user=read["build_user"],
            missing_users=tuple(read["missing_users"]),
            systemd=read["systemd"],
            generation=read["generation"],
            verified=read["verified"],
            last_event=read["last_event"],
            files=read["files"],
            secrets=frozenset(read["secrets"]),
            installs=frozenset(read["installs"]),
            damaged_installs=frozenset(read["damaged_installs"]),
            used_installs=frozenset(read["used_installs"]),
            activated=read["activated"],
            lock=None if read["lock"] is None else parse_holder(read["lock"].encode(errors="replace")),
            linked_units=tuple(read["linked_units"]),
            wanted_links=frozenset(read["wanted_links"]),
            units={
                name: UnitState(
                    needs_reload=unit["NeedDaemonReload"] == "yes",
                    running_digest=unit["Digest"],
                    active=unit["ActiveState"] == "active",
                    outdated=unit["Outdated"],
                )
                for name, unit in read["units"].items()
            },
            gpus=GpuState(
                vendor=read["gpus"]["vendor"],
                cards={card["uuid"]: card["name"] for card in read["gpus"]["cards"]},
                problem=read["gpus"]["problem"],
            ),
            ports={int(port): tuple(holders) for port, holders in read["ports"].items()},
        )


def state_request(plan: HostPlan) -> dict[str, Any]:
    """What the state program must be told to read all that matters for a plan."""
    layout = plan.layout
    return {
        "layout": {
            "scope": layout.scope,
            "config": layout.config,
            "generations": layout.generations,
            "units": layout.units,
            "installs": layout.installs,
            "state": layout.state,
            "cache": layout.cache,
            "wanted_by": layout.wanted_by,
        },
        "packages": list(plan.packages),
        "users": list(plan.users) if layout.scope == "system" else [],
        "build_user": BUILD_USER if layout.scope == "system" else None,
        "kept_program": program_text("kept"),
        # Asking for cards takes half a second or more: only where some are wanted.
        "manifest_program": program_text("manifest"),
        "gpu_program": program_text("gpu") if plan.gpus else None,
        "units": {unit.name: unit.done_file if isinstance(unit, TaskUnit) else None for unit in plan.units},
        "holds": {task.name: list(task.effect_command) for task in plan.tasks if task.effect_command},
        "secrets": [secret.path for secret in plan.generated_secrets],
        "ports": [unit.endpoint.port for unit in plan.servers],
    }


class StackState(FactBase[HostState]):
    """The host's state as far as a plan is concerned. Reads only."""

    def command(self, request: str) -> StringCommand:
        """`request`: JSON of `state_request`."""
        return StringCommand(
            f"test -x {PYTHON} || {{ echo", f"{NO_PYTHON}; exit 0; }};", python_command(program_text("state"), request)
        )

    def process(self, output: list[str]) -> HostState:
        if output and output[-1] == NO_PYTHON:
            raise FactProcessError("this host has no python3, which everything here needs: install the package python3")
        try:
            return HostState.parse(decoded(output[-1:]))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise FactProcessError(NO_ANSWER) from None
