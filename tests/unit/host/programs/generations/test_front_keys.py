"""The clients' keys that HAProxy is told of while it runs, against HAProxy's side of its socket."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.contract.environment_file import environment_text
from roles.contract.generation import Live
from roles.host.programs.console import HostError
from roles.host.programs.generations.front import Keys

AWKWARD = {
    "all kinds of signs": 'sk-"a$b`c\\d%e,f;g&h=i#j',
    "plain": "sk-plain",
    "spaces": "sk- with spaces ",
    "quoted": "sk-'quoted'",
    "a backslash at the end": "sk-\\",
    "not ASCII": "sk-ümläut",
    "a quote at the end": 'sk-"',
}


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Haproxy:
    """A list of keys behind a socket, as HAProxy has it: one command a connection."""

    def __init__(self, path: Path, *keys: str) -> None:
        self.known = [digest(key) for key in keys]
        self.told: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._answer(*connection.recv(4096).decode().split()).encode())

    def _answer(self, verb: str, _: str, __: str, key: str = "") -> str:
        if verb == "show":
            return "".join(f"0x55{number:x} {key}\n" for number, key in enumerate(self.known)) + "\n"
        self.told.append(f"{verb} {key}")
        if verb == "add":
            self.known.append(key)
        else:
            self.known.remove(key)
        return "\n"

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Haproxy]:
    server = Haproxy(tmp_path / "s", "sk-before")
    yield server
    server.close()


def live(folder: Path, *files: Path) -> Live:
    return Live("s", "keys", tuple(map(str, files)), "KEY", "gateway", (), 30)


def test_the_new_key_is_let_in_before_the_one_before_is_forgotten(tmp_path: Path, haproxy: Haproxy) -> None:
    file = tmp_path / "given.env"
    file.write_text(environment_text({"INSTANCES": "2", "KEY": "sk-after"}))
    keys = Keys(tmp_path, live(tmp_path, file))
    keys.let_in()
    assert haproxy.known == [digest("sk-before"), digest("sk-after")]
    keys.let_nobody_else_in()
    assert haproxy.known == [digest("sk-after")]
    assert haproxy.told == [f"add {digest('sk-after')}", f"del {digest('sk-before')}"]


def test_where_the_key_is_the_same_nothing_is_told(tmp_path: Path, haproxy: Haproxy) -> None:
    file = tmp_path / "given.env"
    file.write_text('KEY="sk-before"\n')
    keys = Keys(tmp_path, live(tmp_path, file))
    keys.let_in()
    keys.let_nobody_else_in()
    assert haproxy.told == []


@pytest.mark.parametrize("key", AWKWARD.values(), ids=AWKWARD)
def test_a_key_is_read_as_systemd_reads_it(tmp_path: Path, haproxy: Haproxy, key: str) -> None:
    file = tmp_path / "given.env"
    file.write_text(environment_text({"A": 'x" KEY="y', "KEY": key, "Z": "1"}))
    Keys(tmp_path, live(tmp_path, file)).let_in()
    assert haproxy.known[-1] == digest(key)


def test_of_two_files_the_last_that_holds_it_counts_and_any_may_be_missing(tmp_path: Path, haproxy: Haproxy) -> None:
    made, given = tmp_path / "made.env", tmp_path / "given.env"
    made.write_text('KEY="sk-made"\n')
    Keys(tmp_path, live(tmp_path, made, given)).let_in()
    assert haproxy.known[-1] == digest("sk-made")
    given.write_text('INSTANCES="1"\n')
    Keys(tmp_path, live(tmp_path, made, given)).let_in()
    assert len(haproxy.known) == 2
    given.write_text('KEY="sk-given"\n')
    Keys(tmp_path, live(tmp_path, made, given)).let_in()
    assert haproxy.known[-1] == digest("sk-given")


def test_without_a_key_it_is_told_and_nobody_is_let_in(tmp_path: Path, haproxy: Haproxy) -> None:
    with pytest.raises(HostError, match=r"none of .*/none\.env has KEY: run the deploy again"):
        Keys(tmp_path, live(tmp_path, tmp_path / "none.env"))
    assert haproxy.told == []


def test_where_haproxy_does_not_run_its_next_start_reads_the_key(tmp_path: Path) -> None:
    file = tmp_path / "given.env"
    file.write_text('KEY="sk-after"\n')
    keys = Keys(tmp_path, live(tmp_path, file))
    keys.let_in()
    keys.let_nobody_else_in()
