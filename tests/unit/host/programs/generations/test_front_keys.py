"""The clients' keys that HAProxy is told of while it runs, against HAProxy's side of its socket."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract.activation import ActivationFile
from roles.contract.clients import MakeKeys
from roles.contract.environment_file import environment_text, parse_environment
from roles.contract.generation import ACTIVATION, ActivatedUnit, Live
from roles.contract.wire import written
from roles.host.programs.console import HostError
from roles.host.programs.generations.front import Keys
from roles.host.programs.generations.make_keys import main as make_keys
from roles.host.programs.systemd import Manager

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


class MapHaproxy(Haproxy):
    """A front of this version: its keys have holders."""

    def __init__(self, path: Path, **holders: str) -> None:
        super().__init__(path)
        self.map = {digest(f"sk-{key}"): holder.replace("_", ":") for key, holder in holders.items()}

    def _answer(self, verb: str, kind: str, table: str, key: str = "", value: str = "") -> str:
        assert kind == "map"
        if verb == "show":
            return "".join(f"0x55{number:x} {key} {value}\n" for number, (key, value) in enumerate(self.map.items()))
        self.told.append(f"{verb} {key} {value}".strip())
        # HAProxy takes a second entry of a key, and then goes on using the first.
        if (verb == "add") == (key in self.map):
            return "Key not found.\n"
        if verb == "del":
            del self.map[key]
        else:
            self.map[key] = value
        return "\n"


def holders_live(folder: Path) -> Live:
    """Of a front of this version: its own file, and that of the key that was made for Bob."""
    made = folder / "clients"
    return Live("s", "keys", (str(made / "bob.env"), str(folder / "given.env")), "KEY", "gateway", (), 30, str(made))


def test_clients_are_let_in_changed_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients/bob.env").write_text(environment_text({"CLIENT_KEY_bob": digest("sk-bob")}))
    (tmp_path / "clients/gone.env").write_text(environment_text({"CLIENT_KEY_gone": digest("sk-gone")}))
    (tmp_path / "given.env").write_text(
        environment_text({"KEY": "sk-m", "CLIENTS": "ada:0 bob:99 new:0", "CLIENT_KEY_ada": digest("sk-ada2")})
    )
    haproxy = MapHaproxy(tmp_path / "s", m="master_0", ada="ada_0", bob="bob_0", gone="gone_0")
    keys = Keys(tmp_path, holders_live(tmp_path))
    keys.let_in()
    assert haproxy.told == [f"add {digest('sk-ada2')} ada:0", f"set {digest('sk-bob')} bob:99"]
    keys.let_nobody_else_in()
    haproxy.close()
    assert haproxy.map == {
        digest("sk-m"): "master:0",
        digest("sk-bob"): "bob:99",
        digest("sk-ada2"): "ada:0",
    }
    assert sorted(path.name for path in (tmp_path / "clients").iterdir()) == ["bob.env"]
    said = capsys.readouterr().out
    assert "no key yet: new" in said
    assert "a key of gone is no longer valid" in said


def test_a_key_is_made_printed_once_and_kept_as_its_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given.env").write_text(environment_text({"KEY": "sk-m", "CLIENTS": "ada:0 bob:99"}))
    unit = ActivatedUnit(
        name="f.service", kind="server", digest="0", ready_url=None, done_file=None, timeout=1, stop_timeout=1,
        live=replace(
            holders_live(tmp_path),
            key_files=tuple(f"{tmp_path}/{name}" for name in ("clients/ada.env", "clients/bob.env", "given.env")),
        ),
    )  # fmt: skip
    (tmp_path / ACTIVATION).write_text(json.dumps(written(ActivationFile(units=(unit,)))))
    monkeypatch.setattr(Manager, "runtime", tmp_path)
    haproxy = MapHaproxy(tmp_path / "s", m="master_0")
    make_keys(MakeKeys(state=str(tmp_path), scope="system", config=str(tmp_path)))
    made = re.findall(r"^(\w+): (sk-\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in made] == ["ada", "bob"]
    assert {digest(key): name for name, key in made}.items() <= {
        key: holder.partition(":")[0] for key, holder in haproxy.map.items()
    }.items()
    file = tmp_path / "clients/bob.env"
    assert parse_environment(file.read_text()) == {"CLIENT_KEY_bob": digest(made[1][1])}
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    make_keys(MakeKeys(state=str(tmp_path), scope="system", config=str(tmp_path)))
    assert "sk-" not in capsys.readouterr().out
    haproxy.told.clear()
    make_keys(MakeKeys(state=str(tmp_path), scope="system", config=str(tmp_path), rotate="bob"))
    ((_, rotated),) = re.findall(r"^(\w+): (sk-\S+)$", capsys.readouterr().out, re.MULTILINE)
    # Never a moment without a valid key.
    assert haproxy.told == [f"add {digest(rotated)} bob:99", f"del {digest(made[1][1])}"]
    haproxy.close()
    with pytest.raises(HostError, match=r'no client "eve" is deployed here \(there are: ada, bob\)'):
        make_keys(MakeKeys(state=str(tmp_path), scope="system", config=str(tmp_path), rotate="eve"))


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
