"""Rebooting a host, and the checks afterwards: how soon each route answers, and the verification."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from paramiko import SSHException
from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.connectors.util import clear_askpass_cache

from roles.host.connection import end, tend
from roles.host.output import decoded
from roles.host.program import CLEAN
from roles.host.target import Target
from roles.host.verification import verify_routes

if TYPE_CHECKING:
    from pyinfra.api import Host, State
    from pyinfra.api.arguments import ConnectorArguments

LONGEST_REBOOT = 600
"""Seconds from the order to reboot to the first login. Servers with much memory check it for minutes."""
_PAUSE = 1.0
_READ_BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
# Detached: otherwise pyinfra would wait for the channel's end until the connection breaks.
_REBOOT = "( sleep 1; systemctl reboot ) </dev/null >/dev/null 2>&1 &"
_MAY_REBOOT = "test $(id -u) = 0"


@operation(is_idempotent=False)
def reboot_host(*, one_by_one: bool) -> Generator[PyinfraCommand, None, None]:
    """Reboot, wait for another boot id, report how soon each route answers, and verify the host.

    Args:
        one_by_one: other hosts go first; this one is not rebooted if one of them did not come back well.
    """
    target = Target.of(host)
    yield Reboot(one_by_one=one_by_one)
    yield FirstAnswers(f"{target.plan.layout.config}/bin/verify")
    target.changed()
    yield from verify_routes._inner()


class Reboot(PyinfraCommand):
    """Reboots the host and returns once it has another boot id."""

    def __init__(self, *, one_by_one: bool) -> None:
        super().__init__()
        self._one_by_one = one_by_one

    def __repr__(self) -> str:
        return "Reboot()"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        broken = [other.name for other in state.inventory if state.results[other].error_ops]
        if self._one_by_one and broken:
            host.log_styled(f"not rebooted: {', '.join(broken)} did not come back well", fg="red")
            return False

        def said(command: str) -> str | None:
            status, output = host.run_shell_command(StringCommand(CLEAN, command), **connector_arguments)
            return output.stdout if status else None

        before = said(_READ_BOOT_ID)
        if said(_MAY_REBOOT) is None:
            host.log_styled(
                "only root may reboot it: connect as root, or set `_sudo` in the host's data; in user scope have an "
                "administrator reboot it, and run deploys/verify.py",
                fg="red",
            )
            return False
        host.log(f"rebooting (boot {before})")
        began = time.monotonic()
        said(_REBOOT)
        while time.monotonic() - began < LONGEST_REBOOT:
            time.sleep(_PAUSE)
            # pyinfra's file for sudo did not survive the reboot.
            clear_askpass_cache(host)
            end(host)
            host.disconnect()
            host.connect(show_errors=False)
            if host.connected:
                tend(host)
            now = _try(said) if host.connected else None
            if now and now != before:
                host.log(f"rebooted after {time.monotonic() - began:.0f} s (boot {now})")
                return True
        host.log_styled(f"did not come back within {LONGEST_REBOOT} s: look at its console", fg="red")
        return False


def _try(said: Any) -> str | None:
    """The boot id; None = the connection broke: a host that goes down still accepts some logins."""
    try:
        found: str | None = said(_READ_BOOT_ID)
    except (OSError, EOFError, SSHException):
        return None
    return found


class FirstAnswers(PyinfraCommand):
    """Reports for each route how long after the boot it gave its first good answer."""

    def __init__(self, verifier: str) -> None:
        super().__init__()
        self._verifier = verifier

    def __repr__(self) -> str:
        return "FirstAnswers()"

    def execute(self, state: State, host: Host, connector_arguments: ConnectorArguments) -> bool:
        status, output = host.run_shell_command(
            StringCommand(QuoteString(self._verifier), "--first-answers"), **connector_arguments
        )
        if not status:
            host.log_styled(f"the first answers cannot be had: {output.stderr}", fg="red")
            return False
        for route, seconds in decoded(output.stdout_lines).items():
            host.log(f"{route}: " + ("no answer" if seconds is None else f"first answer {seconds} s after the boot"))
        return True
