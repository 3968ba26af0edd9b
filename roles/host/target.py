"""One host of a run: its plan, its state as last read, and the remaining steps."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from roles.contract.driver import DriverState, ReadDriver
from roles.contract.generation import DRIVER_FILE
from roles.contract.requests import LookAtModels, UvTool
from roles.contract.state import HostState
from roles.host.connection import tend
from roles.host.driver import DriverSteps, driver_problems, driver_steps
from roles.host.host_files import MissingFiles
from roles.host.host_models import ModelProblems
from roles.host.pending import Pending, pending_steps, unmet_needs, unused_installs
from roles.host.program import StandardInput, held_lock, hold_lock
from roles.host.requests import models_folder
from roles.host.state import FoundDriver, StackState, state_request
from roles.plan import Generation, HostPlan, read_lock, resolve

_KEY = "ai_backend_target"


class Target:
    """What operations share about one host. pyinfra does not keep facts: this keeps them until something changes."""

    def __init__(self, host: Host, plan: HostPlan) -> None:
        self.host = host
        self.plan = plan
        self.found: str | None = None
        """The generation that was current when this run began an activation, even of the same generation."""
        self.activated: str | None = None
        """The generation that this run has activated."""
        self.restarted: tuple[str, ...] = ()
        """The servers that it has started by that, or started anew, by their units."""
        self.take_over: tuple[str, ...] = ()
        """What this run may move aside, by the names that preflight prints."""
        self.oversized = False
        """Whether models may be there that by the memory plan do not fit."""
        self._state: HostState | None = None
        self._generation: Generation | None = None
        self._driver: DriverState | None = None

    @classmethod
    def of(cls, host: Host) -> Target:
        target: Target = host.connector_data[_KEY]
        return target

    @classmethod
    def is_attached(cls, host: Host) -> bool:
        return _KEY in host.connector_data

    def attach(self) -> None:
        """Attach it to the host, and watch the host's connection."""
        self.host.connector_data[_KEY] = self
        tend(self.host)

    @property
    def lock_id(self) -> str | None:
        """This run's lock on the host."""
        return held_lock(self.host)

    @lock_id.setter
    def lock_id(self, lock_id: str | None) -> None:
        hold_lock(self.host, lock_id)

    @property
    def state(self) -> HostState:
        if self._state is None:
            state = self.host.get_fact(StackState, _stdin=StandardInput(state_request(self.plan)))
            if state is None:
                raise DeployError(f"{self.host.name}: its state cannot be read, see above")
            self._state = state
        return self._state

    @property
    def generation(self) -> Generation:
        if self._generation is None:
            self._generation = resolve(self.plan, self.state.platform)
        return self._generation

    @property
    def pending(self) -> Pending:
        return pending_steps(self.plan, self.generation, self.state, self.take_over)

    @property
    def driver_state(self) -> DriverState | None:
        """The graphics driver; none = neither the inventory nor the generation that runs says anything of it."""
        deployed = DRIVER_FILE in self.state.files
        if self.plan.driver is None and not deployed:
            return None
        if self._driver is None:
            wanted = ReadDriver(state=self.plan.layout.state)
            found = self.host.get_fact(FoundDriver, _stdin=StandardInput(wanted))
            if found is None:
                raise DeployError(f"{self.host.name}: its driver cannot be read, see above")
            self._driver = found
        return self._driver

    @property
    def driver(self) -> DriverSteps:
        found = self.driver_state
        return driver_steps(self.plan.driver, found) if found else DriverSteps()

    @property
    def unused_installs(self) -> tuple[str, ...]:
        return unused_installs(self.generation, self.state)

    def changed(self) -> None:
        """Something changed on the host: the facts read before are no longer valid."""
        self._state = self._generation = self._driver = None

    def check(self) -> None:
        """Refuse a host on which a deploy could only fail.

        Raises:
            DeployError: with everything that is in the way.
        """
        if problems := self.problems():
            raise DeployError(f"{self.host.name} cannot be deployed to:\n" + "\n".join(f"    - {p}" for p in problems))

    def problems(self) -> list[str]:
        """Everything that is in the way of a deploy, each with its fix."""
        steps, found = self.driver, self.driver_state
        problems = unmet_needs(
            self.plan,
            self.generation,
            self.state,
            self.take_over,
            oversized=self.oversized,
            new_driver=steps.comes,
        )
        problems += driver_problems(self.plan, self.state, found, steps) if found else []
        problems += [
            f"{install.install.title} is to be sent to it, but {install.install.sent_from} is not there: fix `path`"
            for install in self.pending.installs
            if install.install.sent_from and not Path(install.install.sent_from).expanduser().is_file()
        ]
        if self.plan.host_files and self.pending.anything:
            missing = self.host.get_fact(MissingFiles, self.plan.host_files)
            problems += [f"it has no file {path} that can be read: put it there first" for path in missing or ()]
        # Models that are complete are where they belong; else it may be that their disk is away.
        folder = models_folder(self.plan.layout) if self.pending.installs else None
        if self.plan.host_models or folder:
            wanted = LookAtModels(models=self.plan.host_models, folder=folder)
            looked_at = self.host.get_fact(ModelProblems, _stdin=StandardInput(wanted))
            problems += looked_at.problems if looked_at else ()
        return problems

    def uv_tool(self) -> UvTool:
        """The uv that makes environments there; its folder is named by its requirements and the host's Python."""
        requirements = read_lock("host", "uv")
        key = hashlib.sha256(f"{requirements}{self.state.platform['python']}".encode()).hexdigest()[:16]
        return UvTool(folder=f"{self.plan.layout.installs}/uv/{key}", requirements=requirements)
