"""A server behind HAProxy: taken out of work and given work again, through HAProxy's runtime socket."""

from __future__ import annotations

import csv
import socket
import time
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError, Progress, say

_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 10


class Server:
    """One server of a backend. Where HAProxy does not run, there is no work to be taken or given."""

    def __init__(self, runtime: Path, drain: dict[str, Any]) -> None:
        self._socket = runtime / drain["socket"]
        self._backend, self._name, self._timeout = drain["backend"], drain["server"], drain["timeout"]

    def relieve(self) -> bool:
        """New requests go to the other servers; wait until those under way have ended, or their time is over.

        LiteLLM ends what it has begun by itself, which is not enough: asked by 16 clients without a pause while deploys
        changed its `cooldown`, 2 of 8,600 requests were lost without this, and none of 17,000 with it (on two cores).
        Likely those that the kernel had taken for an instance which did not read them any more.

        Gives False, and does nothing, where no other server could take its work.
        """
        if not any(row["status"].startswith("UP") for row in self._rows() if row["svname"] != self._name):
            return False
        self._tell("drain")
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
            self._tell("ready")

    def await_work(self, timeout: float) -> None:
        """Wait until HAProxy itself has seen that it answers.

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
        """What HAProxy tells of each server of the backend; empty where it does not run."""
        table = self._ask(f"show stat {self._backend} 4 -1").removeprefix("# ")  # 4: servers, -1: all of them
        return list(csv.DictReader(table.strip().splitlines()))

    def _tell(self, state: str) -> None:
        refusal = self._ask(f"set server {self._backend}/{self._name} state {state}").strip()
        if refusal:
            raise HostError(f"HAProxy does not set {self._backend}/{self._name} to {state}: {refusal}")

    def _ask(self, command: str) -> str:
        """HAProxy's answer; empty where it does not run."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(str(self._socket))
                connection.sendall(f"{command}\n".encode())
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            except (FileNotFoundError, ConnectionRefusedError):
                return ""
            except OSError as error:
                raise HostError(f"{self._socket}: HAProxy does not answer: {error}") from None
        return answer.decode(errors="backslashreplace")
