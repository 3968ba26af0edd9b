"""HAProxy's runtime socket: which servers get requests, which keys are valid."""

from __future__ import annotations

import csv
import hashlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from roles.contract.environment_file import parse_environment
from roles.contract.generation import Drain, Live
from roles.host.programs.console import HostError, Progress, say

_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 10


class Runtime:
    """HAProxy's runtime socket. If HAProxy is not running, every answer is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str) -> str:
        """HAProxy's answer; empty if it is not running."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(str(self._path))
                connection.sendall(f"{command}\n".encode())
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            except (FileNotFoundError, ConnectionRefusedError):
                return ""
            except OSError as error:
                raise HostError(f"{self._path}: HAProxy does not answer: {error}") from None
        return answer.decode(errors="backslashreplace")

    def send(self, command: str, purpose: str) -> None:
        """Send a command that HAProxy answers with nothing on success.

        Raises:
            HostError: it refuses.
        """
        if refusal := self.ask(command).strip():
            raise HostError(f"HAProxy does not {purpose}: {refusal}")


class Keys:
    """The clients' keys that HAProxy accepts. It knows their digests only."""

    def __init__(self, runtime: Path, live: Live) -> None:
        self._runtime = Runtime(runtime / live.socket)
        self._list = runtime / live.keys
        key = _last_value(live.key_files, live.key_variable)
        if key is None:
            raise HostError(f"none of {', '.join(live.key_files)} has {live.key_variable}: run the deploy again")
        self._wanted = hashlib.sha256(key.encode()).hexdigest()

    def let_in(self) -> None:
        """Accept the generation's key from now on; earlier keys stay valid."""
        if (known := self._known()) and self._wanted not in known:
            self._runtime.send(f"add acl {self._list} {self._wanted}", "let the new key in")
            say("the new key is valid, and the one before still is")

    def let_nobody_else_in(self) -> None:
        old = [digest for digest in self._known() if digest != self._wanted]
        for digest in old:
            self._runtime.send(f"del acl {self._list} {digest}", "forget the key before")
        if old:
            say("the previous key is no longer valid")

    def _known(self) -> list[str]:
        """Each line is an entry's number and its content."""
        return [line.split()[1] for line in self._runtime.ask(f"show acl {self._list}").splitlines() if line.strip()]


def _last_value(files: Sequence[str], variable: str) -> str | None:
    """As systemd reads it from environment files, any of which may be missing."""
    value = None
    for file in files:
        try:
            text = Path(file).read_text()
        except FileNotFoundError:
            continue
        value = parse_environment(text).get(variable, value)
    return value


class Server:
    """One server of a backend. If HAProxy is not running, there are no requests to drain or to send."""

    def __init__(self, runtime: Path, drain: Drain) -> None:
        self._runtime = Runtime(runtime / drain.socket)
        self._backend, self._name, self._timeout = drain.backend, drain.server, drain.timeout

    def relieve(self) -> bool:
        """Send new requests to the other servers, or answer 503 if there are none. Wait until the requests under way
        have ended, or until the timeout.

        LiteLLM also finishes its requests by itself, but that is not enough. 16 clients sent requests without a pause
        while deploys changed LiteLLM's `cooldown`: 2 of 8,600 requests were lost without draining, and none of 17,000
        with it (on two cores). The lost ones were likely connections that the kernel had accepted for an instance that
        no longer read them. So an only instance is drained too: at a change of the only one, one of 541 requests was
        cut without it.

        Returns False if HAProxy is not running.
        """
        if not self._rows():
            return False
        self._set_state("drain")
        deadline = time.monotonic() + self._timeout
        with Progress(f"{self._name}: requests under way", lambda: str(self._under_way())):
            while (left := self._under_way()) > 0:
                if time.monotonic() > deadline:
                    say(f"{self._name}: {left} requests did not end within {self._timeout} s and are cut")
                    break
                time.sleep(_POLL_SECONDS)
        return True

    def give_work(self) -> None:
        if self._rows():
            self._set_state("ready")

    def give_no_work(self) -> None:
        """Send no requests, and run no health checks: it no longer exists."""
        if self._rows():
            self._set_state("maint")

    def await_work(self, timeout: float) -> None:
        """Wait until HAProxy's own check sees that it answers.

        Raises:
            HostError: HAProxy does not see it within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (row := self._row()) and not row["status"].startswith("UP"):
            if time.monotonic() > deadline:
                raise HostError(f"{self._name} answers, but HAProxy gives it no requests: it calls it {row['status']}")
            time.sleep(_POLL_SECONDS)

    def _under_way(self) -> int:
        row = self._row()
        return int(row["scur"] or 0) if row else 0

    def _row(self) -> dict[str, str] | None:
        return next((row for row in self._rows() if row["svname"] == self._name), None)

    def _rows(self) -> list[dict[str, str]]:
        """HAProxy's statistics of each server of the backend; empty if it is not running."""
        table = self._runtime.ask(f"show stat {self._backend} 4 -1").removeprefix("# ")  # 4: servers, -1: all of them
        return list(csv.DictReader(table.strip().splitlines()))

    def _set_state(self, state: str) -> None:
        target = f"{self._backend}/{self._name}"
        self._runtime.send(f"set server {target} state {state}", f"set {target} to {state}")
