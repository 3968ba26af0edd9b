"""The parts of the lab that need no root: names, owners, locks, requests, certificates, packages."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.labhost import LabError, control, guest
from tests.labhost.__main__ import main
from tests.labhost.image import base_image
from tests.labhost.network import Link, Subnet
from tests.labhost.paths import FOLDER_VARIABLE, LabFolders, locked, write_atomically
from tests.labhost.programs import missing, run_program
from tests.labhost.spec import HostSpec, Live, Owner
from tests.labhost.trust import add_machine_authorities, certificates


def certificate(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----"


@pytest.fixture
def folders(tmp_path: Path) -> LabFolders:
    return LabFolders(tmp_path)


# what a host is


@pytest.mark.parametrize("name", ["", "9lives", "Demo", "a_b", "-a", "a" * 32, "../up"])
def test_a_name_that_could_be_no_host_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a host"):
        HostSpec(name=name, release="bookworm", image="/image")


def test_a_spec_reads_back_as_written(folders: LabFolders) -> None:
    folders.host("demo").path.mkdir(parents=True)
    spec = HostSpec("demo", "trixie", "/image", ["/disk"], True, {"/a": "/b"}, {"/c": "/d"}, {"/e": "8M"}, Owner(1, 2))
    spec.save(folders.host("demo"))
    assert HostSpec.load(folders.host("demo")) == spec


def test_live_state_reads_back_as_written(folders: LabFolders) -> None:
    folder = folders.host("demo")
    folder.path.mkdir(parents=True)
    assert Live.load(folder) is None
    live = Live(Link(Subnet(0), 10, "lab-demo"), ("/group",))
    live.save(folder)
    assert Live.load(folder) == live


def test_an_owner_lives_until_its_process_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = Owner.of(process.pid)
        assert owner.lives()
        assert not Owner(owner.pid, owner.started + 1).lives(), "a later process with that number"
    assert not owner.lives()
    with pytest.raises(LabError, match="is there to own a host"):
        Owner.of(owner.pid)


# files


def test_the_folder_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert LabFolders.from_environment().root == tmp_path
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert LabFolders.from_environment().root == Path.home() / ".cache/ai-backend-lab"


def test_writing_replaces_in_one_step_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old", mode=0o600)
    write_atomically(path, "new", mode=0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with locked(tmp_path / "lock"):
            entered.set()

    with locked(tmp_path / "lock"):
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.1)
    other.join(5)
    assert entered.is_set()


# the supervisor's socket


def test_a_request_gets_its_reply_and_an_error_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "control"

    def answer(count: int) -> None:
        for _ in range(count):
            connection, _ = server.accept()
            with closing(connection):
                request = control.receive(connection)
                if request is not None and request["verb"] == "boot":
                    control.reply(connection, heard=request)
                else:
                    control.reply(connection, error="cannot do that")

    with closing(control.listen(path)) as server:
        thread = threading.Thread(target=answer, args=(2,))
        thread.start()
        assert control.request(path, "boot", fast=True) == {"heard": {"verb": "boot", "fast": True}}
        with pytest.raises(LabError, match="cannot do that"):
            control.request(path, "fly")
        thread.join(5)
        assert control.is_alive(path)


def test_a_dead_supervisor_is_seen_to_be_dead(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "control"
    path.parent.mkdir()
    control.listen(path).close()
    assert not control.is_alive(path)
    with pytest.raises(LabError, match="host demo has no living supervisor to boot it"):
        control.request(path, "boot")


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="set AI_BACKEND_LAB_DIR to a shorter folder"):
        control.listen(tmp_path / ("x" * 108))


# images and guests


def test_only_the_authorities_that_a_root_lacks_are_added(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.write_text("\n".join(map(certificate, ["common", "proxy"])))
    known = tmp_path / "root/etc/ssl/certs/ca-certificates.crt"
    known.parent.mkdir(parents=True)
    known.write_text(certificate("common"))
    assert add_machine_authorities(tmp_path / "root", bundle) == 1
    added = list((tmp_path / "root/usr/local/share/ca-certificates").iterdir())
    assert [certificates(path) for path in added] == [[certificate("proxy")]]


def test_a_machine_without_a_bundle_adds_nothing(tmp_path: Path) -> None:
    assert add_machine_authorities(tmp_path, tmp_path / "none") == 0


def test_an_unknown_release_is_refused(folders: LabFolders) -> None:
    with pytest.raises(LabError, match=r"no such release: 'sarge'; the lab knows bookworm and trixie"):
        base_image(folders, "sarge")


def test_a_host_does_not_get_the_stub_resolver(tmp_path: Path) -> None:
    usual, behind = tmp_path / "usual", tmp_path / "behind"
    usual.write_text("nameserver 127.0.0.53\n")
    assert guest.resolvers(usual, behind) == "nameserver 127.0.0.53\n"
    behind.write_text("nameserver 192.0.2.53\n")
    assert guest.resolvers(usual, behind) == "nameserver 192.0.2.53\n"
    usual.write_text("nameserver 192.0.2.1\n")
    assert guest.resolvers(usual, behind) == "nameserver 192.0.2.1\n"


def test_packages_pass_from_host_to_host(tmp_path: Path) -> None:
    cache, first, second = tmp_path / "cache", tmp_path / "first", tmp_path / "second"
    guest.lend_packages(cache, first)
    archives = Path("var/cache/apt/archives")
    (first / archives / "hello.deb").write_text("package")
    guest.collect_packages(cache, first)
    guest.collect_packages(cache, first)
    guest.lend_packages(cache, second)
    assert (second / archives / "hello.deb").read_text() == "package"


# errors


def test_a_missing_program_is_named_with_its_package() -> None:
    assert missing(["systemd-nspawn", "nft"]).endswith("apt-get install nftables systemd-container")
    with pytest.raises(LabError, match="no-such-program not found on this machine"):
        run_program("no-such-program")


def test_a_failing_program_is_quoted() -> None:
    with pytest.raises(LabError, match=r"`sh -c echo oops >&2; exit 3` failed with status 3: oops"):
        run_program("sh", "-c", "echo oops >&2; exit 3")


def test_the_command_line_prints_one_message_and_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert main(["ssh", "nobody"]) == 1
    assert capsys.readouterr().err == (
        "lab: there is no lab host 'nobody'; `python -m tests.labhost list` shows those there are\n"
    )


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch, folders: LabFolders) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root: run it with sudo"):
        base_image(folders, "bookworm")
