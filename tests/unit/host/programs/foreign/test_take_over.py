"""Moving others' things aside and giving them back whole, wherever a run is killed: on folders as on a host."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.generation import ACTIVATION
from roles.contract.requests import GoForward
from roles.host.programs.console import HostError
from roles.host.programs.foreign import take_over
from roles.host.programs.foreign.folders import foreign_folders
from roles.host.programs.foreign.moves import move
from roles.host.programs.foreign.records import records, write_record
from roles.host.programs.foreign.units import foreign_units
from roles.host.programs.generations import forward
from roles.host.programs.generations.activate import activate
from roles.host.programs.generations.kept import events
from roles.host.programs.generations.leave import leave
from roles.host.programs.generations.record import KEPT_EVENTS, note
from roles.host.programs.systemd import Manager

OTHER = "page.service"


class Killed(BaseException):
    """As SIGKILL: nothing handles it."""


@dataclass(frozen=True)
class Host:
    """Folders as they lie on a host, and a stand-in for its systemd."""

    root: Path

    @property
    def units(self) -> Path:
        return self.root / "etc/systemd/system"

    def request(self, *names: str, folder: str = "new", **more: Any) -> GoForward:
        return GoForward(
            scope="system",
            state=str(self.root / "state"),
            config=str(self.root / "etc/ai-backend"),
            generations=str(self.root / "etc/generations"),
            units_folder=str(self.units),
            wanted_by="multi-user.target",
            found=None,
            who="alice@desk",
            taken_over=str(self.root / "etc/taken-over"),
            folder=str(self.root / "etc/generations" / folder),
            by_hand=False,
            take_over=names,
            **more,
        )

    def running(self) -> set[str]:
        return {path.name for path in (self.root / "stand-in/active").iterdir()}

    def generation(self, name: str, *units: str) -> Path:
        folder = self.root / "etc/generations" / name
        folder.mkdir(parents=True)
        given = ", ".join(
            f'{{"name": "{unit}", "kind": "triggered", "digest": "d", "ready_url": null, "done_file": null, '
            '"timeout": 1, "stop_timeout": 1}'
            for unit in units
        )
        (folder / ACTIVATION).write_text(f'{{"units": [{given}]}}')
        return folder

    def look(self) -> dict[str, object]:
        """Everything of others, with what belongs to it."""
        found: dict[str, object] = {}
        places = [self.units, self.root / "run/systemd/system", self.root / "etc/ai-backend"]
        for place in places:
            for path in sorted(place.rglob("*")):
                status = path.lstat()
                kind = stat.S_IFMT(status.st_mode)
                content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
                times = status.st_mtime_ns if path.parent not in places or kind != stat.S_IFDIR else 0
                found[str(path)] = (kind, stat.S_IMODE(status.st_mode), status.st_uid, times, content)
        # A folder's own time is that of its last entry: of the places themselves it changes.
        return {path: each for path, each in found.items() if not path.endswith(".wants")}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    run, package = tmp_path / "run/systemd/system", tmp_path / "usr/lib/systemd/system"
    for folder in (host.units, run, package, tmp_path / "state", tmp_path / "bin", tmp_path / "stand-in/active"):
        folder.mkdir(parents=True)
    (tmp_path / "bin/systemctl").symlink_to(Path(__file__).with_name("systemctl.sh"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(tmp_path / "stand-in"))
    monkeypatch.setenv("UNIT_PATH", f"{host.units} {run} {package}")
    unit = host.units / "ollama.service"
    unit.write_text("[Service]\nExecStart=/usr/local/bin/ollama serve\n")
    unit.chmod(0o640)
    for folder, name in ((host.units, "override.conf"), (run, "now.conf")):
        drop_ins = folder / "ollama.service.d"
        drop_ins.mkdir(mode=0o750)
        (drop_ins / name).write_text(f"# {name}\n")
        os.utime(drop_ins, ns=(10**18, 10**18 + 5))
    os.utime(unit, ns=(10**18, 10**18 + 7))
    wants = host.units / "default.target.wants"
    wants.mkdir()
    (wants / "ollama.service").symlink_to(unit)
    (host.units / "also.service").symlink_to("ollama.service")
    (host.units / OTHER).write_text("[Service]\n")
    (wants / OTHER).symlink_to(host.units / OTHER)
    config = tmp_path / "etc/ai-backend"
    config.mkdir(mode=0o700)
    (config / "config.yaml").write_text("other: yes\n")
    for name in ("ollama.service", OTHER):
        (tmp_path / "stand-in/active" / name).touch()
    host.generation("new", "ollama.service")
    return host


def taken_over(host: Host, *names: str, folder: str = "new") -> None:
    take_over.take_over(host.request(*names, folder=folder), ["ollama.service"])


def test_everything_of_a_unit_is_moved_and_comes_back_whole(host: Host) -> None:
    before = host.look()
    taken_over(host, "ollama.service")
    assert not [path for path in host.look() if "ollama" in path or "also" in path]
    assert host.running() == {OTHER}
    kept = host.root / "etc/taken-over"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert take_over.give_back(host.request()) == []
    assert host.look() == before
    assert host.running() == {"ollama.service", OTHER}
    assert [*kept.iterdir()] == []


def test_of_another_unit_only_what_starts_it_is_moved(host: Host) -> None:
    before = host.look()
    taken_over(host, OTHER)
    assert {*before} - {*host.look()} == {str(host.units / "default.target.wants" / OTHER)}
    assert host.running() == {"ollama.service"}
    take_over.give_back(host.request())
    assert host.look() == before
    assert OTHER in host.running()


def test_a_mask_is_a_link_that_comes_back(host: Host) -> None:
    mask = host.units / "vllm@a.service"
    mask.symlink_to("/dev/null")
    take_over.take_over(host.request("vllm@a.service"), ["vllm@a.service"])
    assert not os.path.lexists(mask)
    take_over.give_back(host.request())
    assert mask.readlink() == Path("/dev/null")
    assert "vllm@a.service" not in host.running()


def test_what_did_not_run_is_not_started(host: Host) -> None:
    (host.root / "stand-in/active/ollama.service").unlink()
    taken_over(host, "ollama.service")
    take_over.give_back(host.request())
    assert "ollama.service" not in host.running()


def steps(monkeypatch: pytest.MonkeyPatch, dies_at: int) -> Iterator[None]:
    """Whatever changes something on the disk or in systemd dies at that step, just before or just after it."""
    count = 0

    def dying(call: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == dies_at:
                raise Killed
            done = call(*arguments, **options)
            count += 1
            if count == dies_at:
                raise Killed
            return done

        return step

    with monkeypatch.context() as patched:
        for owner, name in ((Path, "rename"), (Manager, "call"), (shutil, "copyfile"), (Path, "unlink")):
            patched.setattr(owner, name, dying(getattr(owner, name)))
        yield


@pytest.mark.parametrize("across", [False, True], ids=["one file system", "two file systems"])
def test_wherever_it_is_killed_nothing_is_lost_and_the_next_run_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch, across: bool
) -> None:
    if across:
        rename = Path.rename

        def refuse(self: Path, target: Path) -> Path:
            if ("/files/" in str(self)) != ("/files/" in str(target)):
                raise OSError(18, "Invalid cross-device link")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", refuse)
        monkeypatch.setattr("os.sync", lambda: None)
    before, dies_at, whole = host.look(), 0, 0
    while whole < 2:
        dies_at += 1
        whole = 0
        for act in (lambda: taken_over(host, "ollama.service"), lambda: take_over.give_back(host.request())):
            for _ in steps(monkeypatch, dies_at):
                try:
                    act()
                    whole += 1
                except Killed:
                    pass
            act()
        assert host.look() == before, dies_at
        assert host.running() == {"ollama.service", OTHER}, dies_at
    assert dies_at > 15
    assert [*host.root.rglob("etc/**/.*"), *host.root.rglob("run/**/.*")] == []


def test_something_new_in_the_old_place_is_not_replaced_and_the_old_one_is_kept(host: Host) -> None:
    taken_over(host, "ollama.service")
    (host.units / "ollama.service").write_text("newer")
    (problem,) = take_over.give_back(host.request())
    assert f"there is something else at {host.units / 'ollama.service'}: move that away" in problem
    assert f"it is kept in {host.root / 'etc/taken-over/ollama.service'}" in problem
    assert (host.units / "ollama.service").read_text() == "newer"
    taken_over(host, "ollama.service")
    assert [folder.name for folder, _ in records(host.request().taken_over)] == ["ollama.service", "ollama.service-2"]


def test_a_generation_replaces_nothing_of_others(host: Host) -> None:
    before = host.look()
    with pytest.raises(HostError, match=r"ollama\.service, .*/etc/ai-backend came from somebody else"):
        activate(host.request(), host.root / "etc/generations/new")
    assert host.look() == before


def test_what_the_active_generation_uses_stays_aside_and_the_rest_comes_back(host: Host) -> None:
    config = str(host.root / "etc/ai-backend")
    state = str(host.root / "state")
    host.generation("old")
    note(state, "activated", "old", "alice@desk")
    taken_over(host, config, folder="old")
    note(state, "activated", "new", "alice@desk")
    taken_over(host, OTHER, "ollama.service")
    new, old = (host.root / "etc/generations" / name for name in ("new", "old"))
    take_over.give_back(host.request(), to=new)
    assert len(records(host.request().taken_over)) == 3
    take_over.give_back(host.request(), to=old)
    assert [record.name for _, record in records(host.request().taken_over)] == [config]
    assert host.running() == {"ollama.service", OTHER}


def test_what_was_in_the_way_stays_aside_when_the_history_no_longer_knows_its_deploy(host: Host) -> None:
    """A history keeps 200 events: a few days of a host that is deployed to often."""
    state = str(host.root / "state")
    host.generation("old")
    note(state, "activated", "old", "alice@desk")
    taken_over(host, OTHER)
    note(state, "activated", "new", "alice@desk")
    between, old = host.generation("between"), host.root / "etc/generations/old"
    for _ in range(KEPT_EVENTS):
        note(state, "activated", "between", "alice@desk")
    take_over.give_back(host.request(), to=between)
    assert [record.name for _, record in records(host.request().taken_over)] == [OTHER]
    assert OTHER not in host.running()
    take_over.give_back(host.request(), to=old)
    assert records(host.request().taken_over) == []
    assert OTHER in host.running()


def test_what_was_in_the_way_stays_aside_for_an_older_generation_that_is_deployed_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "activate", lambda request, folder: None)
    old = host.generation("old")
    taken_over(host, OTHER)
    forward.main(host.request(folder="old"))
    take_over.give_back(host.request(), to=old)
    assert [record.name for _, record in records(host.request().taken_over)] == [OTHER]


def test_a_record_of_a_version_that_did_not_say_what_was_before_is_judged_by_the_history(host: Host) -> None:
    state = str(host.root / "state")
    old = host.generation("old")
    note(state, "activated", "old", "alice@desk")
    taken_over(host, OTHER)
    note(state, "activated", "new", "alice@desk")
    ((folder, record),) = records(host.request().taken_over)
    write_record(folder, replace(record, earlier=None))
    take_over.give_back(host.request(), to=host.root / "etc/generations/new")
    assert len(records(host.request().taken_over)) == 1
    take_over.give_back(host.request(), to=old)
    assert records(host.request().taken_over) == []


def test_a_rollback_after_which_not_all_is_given_back_is_in_the_history(host: Host) -> None:
    state, config = str(host.root / "state"), str(host.root / "etc/ai-backend")
    taken_over(host, config)
    host.generation("old")
    note(state, "activated", "old", "alice@desk")
    taken_over(host, "ollama.service", folder="new")
    note(state, "activated", "new", "alice@desk")
    (host.units / "ollama.service").write_text("newer")
    with pytest.raises(HostError, match="generation old is active, and not all is as before it"):
        forward.main(replace(host.request(folder="old"), by_hand=True))
    assert [event["event"] for event in events(state)] == ["activated", "activated", "rolled back"]


def test_leaving_takes_our_links_away_before_it_gives_back(host: Host) -> None:
    before = host.look()
    request = host.request(str(host.root / "etc/ai-backend"), "ollama.service")
    taken_over(host, *request.take_over)
    activate(request, host.root / "etc/generations/new")
    assert (host.root / "etc/ai-backend").is_symlink()
    assert leave(request, why="as somebody says") == []
    assert host.look() == before
    assert host.running() == {"ollama.service", OTHER}
    (event,) = events(request.state)
    assert (event["event"], event["generation"], event["from"]) == ("rolled back", "none", "new")


def test_what_is_ours_is_not_found_and_what_is_not_is(host: Host) -> None:
    config = host.root / "etc/ai-backend"
    shutil.rmtree(config)
    names = ["ollama.service", "vllm@a.service", "ai-backend-front.service"]
    (host.units / "vllm@a.service").symlink_to(config / "units/vllm@a.service")
    shared = host.units / "ai-backend-.service.d"
    shared.mkdir()
    (shared / "all.conf").write_text("")
    found = {unit.name: unit for unit in foreign_units(Manager("system"), names, host.units, config)}
    assert found.keys() == {"ollama.service", "ai-backend-front.service"}
    ollama = found["ollama.service"]
    assert [file.path for file in ollama.files] == [str(host.units / "ollama.service")]
    assert [Path(file.path).name for file in ollama.drop_ins] == ["override.conf", "now.conf"]
    assert (ollama.active, ollama.enabled) == (True, True)
    template = host.root / "usr/lib/systemd/system/vllm@.service.d"
    template.mkdir()
    (template / "x.conf").write_text("")
    (host.root / "usr/lib/systemd/system/vllm@a.service").write_text("below ours")
    (vllm,) = (unit for unit in foreign_units(Manager("system"), names, host.units, config) if "vllm" in unit.name)
    assert vllm.files == ()
    assert [file.path for file in vllm.drop_ins] == [str(template / "x.conf")]


def test_what_we_started_is_ours_although_its_link_is_gone(host: Host) -> None:
    """`systemctl disable` removes the link of a unit whose file lies elsewhere, and its process goes on."""
    (host.root / "stand-in/active/litellm@a.service").touch()
    config = host.root / "etc/ai-backend"

    def found(running: list[str]) -> list[str]:
        names = ["litellm@a.service"]
        return [unit.name for unit in foreign_units(Manager("system"), names, host.units, config, running)]

    assert found(["litellm@a.service"]) == []
    assert found([]) == ["litellm@a.service"]
    (host.units / "litellm@a.service").write_text("[Service]")
    assert found(["litellm@a.service"]) == ["litellm@a.service"]


def layout(root: Path) -> list[str]:
    paths = [str(root / name) for name in ("config", "generations", "installs", "state", "cache")]
    return [Path(found.path).name for found in foreign_folders(*paths)]


def test_a_folder_is_foreign_if_nothing_in_it_is_ours(tmp_path: Path) -> None:
    assert layout(tmp_path) == []
    for path in ("generations/a", "installs/uv", "state/models", "cache/ccache"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "generations/a" / ACTIVATION).write_text("{}")
    (tmp_path / "config").symlink_to(tmp_path / "generations/a")
    assert layout(tmp_path) == []
    (tmp_path / "config").unlink()
    (tmp_path / "config").symlink_to(tmp_path / "elsewhere")
    for name in ("installs", "state", "cache"):
        shutil.rmtree(tmp_path / name)
        (tmp_path / name / "lost+found").mkdir(parents=True)
    assert layout(tmp_path) == ["config"], "and empty disks"
    for name in ("installs", "state", "cache"):
        (tmp_path / name / "theirs").write_text("")
    (tmp_path / "config").unlink()
    (tmp_path / "config").write_text("")
    assert layout(tmp_path) == ["config", "installs", "state", "cache"]


@pytest.mark.parametrize(
    "left",
    ["state/.lock-guard", "state/lock", "state/verdicts", "cache/downloads", "cache/build", "installs/uv"],
)
def test_what_a_run_leaves_that_ended_early_is_ours(tmp_path: Path, left: str) -> None:
    """Also of one that had only just taken its lock, or begun its first download."""
    (tmp_path / left).mkdir(parents=True)
    assert layout(tmp_path) == []


def test_a_move_to_another_file_system_keeps_owner_mode_times_and_links(tmp_path: Path) -> None:
    source, target = tmp_path / "source", Path("/dev/shm", f"moved-{os.getpid()}")
    (source / "inner").mkdir(parents=True)
    (source / "inner/file").write_bytes(b"\x00\xff")
    (source / "inner/file").chmod(0o4640)
    (source / "link").symlink_to("nowhere")
    os.utime(source / "inner", ns=(10**18, 10**18 + 3))
    status = (source / "inner").stat()
    try:
        assert move(source, target)
        assert not source.exists()
        assert (target / "inner").stat().st_mtime_ns == status.st_mtime_ns
        assert stat.S_IMODE((target / "inner/file").stat().st_mode) == 0o4640
        assert (target / "inner/file").read_bytes() == b"\x00\xff"
        assert (target / "link").readlink() == Path("nowhere")
        os.mkfifo(source)
        with pytest.raises(HostError, match="neither a file nor a folder"):
            move(source, target / "pipe")
        assert source.exists()
    finally:
        shutil.rmtree(target)
