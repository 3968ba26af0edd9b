"""Installing the graphics driver during a deploy: the packages, the reboot, and what comes after it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from roles.contract.driver import LeaveDriver
from roles.contract.requests import AcquireLock
from roles.host.driver import driver_request, not_loaded
from roles.host.holder import this_process
from roles.host.operations import lock_folder
from roles.host.program import CLEAN, HostProgram
from roles.host.rebooting import Reboot
from roles.host.target import Target

if TYPE_CHECKING:
    from pyinfra.api import Host, State
    from pyinfra.api.arguments import ConnectorArguments

_LONGEST_BOOT = 300
"""Seconds from the first login to the end of the boot: services that wait for cards and load models take their time."""


@operation()
def install_driver() -> Generator[PyinfraCommand, None, None]:
    """Install the driver, hold or release its packages, and reboot the host if the kernel needs that.

    A run that died in between is continued: what is installed stays, and the reboot comes if there was none since.
    """
    target = Target.of(host)
    steps = target.driver
    if not steps.anything:
        host.noop("the driver is as it should be")
        return
    for line in steps.lines:
        host.log(f"to {line}")
    if steps.leave:
        yield HostProgram(LeaveDriver(state=target.plan.layout.state))
    if steps.install or steps.settle:
        yield HostProgram(driver_request(target.plan, steps))
    target.changed()
    if not steps.comes:
        return
    yield Reboot(one_by_one=False)
    yield BootEnds()
    if target.lock_id:
        # It names the boot in which it was taken: after another one anybody may take it.
        mine = {**this_process(), "id": target.lock_id}
        yield HostProgram(AcquireLock(folder=lock_folder(target.plan.layout), holder=mine, take_over=target.lock_id))
    target.changed()
    yield CheckDriver()


class BootEnds(PyinfraCommand):
    """Waits until the host has started what it starts at boot, so that nothing is taken for broken that only begins."""

    def __repr__(self) -> str:
        return "BootEnds()"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        waiting = f"timeout {_LONGEST_BOOT} systemctl is-system-running --wait >/dev/null 2>&1; true"
        status, _ = host.run_shell_command(StringCommand(CLEAN, waiting), **connector_arguments)
        return status


class CheckDriver(PyinfraCommand):
    """Ends the run if the driver does not run, or is not what the stack needs."""

    def __repr__(self) -> str:
        return "CheckDriver()"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        target = Target.of(host)
        found = target.driver_state
        problems = [*dict.fromkeys([*(not_loaded(found) if found else []), *target.problems()])]
        for problem in problems:
            host.log_styled(f"with its new driver it cannot be deployed to: {problem}", fg="red")
        if not problems and found:
            runs = f"it runs driver {found.loaded}" if found.loaded else "no card of NVIDIA's is there to load it for"
            host.log(f"NVIDIA driver {found.version}: {runs}")
        return not problems
