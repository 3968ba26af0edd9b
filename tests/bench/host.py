"""A throwaway host to measure on: each run's seconds here, and the SSH channels that the host saw opened."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.errors import BenchError
from tests.labhost import Lab, LabError, LabHost
from tests.labhost.paths import REPOSITORY

_PROGRAMS = Path(sys.executable).parent
_ANSIBLE = Path(__file__).with_name("ansible")
_LINES_SHOWN = 25

# sshd logs "Starting session: …" for each channel that runs a command, a shell or a subsystem, whatever the client and
# however many channels share a connection. A restart, and no reload, as that waits until sshd listens again.
_LOG_SESSIONS = "echo LogLevel VERBOSE > /etc/ssh/sshd_config.d/bench.conf && systemctl restart ssh"
# By identifier, and not by unit: a session's process, which logs the line, may lie in a scope of its own by then.
_COUNT_SESSIONS = (
    "journalctl --sync && journalctl --quiet --identifier sshd --grep '^Starting session: ' --output cat | wc -l"
)
# Ansible's apt module needs it on the host, and would install it in its first run.
_FOR_ANSIBLE = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-apt"


@dataclass(frozen=True)
class Run:
    """The figures of one run; `changed` counts operations (pyinfra) or tasks (Ansible)."""

    seconds: float
    channels: int
    changed: int


class BenchHost:
    """A lab host whose sshd logs every session."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        host.run(_LOG_SESSIONS)

    def set_round_trip(self, milliseconds: int) -> None:
        """What every round trip costs more than it does by itself."""
        if milliseconds:
            self.host.slow_link(milliseconds)
        else:
            self.host.normal_link()

    def release(self) -> str:
        """The system under test, in words."""
        return self.host.run('. /etc/os-release; echo "$PRETTY_NAME, $(cat /etc/debian_version)"').stdout.strip()

    def prepare_for_ansible(self) -> None:
        self.host.run(_FOR_ANSIBLE, timeout=300)

    def connect(self) -> Run:
        """The least that anything over SSH can cost: a connection of its own, and `true`."""
        return self._measure(self.host.ssh_command("true"), {}, lambda _: 0)

    def deploy(self, inventory: str = "tests/lab/small.py", **variables: str) -> Run:
        """`deploys/full.py` with that inventory; `variables` are what it reads from its environment."""
        environment = {"LAB_HOST": self.host.name, **variables}
        command = [str(_PROGRAMS / "pyinfra"), "-y", inventory, "deploys/full.py"]
        return self._measure(command, environment, _changed_operations)

    def play(self, variables: Path) -> Run:
        """The playbook with these variables. Ansible keeps its connection from one call to the next."""
        command = [
            str(_PROGRAMS / "ansible-playbook"), str(_ANSIBLE / "playbook.yml"), "--inventory", f"{self.host.name},",
            "--ssh-common-args", f"-F {self.host.ssh_config}", "--extra-vars", f"plan={variables}",
        ]  # fmt: skip
        environment = {
            "ANSIBLE_CONFIG": str(_ANSIBLE / "ansible.cfg"),
            "ANSIBLE_HOME": str(variables.parent),
            "LC_ALL": "C.UTF-8",  # Ansible refuses any other character set
        }
        return self._measure(command, environment, _changed_tasks)

    def _measure(self, command: Sequence[str], environment: Mapping[str, str], changed: Callable[[str], int]) -> Run:
        """Run a command. `changed` reads from its output what it changed.

        Raises:
            BenchError: it failed.
        """
        before = self._sessions()
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise BenchError(
                f"`{shlex.join(command)}` ended with status {done.returncode}; it said last:\n{_end_of(done.stdout)}"
            )
        # The session that counts has counted itself.
        return Run(seconds, self._sessions() - before - 1, changed(done.stdout))

    def _sessions(self) -> int:
        return int(self.host.run(_COUNT_SESSIONS).stdout)


@contextlib.contextmanager
def new_host(lab: Lab, name: str) -> Iterator[BenchHost]:
    """A host that is there while the block runs."""
    host = lab.create(f"bench-{name}-{os.getpid()}", owner=os.getpid())
    try:
        yield BenchHost(host)
    finally:
        with contextlib.suppress(LabError):  # a slow end; at the latest it goes with this process
            host.destroy()


def _changed_operations(said: str) -> int:
    """From pyinfra's table of results: hosts, success (= changed), error, no change; `-` for 0."""
    changed = _find(r"Grand total +\d+ +(\d+|-) +- +[\d-]+", said)
    return 0 if changed == "-" else int(changed)


def _changed_tasks(said: str) -> int:
    """From Ansible's recap."""
    return int(_find(r"changed=(\d+) +unreachable=0 +failed=0", said))


def _find(pattern: str, said: str) -> str:
    if (found := re.search(pattern, said)) is None:
        raise BenchError(f"no figures (/{pattern}/) in what a run said last:\n{_end_of(said)}")
    return found[1]


def _end_of(said: str) -> str:
    return "\n".join(said.splitlines()[-_LINES_SHOWN:])
