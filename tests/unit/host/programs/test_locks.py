"""The deploy lock and the host lock: whole or not there, known by its process, and looked at by each step."""

from __future__ import annotations

import json
import resource
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.recipes import FilesRecipe
from roles.contract.requests import (
    AcquireLock,
    ChangeRequest,
    Outcome,
    PrepareSystem,
    Prune,
    ReceiveFile,
    RecordVerdict,
    ReleaseLock,
    Request,
    WriteGeneration,
)
from roles.host import holder
from roles.host.programs import deploy_lock as lock
from roles.host.programs.console import HostError
from roles.host.programs.deploy_lock import HOLDER, holder_of
from tests.labhost.paths import REPOSITORY
from tests.requests import make_install, run_program


def _holder(name: str) -> dict[str, str]:
    return {"id": name, "who": f"{name}@laptop", "pid": "1", "since": "2026-11-24 12:00:00 UTC"}


def _acquire(folder: Path, name: str, take_over: str | None = None) -> None:
    lock.main(AcquireLock(folder=str(folder), holder=_holder(name), take_over=take_over))


def _release(folder: Path, name: str | None) -> None:
    lock.main(ReleaseLock(folder=str(folder), id=name))


def names(state: Path) -> list[str]:
    """What is there but for the file that is locked while the lock is changed, which no other user may open."""
    guard = state / ".lock-guard"
    assert not guard.exists() or stat.S_IMODE(guard.stat().st_mode) == 0o600
    return [path.name for path in state.iterdir() if path != guard]


def held_by(folder: Path) -> str | None:
    present = holder_of(folder)
    return None if present is None else present.get("id", "")


def test_a_held_lock_is_refused_with_who_since_when_and_how_to_break_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "lock"
    _acquire(folder, "alice")
    with pytest.raises(HostError, match=r"by alice@laptop since 2026-11-24 12:00:00 UTC.*deploys/unlock\.py"):
        _acquire(folder, "bob")
    _release(folder, "bob")  # not his
    with pytest.raises(HostError):
        _acquire(folder, "bob")
    _release(folder, "alice")
    assert names(folder.parent) == []
    _acquire(folder, "bob")
    _release(folder, None)
    assert names(folder.parent) == []


def test_a_lock_is_taken_over_from_a_dead_run_and_from_an_earlier_boot(tmp_path: Path) -> None:
    folder = tmp_path / "lock"
    _acquire(folder, "alice")
    _acquire(folder, "bob", take_over="alice")
    present = json.loads((folder / HOLDER).read_text())
    (folder / HOLDER).write_text(json.dumps({**present, "boot_id": "an earlier one"}))
    _acquire(folder, "carol")
    assert held_by(folder) == "carol"
    # Somebody else was quicker than this run, which saw bob's.
    with pytest.raises(HostError, match="by carol@laptop"):
        _acquire(folder, "dave", take_over="bob")
    assert names(tmp_path) == ["lock"]


def test_a_lock_of_the_version_before_is_understood(tmp_path: Path) -> None:
    """As it was written while its deploy is under way: without the machine, its boot and the start of the process."""
    (tmp_path / "lock").mkdir()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (tmp_path / "lock" / HOLDER).write_text(json.dumps({**_holder("alice"), "boot_id": boot}))
    with pytest.raises(HostError, match="by alice@laptop"):
        _acquire(tmp_path / "lock", "bob")
    _release(tmp_path / "lock", "alice")
    assert names(tmp_path) == []


GARBLED = {
    "empty, of a full disk": "mkdir lock",
    "half a holder": 'mkdir lock; printf \'{"id": "al\' > lock/holder.json',
    "an empty holder": "mkdir lock; touch lock/holder.json",
    "zeros": "mkdir lock; head -c 512 /dev/zero > lock/holder.json",
    "no text": "mkdir lock; printf '\\377\\376' > lock/holder.json",
    "a list": "mkdir lock; echo '[]' > lock/holder.json",
    "nested for ever": "mkdir lock; head -c 100000 /dev/zero | tr '\\0' '[' > lock/holder.json",
    "no id": 'mkdir lock; echo \'{"who": "alice@laptop"}\' > lock/holder.json',
    "an id that is a list": "mkdir lock; echo '{\"id\": []}' > lock/holder.json",
    "half a character": 'mkdir lock; echo \'{"id": "\\ud800"}\' > lock/holder.json',
    "a holder that is a folder": "mkdir -p lock/holder.json",
    "a holder that is a pipe": "mkdir lock; mkfifo lock/holder.json",
    "a holder that leads nowhere": "mkdir lock; ln -s nowhere lock/holder.json",
    "a file": "echo x > lock",
    "a link to nothing": "ln -s nowhere lock",
    "with another's file": "mkdir lock; touch lock/else",
}


