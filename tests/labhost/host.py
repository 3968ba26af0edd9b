"""`LabHost`: what a test or a person does to one host from outside. The work is its supervisor's."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.labhost import control, network
from tests.labhost.errors import LabError
from tests.labhost.network import Link
from tests.labhost.paths import LabFolders
from tests.labhost.spec import HostSpec, Live

BOOT_SECONDS = 90.0
_CONSOLE_LINES_SHOWN = 15
# `is-system-running --wait` would do, but waits for ever when the boot ends just as it begins to listen.
_SETTLED_STATE = """\
while state=$(systemctl is-system-running 2>/dev/null); [ "$state" != running ] && [ "$state" != degraded ]
do sleep 0.05; done
echo "$state"
"""


class LabHost:
    """A Debian host with systemd as PID 1, an address of its own and sshd."""

    def __init__(self, folders: LabFolders, name: str) -> None:
        self._folders = folders
        self._folder = folders.host(name)
        if not self._folder.spec.exists():
            raise LabError(f"there is no lab host {name!r}; `python -m tests.labhost list` shows those there are")
        self.name = name
        self.spec = HostSpec.load(self._folder)

    def __repr__(self) -> str:
        return f"LabHost({self.name!r})"

    @property
    def link(self) -> Link:
        live = Live.load(self._folder)
        if live is None:
            raise LabError(f"host {self.name} has no address yet")
        return live.link

    @property
    def address(self) -> str:
        return self.link.address

    @property
    def ssh_config(self) -> Path:
        """An OpenSSH client configuration that knows this host by its name."""
        return self._folders.ssh_config

    @property
    def console(self) -> str:
        """What the host has said on its console since its creation."""
        path = self._folder.console
        return path.read_text(errors="replace") if path.exists() else ""

    # commands in the host

    def ssh_command(self, *command: str, user: str = "root") -> list[str]:
        """The argument list that runs ``command`` in the host, or opens a shell there."""
        options = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-l", user)
        return ["ssh", "-F", str(self.ssh_config), *options, self.name, *command]

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        user: str = "root",
        input: str | None = None,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over ssh; with ``check`` a failing one raises `LabError` with what it said."""
        argv = self.ssh_command("--", command, user=user)
        stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        try:
            done = subprocess.run(argv, **stdin, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"host {self.name}: `{command}` did not end within {timeout:.0f} s") from error
        if check and done.returncode != 0:
            said = (done.stderr + done.stdout).strip()
            raise LabError(f"host {self.name}: `{command}` ended with status {done.returncode}: {said}")
        return done

    def boot_id(self) -> str:
        """The kernel's name for this boot; every boot has another."""
        return self.run("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    # power

    def is_on(self) -> bool:
        return bool(self._ask("describe")["running"])

    def boot(self) -> None:
        """Switch the host on and wait until it runs."""
        self._ask("boot")
        self.wait_until_running()

    def reboot(self) -> None:
        """Reboot from inside, as a person would, and wait until the next boot runs."""
        boots = self._ask("describe")["boots"]
        self.run("systemctl reboot", check=False)
        deadline = time.monotonic() + BOOT_SECONDS
        while self._ask("describe")["boots"] == boots:
            if time.monotonic() > deadline:
                raise LabError(f"host {self.name} did not go down to reboot within {BOOT_SECONDS:.0f} s")
            time.sleep(0.05)
        self.wait_until_running()

    def cut_power(self) -> None:
        """Kill the host with all its processes at once. Its disk stays; `boot` starts it again."""
        self._ask("cut_power")

    def wait_until_running(self, timeout: float = BOOT_SECONDS) -> None:
        """Wait until sshd answers and systemd says that everything has started."""
        deadline = time.monotonic() + timeout
        while True:
            state = self._ask("describe")
            if state["failure"]:
                raise LabError(f"host {self.name} could not be built: {state['failure']}")
            if not state["running"]:
                raise self._boot_error(f"ended with status {state['exit_status']} while it was to boot")
            match self._system_state(deadline - time.monotonic()):
                case "running":
                    return
                case "degraded":
                    failed = self.run("systemctl --failed --no-legend --plain", check=False).stdout
                    raise LabError(f"host {self.name} boots, but with failed units: {failed.strip()}")
            if time.monotonic() > deadline:
                raise self._boot_error(f"was not running within {timeout:.0f} s")
            time.sleep(0.1)

    def _system_state(self, patience: float) -> str:
        """What systemd says once it has started everything; another word while nobody answers."""
        with contextlib.suppress(LabError):
            return self.run(_SETTLED_STATE, check=False, timeout=max(patience, 1.0)).stdout.strip()
        return "no answer"

    def _boot_error(self, what: str) -> LabError:
        last_lines = "\n".join(self.console.splitlines()[-_CONSOLE_LINES_SHOWN:])
        return LabError(f"host {self.name} {what}; its console said last:\n{last_lines}")

    # network

    def cut_network(self) -> None:
        """An air gap: nothing gets from the host to the outside or back. The lab's own addresses stay in reach."""
        network.set_offline(self.link, True)

    def restore_network(self) -> None:
        network.set_offline(self.link, False)

    def cut_link(self) -> None:
        """Pull the cable: nothing reaches the host any more, ssh neither."""
        network.set_link_up(self.link, False)

    def restore_link(self) -> None:
        network.set_link_up(self.link, True)

    def slow_link(self, milliseconds: float) -> None:
        """Add ``milliseconds`` to every round trip between the host and anything else."""
        self._ask("slow_link", milliseconds=milliseconds)

    def normal_link(self) -> None:
        self._ask("normal_link")

    # the end

    def destroy(self) -> None:
        """Remove the host and all that belongs to it."""
        self._ask("destroy")

    def keep_disk(self, path: Path) -> None:
        """End the host, and keep what it has on its disk beyond its image: for `Lab.create(disks=[path])`."""
        self._ask("cut_power")
        self._ask("destroy", keep=str(path))
        if not path.exists():
            raise LabError(f"the disk of host {self.name} was not kept: see its supervisor's log")

    def _ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return control.request(self._folder.control, verb, **arguments)
