"""HAProxy's runtime socket: which servers get requests, which keys are valid."""

from __future__ import annotations

import contextlib
import csv
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from roles.contract.environment_file import parse_environment
from roles.contract.generation import Drain, Live
from roles.contract.holders import client_of, clients_of, holders, holders_in
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
    """The keys that HAProxy accepts, and their holders. It knows digests only."""

    def __init__(self, runtime: Path, live: Live) -> None:
        """Raises `HostError` if the gateway's own key is nowhere."""
        self._runtime = Runtime(runtime / live.socket)
        self._files, self._made = live.key_files, live.made_digests
        # Earlier versions have a list of digests, without holders.
        self._kind = "map" if live.made_digests else "acl"
        self._table = f"{self._kind} {runtime / live.keys}"
        self.variables = _variables(live.key_files)
        """Those of the environment files."""
        if live.key_variable not in self.variables:
            raise HostError(f"none of {', '.join(live.key_files)} has {live.key_variable}: run the deploy again")
        self._wanted = holders(self.variables, live.key_variable)

    @property
    def without_key(self) -> list[str]:
        """The clients that have no key yet, so that it must be made on the host."""
        have = {client_of(holder) for holder in self._wanted.values()}
        return [client for client in clients_of(self.variables) if client not in have]

    def let_in(self) -> None:
        """Accept the generation's keys from now on; earlier ones stay valid."""
        if known := self._known():
            for digest, holder in self._wanted.items():
                if digest not in known:
                    self._add(digest, holder)
                elif known[digest] not in ("", holder):
                    self._runtime.send(f"set {self._table} {digest} {holder}", f"change what it knows of {holder}")
        if self.without_key:
            say(f"no key yet: {', '.join(self.without_key)}; deploys/clients.py makes it, and shows it once")

    def let_nobody_else_in(self) -> None:
        """Refuse all other keys from now on, and forget those that were made for clients that are gone: should one of
        that name come again, it gets another key."""
        known = self._known()
        for digest in set(known) - set(self._wanted):
            self._remove(digest, known[digest])
        for file in Path(self._made).glob("*.env") if self._made else ():
            if str(file) not in self._files:
                file.unlink()

    def let_in_for(self, client: str, digest: str) -> None:
        """Accept one more key of a client."""
        self._add(digest, next(holder for holder in holders_in(self.variables) if client_of(holder) == client))

    def let_in_no_other_for(self, client: str, digest: str) -> None:
        """Refuse all other keys of a client."""
        for other, holder in self._known().items():
            if client_of(holder) == client and other != digest:
                self._remove(other, holder)

    def _add(self, digest: str, holder: str) -> None:
        value = f" {holder}" if self._kind == "map" else ""
        self._runtime.send(f"add {self._table} {digest}{value}", "let a new key in")
        say(f"a key of {client_of(holder)} is valid now")

    def _remove(self, digest: str, holder: str) -> None:
        self._runtime.send(f"del {self._table} {digest}", "forget a key")
        say(f"a key of {client_of(holder) or 'a client'} is no longer valid")

    def _known(self) -> dict[str, str]:
        """Digest → holder, which a list does not have; empty if HAProxy is not running. Each line of its answer is an
        entry's address, its key and its value."""
        lines = (line.split() for line in self._runtime.ask(f"show {self._table}").splitlines())
        return {line[1]: "".join(line[2:]) for line in lines if line and line[0].startswith("0x")}


def _variables(files: Sequence[str]) -> dict[str, str]:
    """As systemd reads environment files, any of which may be missing."""
    variables: dict[str, str] = {}
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            variables |= parse_environment(Path(file).read_text())
    return variables


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