@pytest.mark.parametrize("make", GARBLED.values(), ids=GARBLED)
def test_a_lock_that_does_not_say_who_holds_it_is_taken_over_and_that_is_said(
    tmp_path: Path, make: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lock"
    subprocess.run(["bash", "-c", make], cwd=tmp_path, check=True)
    # As the control machine sees it, before it asks for the lock.
    assert holder_of(folder) == {}
    _acquire(folder, "bob")
    assert "does not say who holds it, so nobody does: taken over" in capsys.readouterr().out
    assert held_by(folder) == "bob"
    assert names(tmp_path) == ["lock"]


def step(request: Request, lock_id: str | None = None, limit: int | None = None) -> Any:
    """Run a step as on a host; with a limit no file can grow beyond it, as on a full disk."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return run_program(request, lock_id, preexec_fn=limited)


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_a_full_disk_leaves_no_lock_and_one_message(tmp_path: Path, limit: int) -> None:
    folder = tmp_path / "lock"
    request = AcquireLock(folder=str(folder), holder=_holder("alice"))
    done = step(request, limit=limit)
    assert done.returncode == 1
    assert done.stderr == f"{folder}: File too large: see to that, then run again\n"
    assert names(tmp_path) == []
    _acquire(folder, "bob")
    # Nor does it cost whoever has it.
    taken = step(replace(request, take_over="bob"), limit=limit)
    assert taken.returncode == 1
    assert held_by(folder) == "bob"


def test_of_many_who_want_it_at_once_one_gets_it(tmp_path: Path) -> None:
    folder, got = tmp_path / "lock", []

    def want(name: str) -> None:
        try:
            _acquire(folder, name)
        except HostError:
            return
        got.append(name)

    threads = [threading.Thread(target=want, args=(f"run{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [held_by(folder)]


# The holder, on the control machine


@pytest.fixture
def mine() -> dict[str, str]:
    return holder.this_process()


def test_a_run_that_is_there_is_not_gone(mine: dict[str, str]) -> None:
    assert mine["started"]
    assert mine["machine_boot"]
    assert not holder.is_gone(mine)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        pytest.param({"who": "somebody@else"}, False, id="another user"),
        pytest.param({"machine": "another machine of that name", "machine_boot": "x"}, False, id="another machine"),
        pytest.param({"machine_boot": "an earlier boot of this one"}, True, id="an earlier boot"),
        pytest.param({"started": "1"}, True, id="another process has the number now"),
        pytest.param({"pid": "999999999"}, True, id="no such process"),
        pytest.param({"pid": "9" * 40}, True, id="a number too large"),
        pytest.param({"pid": "not a number"}, True, id="not a number"),
        pytest.param({"pid": ""}, True, id="no number"),
    ],
)
def test_who_is_gone_is_told_by_machine_boot_and_start(
    mine: dict[str, str], changes: dict[str, str], gone: bool
) -> None:
    assert mine["machine"], "this machine has no /etc/machine-id, so nothing tells it from another of its name"
    assert holder.is_gone({**mine, **changes}) is gone


def test_a_holder_of_the_version_before_is_told_by_its_process_alone(mine: dict[str, str]) -> None:
    old = {key: mine[key] for key in ("id", "who", "pid", "since")}
    assert not holder.is_gone(old)
    assert holder.is_gone({**old, "pid": "999999999"})


# The steps of a run


def prune_step(tmp_path: Path, lock_id: str | None) -> Any:
    return step(Prune(state=str(tmp_path), folders=(str(tmp_path / "unused"),), commands=()), lock_id)


def test_a_step_of_a_run_that_has_lost_its_lock_does_nothing(tmp_path: Path) -> None:
    unused = tmp_path / "unused"
    unused.mkdir()
    gone = prune_step(tmp_path, "alice")
    assert gone.stderr.startswith(
        "this run has lost the deploy lock, which is gone: it was broken, with deploys/unlock"
    )
    _acquire(tmp_path / "lock", "bob")
    taken = prune_step(tmp_path, "alice")
    assert "which is held by bob@laptop since 2026-11-24 12:00:00 UTC now" in taken.stderr
    assert (gone.returncode, taken.returncode) == (1, 1)
    assert "Traceback" not in gone.stderr + taken.stderr
    assert unused.exists()
    assert prune_step(tmp_path, "bob").returncode == 0
    assert not unused.exists()


def test_a_run_that_has_lost_its_lock_gives_nothing_back_that_is_anothers(tmp_path: Path) -> None:
    _acquire(tmp_path / "lock", "bob")
    for name, left in (("alice", "bob"), ("bob", None)):
        done = step(ReleaseLock(folder=str(tmp_path / "lock"), id=name), name)
        assert done.returncode == 0, done.stderr
        assert held_by(tmp_path / "lock") == left


_HOLDS = """
import sys
from roles.host.programs import console, host_lock
console.PROGRESS_SECONDS = 0.2
with host_lock.one_at_a_time(sys.argv[1], "install", "alice@desk"):
    print("at work", flush=True)
    sys.stdin.readline()
"""


def test_who_waits_for_the_turn_says_for_whom_and_how_long(tmp_path: Path) -> None:
    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _HOLDS, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    (tmp_path / "turn").touch(mode=0o644)  # as the version before made it, for every user to lock
    with begin() as first:
        assert first.stdout
        assert first.stdout.readline() == "at work\n"
        assert stat.S_IMODE((tmp_path / "turn").stat().st_mode) == 0o600
        second = begin()
        assert second.stdout
        waited = [second.stdout.readline() for _ in range(6)]
        first.communicate("")
        assert second.communicate("")[0].endswith("at work\n")
        assert second.returncode == 0
    told = "waiting for another step on this host: 'install' of alice@desk, under way since "
    assert all(line.startswith(told) for line in waited)
    assert waited[0].endswith(" UTC, 0 s\n")
    assert waited[-1].endswith(" UTC, 1 s\n")


# What the system refuses


def changes(state: str) -> list[ChangeRequest]:
    outcome = Outcome(status="pass", summary="", seconds=1)
    system = PrepareSystem(
        state=state, packages=(), keep_off=(), build_user=None, users=(), cache=state, folders=(), lingering=False
    )
    return [
        make_install(Path("/none"), FilesRecipe(files={}), "none", state=state),
        WriteGeneration(state=state, scope="system", folder="/none", files={}, links={}, generated_secrets=()),
        RecordVerdict(state=state, who="alice@desk", generation="abc", verdict=outcome),
        Prune(state=state, folders=(), commands=()),
        system,
        ReceiveFile(state=state, target="/none/file"),
    ]


@pytest.mark.parametrize("request_", [pytest.param(each, id=each.program) for each in changes("")])
def test_what_the_system_refuses_is_one_message_with_its_place(tmp_path: Path, request_: ChangeRequest) -> None:
    """A file where the state folder is to be stands for whatever may fail: each program goes through the same door."""
    (tmp_path / "state").write_text("a file")
    done = step(replace(request_, state=str(tmp_path / "state")))
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/state: File exists: see to that, then run again\n"


def test_a_full_disk_in_the_middle_is_one_message_with_what_to_do(tmp_path: Path) -> None:
    request = WriteGeneration(
        state=str(tmp_path / "state"),
        scope="system",
        folder=str(tmp_path / "generations/abc"),
        files={"a": ("eHh4eHh4eHh4eHh4eHh4eHg=", 0o644)},
        links={},
        generated_secrets=(),
    )
    done = step(request, limit=4)
    assert done.returncode == 1
    assert done.stderr.endswith("/a: File too large: see to that, then run again\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "generations/abc").exists()
