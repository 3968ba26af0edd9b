"""A gateway of one commit, rendered by that commit's code and started here as its unit files say."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from roles.contract.environment_file import parse_environment
from tests.bench.errors import BenchError

_PROGRAM = Path(__file__).with_name("generation.py")
_FRONT = "ai-backend-front.service"
_INSTANCES = tuple(f"litellm@{letter}.service" for letter in "abcdefgh")
_START_SECONDS = 120
_STOP_SECONDS = 10
_LIBC = ctypes.CDLL(None)


class Process:
    """A process with all that it starts, and the file that takes what it writes, as the journal does on a host."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, cores: set[int]) -> None:
        self.log = log
        with log.open("ab") as output:
            # In a session of its own, so that what it has started ends with it.
            self._process = subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"], **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def cpu_seconds(self) -> float:
        """User's and system's, of the process itself: by its CPU-time clock, as /proc counts in hundredths of a second.

        Raises:
            BenchError: it has ended.
        """
        clock = ctypes.c_int()
        if self._process.poll() is not None or _LIBC.clock_getcpuclockid(self._process.pid, ctypes.byref(clock)):
            raise BenchError(f"a process has ended; it said last:\n{self.end_of_log()}")
        return time.clock_gettime(clock.value)

    def end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def wait_until_ready(self, url: str) -> None:
        """Raises `BenchError` if it does not become ready."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
                return
            time.sleep(0.2)
        raise BenchError(f"{url} does not answer; the process said last:\n{self.end_of_log()}")

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)


class Gateway:
    """LiteLLM's instances and the front before them.

    Attributes:
        port: the endpoint's.
        key: a client's, or the gateway's own where its commit knows no clients.
    """

    def __init__(
        self, tree: Path, home: Path, port: int, server_port: int, environment: Path, instances: int = 1
    ) -> None:
        """Write its generation.

        Args:
            tree: the project's folder.
            home: a folder for its files, which is not there yet.
            server_port: where the stand-in listens.
            environment: LiteLLM's.

        Raises:
            BenchError: that commit's code does not do it.
        """
        self.port = port
        self.instances: list[Process] = []
        self.front: Process | None = None
        keys = {name: f"sk-{secrets.token_hex(16)}" for name in ("LITELLM_MASTER_KEY", "BENCH_KEY")}
        done = subprocess.run(
            [sys.executable, "-P", _PROGRAM, home, *map(str, (port, server_port, instances, environment))],
            env={**os.environ, **keys, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"the code in {tree} does not write a gateway:\n{done.stderr[-2000:]}")
        self._home = home
        self._config = home / ".config/ai-backend"
        self.key = keys["BENCH_KEY" if (self._config / "clients.json").exists() else "LITELLM_MASTER_KEY"]

    def start(self, instances: int = 1, cores: set[int] | None = None, front_cores: set[int] | None = None) -> None:
        """Start the front, and as many instances as are not there yet.

        Args:
            cores: those of the instances; none = all.
            front_cores: those of the front.
        """
        everywhere = os.sched_getaffinity(0)
        new = range(len(self.instances), instances)
        for number in new:
            self.instances.append(self._started(_INSTANCES[number], cores or everywhere))
        for number in new:
            self.instances[number].wait_until_ready(f"http://127.0.0.1:{self.port + 1 + number}/health/liveliness")
        if self.front:
            self.front.end()
        self.front = self._started(_FRONT, front_cores or everywhere, INSTANCES=str(instances))
        # HAProxy's own checks must have found the instances.
        self.front.wait_until_ready(f"http://127.0.0.1:{self.port}/health/liveliness")

    def processes(self) -> list[Process]:
        """The instances, then the front."""
        return [*self.instances, *([self.front] if self.front else [])]

    def logs(self) -> list[Path]:
        return sorted(self._home.glob("*.log"))

    def _started(self, unit: str, cores: set[int], **variables: str) -> Process:
        """By what the unit's file says; `variables` count instead of its own."""
        text = (self._config / "units" / unit).read_text().replace("\\\n", " ")
        runtime = self._home / "run" / unit
        runtime.mkdir(parents=True, exist_ok=True)
        environment = {"RUNTIME_DIRECTORY": str(runtime), "HOME": str(self._home)}
        for setting, value in re.findall(r"^(Environment|EnvironmentFile)=(.+)$", text, re.MULTILINE):
            if setting == "Environment":
                environment |= dict([shlex.split(value)[0].split("=", 1)])
            else:
                file = Path(value.removeprefix("-"))
                for each in file.parent.glob(file.name):
                    environment |= parse_environment(each.read_text())
        (command,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        log = self._home / f"{unit}.log"
        return Process(shlex.split(command), {**environment, **variables}, log, cores)

    def end(self) -> None:
        for process in reversed(self.processes()):
            process.end()


@contextlib.contextmanager
def stand_in(port: int, folder: Path, cores: set[int]) -> Iterator[None]:
    """The server behind the gateways, while the block runs."""
    command = [sys.executable, "-m", "tests.bench.requests.stand_in", str(port)]
    process = Process(command, {"PYTHONPATH": os.pathsep.join(sys.path)}, folder / "stand-in.log", cores)
    try:
        yield
    finally:
        process.end()
