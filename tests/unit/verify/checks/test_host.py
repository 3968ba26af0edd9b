"""What the verifier makes of a host: restarts, memory, disks, the clock, and ports that nobody declared."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from roles.contract.verdict import Check
from roles.ollama import plan as ollama_plan
from roles.verify.checks.clock import clock_check
from roles.verify.checks.disks import disk_check
from roles.verify.checks.memory import memory_check
from roles.verify.checks.open_ports import open_ports_check
from roles.verify.checks.restarts import restart_check
from roles.verify.checks.units import Settled
from roles.verify.generation import PLAIN, Provider, Service
from roles.verify.probe.systemd import UnitState, parse_show
from roles.verify.verdict.claim import CannotCheck
from roles.vllm import plan as vllm_plan
from tests.deployed import deployed

UNIT = "llama-server@native.service"
SERVICE = Service(UNIT, "127.0.0.1", 8080, "http://127.0.0.1:8080/health", 30, Path("/nowhere"))
RUNNING = UnitState(UNIT, "loaded", "active", "running", "success", "enabled", 612, 4.8, False)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a shell script in the place of a program of the host."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def replaced(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return replaced


def made(check: Coroutine[Any, Any, Check]) -> tuple[bool | None, str]:
    found = asyncio.run(check)
    return found.ok, found.seen


def settled(state: UnitState) -> Settled:
    return Settled({state.name: state}, {})


# Restarts


def entry(name: str, **fields: str) -> str:
    names = {
        "scheduled": "5eb03494b6584870a536b337290809b3",
        "exited": "98e322203f7a4ed290d09fe03c09fe15",
        "failed": "d9b373ed55a64feb8242e02dbe79a49c",
    }
    return json.dumps({"MESSAGE_ID": names[name], "UNIT": UNIT, **fields})


KILLED = entry("exited", EXIT_CODE="killed", EXIT_STATUS="9")
SCHEDULED = entry("scheduled")
OUT_OF_MEMORY = entry("failed", UNIT_RESULT="oom-kill")


def restarted(restarts: int, *, seconds_ago: float = 30, **changes: object) -> UnitState:
    state = replace(RUNNING, restarts=restarts, began=time.monotonic() - seconds_ago)
    return replace(state, **changes)  # type: ignore[arg-type]


def test_what_systemctl_shows_of_restarts_and_memory_is_read() -> None:
    # As systemd 252 prints it of a unit that it has started again.
    shown = (
        f"Id={UNIT}\nActiveState=active\nSubState=running\nNRestarts=1\nInactiveExitTimestampMonotonic=27227624672\n"
        "ControlGroup=/system.slice/a.service\nMemoryMax=infinity\n"
    )
    state = parse_show(shown)[UNIT]
    assert (state.restarts, state.began, state.control_group) == (1, 27227.624672, "/system.slice/a.service")
    assert state.memory_max is None
    assert parse_show(shown.replace("infinity", "1000000000"))[UNIT].memory_max == 10**9


@pytest.mark.parametrize(
    ("state", "journal", "ok", "seen"),
    [
        (partial(restarted, 0), [], True, "none"),
        (
            partial(restarted, 1),
            [KILLED, SCHEDULED],
            True,
            "once since somebody started it, 1 of them in the last hour, last 30 s ago: ended by SIGKILL",
        ),
        (
            partial(restarted, 2),
            [KILLED, SCHEDULED, KILLED, OUT_OF_MEMORY, SCHEDULED],
            False,
            "2 times since somebody started it, 2 of them in the last hour, last 30 s ago: "
            "killed by the kernel for lack of memory",
        ),
        (
            # The others are older than an hour.
            partial(restarted, 7),
            [KILLED, SCHEDULED],
            True,
            "7 times since somebody started it, 1 of them in the last hour, last 30 s ago: ended by SIGKILL",
        ),
        (partial(restarted, 7, seconds_ago=5 * 3600), [], True, "7 times since somebody started it, last 5 h ago"),
        (
            # Somebody has started it since: the earlier ones do not count any more.
            partial(restarted, 1),
            [KILLED, SCHEDULED] * 5,
            True,
            "once since somebody started it, 1 of them in the last hour, last 30 s ago: ended by SIGKILL",
        ),
        (
            partial(restarted, 1, active="activating", sub="auto-restart"),
            [KILLED, SCHEDULED],
            False,
            "once since somebody started it, 1 of them in the last hour, last 30 s ago: ended by SIGKILL",
        ),
    ],
    ids=["none", "one", "two", "one lately", "long ago", "started by hand since", "just now"],
)
def test_a_service_that_keeps_dying_is_red_and_one_that_has_recovered_is_not(
    program: Callable[[str, str], None], state: Callable[[], UnitState], journal: list[str], ok: bool, seen: str
) -> None:
    lines = "\n".join(journal)
    program("journalctl", f"case \"$*\" in *' UNIT={UNIT} '*) cat <<'END'\n{lines}\nEND\nesac")
    assert made(restart_check(SERVICE, settled(state()), "system")) == (ok, seen)


FAULT = """INFO: started
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/opt/x/server.py", line 12 in handle
  File "/opt/x/main.py", line 3 in <module>

Extension modules: a.b, c.d (total: 2)
Started LiteLLM gateway."""


@pytest.mark.parametrize(
    ("number", "log", "seen"),
    [
        (
            "11",
            FAULT,
            "ended by SIGSEGV; it said last: Fatal Python error: Segmentation fault | "
            'Current thread 0x00007f (most recent call first): | File "/opt/x/server.py", line 12 in handle | '
            'File "/opt/x/main.py", line 3 in <module> | '
            "Extension modules: a.b, c.d (total: 2) | Started LiteLLM gateway.",
        ),
        ("11", "nothing of interest", "ended by SIGSEGV"),
        ("9", FAULT, "ended by SIGKILL"),
        ("250", FAULT, "ended by signal 250"),
        ("odd", FAULT, "ended by signal odd"),
    ],
    ids=["a backtrace", "none", "killed by somebody", "no signal", "no number"],
)
def test_a_crash_is_told_with_its_signal_and_where_it_was(
    program: Callable[[str, str], None], number: str, log: str, seen: str
) -> None:
    lines = "\n".join([entry("exited", EXIT_CODE="dumped", EXIT_STATUS=number), SCHEDULED])
    forged = '7\n{"MESSAGE_ID": [1]}\nno JSON'
    program(
        "journalctl",
        f"case \"$*\" in\n*--unit={UNIT}*) cat <<'END'\n{log}\nEND\n;;\n"
        f"*' UNIT={UNIT} _PID=1 '*) cat <<'END'\n{lines}\n{forged}\nEND\nesac",
    )
    told = made(restart_check(SERVICE, settled(restarted(1)), "system"))
    assert told == (True, f"once since somebody started it, 1 of them in the last hour, last 30 s ago: {seen}")


def test_what_ended_a_unit_is_told_with_its_state() -> None:
    shown = f"Id={UNIT}\nLoadState=loaded\nActiveState=failed\nSubState=failed\nResult=signal\nExecMainStatus=11\n"
    assert str(parse_show(f"{shown}ExecMainCode=2\n")[UNIT]) == "failed (failed, result signal, ended by SIGSEGV)"
    assert str(parse_show(f"{shown}ExecMainCode=1\n")[UNIT]) == "failed (failed, result signal)"


def test_without_a_journal_all_restarts_count_while_the_last_is_young(program: Callable[[str, str], None]) -> None:
    program("journalctl", "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1")
    assert made(restart_check(SERVICE, settled(restarted(1)), "user"))[0] is True
    assert made(restart_check(SERVICE, settled(restarted(2)), "user"))[0] is False
    assert made(restart_check(SERVICE, settled(restarted(2, seconds_ago=3700)), "user"))[0] is True


def test_without_systemd_restarts_are_unknown() -> None:
    check = restart_check(SERVICE, Settled(CannotCheck("systemctl cannot be run"), {}), "system")
    assert made(check) == (None, "systemctl cannot be run")


# Memory


def counted(folder: Path, *, current: int, file_pages: int = 0, killed: int = 0) -> Path:
    """A hierarchy of control groups in which a unit has taken so much."""
    group = folder / "cgroup/system.slice/a.service"
    group.mkdir(parents=True)
    (group / "memory.current").write_text(f"{current}\n")
    (group / "memory.stat").write_text(
        f"anon 1000\nfile {file_pages}\ninactive_file 0\nactive_file {file_pages}\nslab_reclaimable 0\n"
    )
    (group / "memory.events").write_text(f"low 0\nhigh 0\nmax 12\noom 0\noom_kill {killed}\n")
    return folder / "cgroup"


@pytest.mark.parametrize(
    ("taken", "bound", "ok", "seen"),
    [
        pytest.param({"current": 400_000_000}, None, True, "400 MB, no bound", id="no bound"),
        pytest.param({"current": 400_000_000}, 10**9, True, "400 MB of 1.0 GB", id="far below its bound"),
        pytest.param({"current": 960_000_000}, 10**9, False, "960 MB of 1.0 GB", id="near its bound"),
        # Pages of the model's file: the kernel takes them back when it must.
        pytest.param(
            {"current": 999_000_000, "file_pages": 700_000_000},
            10**9,
            True,
            "299 MB of 1.0 GB",
            id="near its bound with pages of files",
        ),
        pytest.param(
            {"current": 400_000_000, "killed": 1},
            10**9,
            False,
            "400 MB of 1.0 GB; the kernel has killed 1 of its processes for lack of memory since it started",
            id="a process was killed",
        ),
    ],
)
def test_memory_that_is_nearly_used_up_or_was_is_red(
    tmp_path: Path, taken: dict[str, int], bound: int | None, ok: bool, seen: str
) -> None:
    state = replace(RUNNING, control_group="/system.slice/a.service", memory_max=bound)
    groups = counted(tmp_path, **taken)
    assert made(memory_check(SERVICE, settled(state), {612}, tmp_path, groups)) == (ok, seen)


def test_a_host_that_does_not_count_memory_says_that_it_bounds_nothing(tmp_path: Path) -> None:
    for pid in (612, 613):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(
            "Name:\tserver\nVmRSS:\t  300000 kB\nRssAnon:\t  100000 kB\nRssFile:\t  190000 kB\nRssShmem:\t   10000 kB\n"
        )
    state = replace(RUNNING, control_group="/system.slice/a.service", memory_max=10**9)
    seen = "225 MB; 1.0 GB is declared and not enforced, as this host does not count the memory of units"
    assert made(memory_check(SERVICE, settled(state), {612, 613, 99999999}, tmp_path, tmp_path)) == (True, seen)


def test_a_unit_without_a_process_has_no_memory_to_look_at(tmp_path: Path) -> None:
    assert made(memory_check(SERVICE, settled(RUNNING), set(), tmp_path, tmp_path)) == (False, "no process runs")


# Disks


@pytest.mark.parametrize(
    ("total", "free", "files", "free_files", "ok"),
    [
        (10**12, 3 * 10**9, 10**6, 10**5, True),
        (10**12, 10**9, 10**6, 10**5, False),
        (3 * 10**9, 200 * 10**6, 10**6, 10**5, True),
        (3 * 10**9, 100 * 10**6, 10**6, 10**5, False),
        (10**12, 10**11, 10**6, 5000, False),
        (10**12, 10**11, 0, 0, True),
    ],
    ids=["large", "large and full", "small", "small and full", "no more files", "files as it goes"],
)
def test_a_disk_that_is_nearly_full_is_red(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, total: int, free: int, files: int, free_files: int, ok: bool
) -> None:
    found = os.statvfs_result(
        (4096, 1000, total // 1000, free // 1000, free // 1000, files, free_files, free_files, 0, 255)
    )
    monkeypatch.setattr("roles.verify.checks.disks.os.statvfs", lambda path: found)
    holds, seen = made(disk_check([tmp_path]))
    assert holds is ok, seen
    assert str(tmp_path) in seen


def test_folders_on_one_disk_are_told_once_and_one_that_is_not_there_counts_where_it_will_be(tmp_path: Path) -> None:
    _, seen = made(disk_check([tmp_path / "cache/of/nothing", tmp_path]))
    assert seen.startswith(f"{tmp_path}: ")
    assert seen.count(" free") == 1


# The clock


@pytest.mark.parametrize(
    ("shown", "up", "ok", "seen"),
    [
        pytest.param("NTP=yes\nNTPSynchronized=yes", 9999, True, ", synchronised", id="synchronised"),
        pytest.param("NTP=no\nNTPSynchronized=no", 9999, True, "; no time service is on", id="no time service"),
        pytest.param(
            "NTP=yes\nNTPSynchronized=no",
            60,
            True,
            "; the time service looks for its servers since the boot 60 s ago",
            id="just booted",
        ),
        pytest.param(
            "NTP=yes\nNTPSynchronized=no",
            9999,
            False,
            ", and the time service that is on has not set it: `timedatectl timesync-status` may say why; "
            "`timedatectl set-ntp false` where there is no server to be had",
            id="never synchronised",
        ),
    ],
)
def test_a_time_service_that_is_on_must_have_set_the_clock(
    program: Callable[[str, str], None], tmp_path: Path, shown: str, up: int, ok: bool, seen: str
) -> None:
    program("timedatectl", f"cat <<'END'\n{shown}\nEND")
    (tmp_path / "uptime").write_text(f"{up}.00 100.00\n")
    (tmp_path / "written").touch()
    holds, told = made(clock_check(tmp_path / "written", tmp_path))
    assert holds is ok
    assert told.endswith(f"UTC{seen}")


def test_a_host_that_can_not_tell_who_sets_its_clock_is_well(
    program: Callable[[str, str], None], tmp_path: Path
) -> None:
    program("timedatectl", "echo 'Failed to connect to bus' >&2; exit 1")
    (tmp_path / "written").touch()
    holds, told = made(clock_check(tmp_path / "written", tmp_path))
    assert holds is True
    assert "whether anything sets it is not known: timedatectl show: exit status 1" in told


def test_a_clock_that_is_before_what_was_written_is_red(program: Callable[[str, str], None], tmp_path: Path) -> None:
    program("timedatectl", "echo NTPSynchronized=yes")
    (tmp_path / "written").touch()
    os.utime(tmp_path / "written", (time.time() + 3600,) * 2)
    holds, told = made(clock_check(tmp_path / "written", tmp_path))
    assert holds is False
    assert "before the generation was written" in told


# Ports


class FakeProc:
    """A proc file system with the listening sockets of some processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "proc"
        (self.folder / "net").mkdir(parents=True)
        (self.folder / "net/tcp").write_text("  sl  local_address …\n")
        self._next = 700

    def listens(self, unit: str, address: str, port: int) -> None:
        inode = self._next
        self._next += 1
        digits = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
        with (self.folder / "net/tcp").open("a") as table:
            table.write(f"   0: {digits}:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 {inode} 1 0 100 0 0 10 0\n")
        process = self.folder / str(inode)
        (process / "fd").mkdir(parents=True)
        (process / "fd/3").symlink_to(f"socket:[{inode}]")
        (process / "comm").write_text("server\n")
        (process / "cgroup").write_text(f"0::/system.slice/{unit}\n")


@pytest.fixture
def fake_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    monkeypatch.setattr("roles.verify.checks.open_ports._PAUSE", 0.01)
    found = FakeProc(tmp_path)
    for service in GENERATION.services:
        found.listens(service.unit, service.bind, service.port)
    # What others do is none of our business.
    found.listens("ssh.service", "0.0.0.0", 22)
    return found


def provider(kind: str, port: int, bind: str = "127.0.0.1") -> Provider:
    service = Service(f"{kind}.service", bind, port, "http://x/", 30, Path("/nowhere"))
    traits = {"ollama": ollama_plan.TRAITS, "vllm": vllm_plan.TRAITS}.get(kind, PLAIN)
    return Provider(kind, service, (), kind, traits=traits)


GENERATION = deployed(
    Path("/nowhere"),
    providers=(provider("ollama", 11434, "0.0.0.0"), provider("vllm", 8001), provider("llama-server", 8080)),
)


def test_the_declared_ports_and_an_engines_own_on_loopback_are_well(fake_proc: FakeProc) -> None:
    fake_proc.listens("vllm.service", "127.0.0.1", 42971)
    fake_proc.listens("ollama.service", "127.0.0.1", 36393)
    assert made(open_ports_check(GENERATION, fake_proc.folder)) == (True, "nowhere else")


def test_the_hosts_own_port_of_an_endpoint_with_tls_is_declared(fake_proc: FakeProc) -> None:
    known = provider("llama-server", 8080)
    service = replace(known.service, local_ports=(8081,))
    generation = replace(GENERATION, providers=(*GENERATION.providers[:2], replace(known, service=service)))
    fake_proc.listens("llama-server.service", "127.0.0.1", 8081)
    assert made(open_ports_check(generation, fake_proc.folder)) == (True, "nowhere else")
    fake_proc.listens("llama-server.service", "0.0.0.0", 8081)
    assert made(open_ports_check(generation, fake_proc.folder))[0] is False


@pytest.mark.parametrize(
    ("unit", "address", "port"),
    [
        ("ollama.service", "0.0.0.0", 9999),
        ("vllm.service", "198.18.0.5", 9999),
        ("llama-server.service", "127.0.0.1", 9999),
        # The port of another unit is not its own.
        ("llama-server.service", "127.0.0.1", 8001),
    ],
)
def test_a_port_that_nobody_declared_is_red_with_its_process(
    fake_proc: FakeProc, unit: str, address: str, port: int
) -> None:
    fake_proc.listens(unit, address, port)
    holds, seen = made(open_ports_check(GENERATION, fake_proc.folder))
    assert holds is False
    assert seen == f"{address}:{port}, process 704 (server) of {unit}"


def test_ports_that_are_open_for_a_moment_are_no_fault(fake_proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    table = fake_proc.folder / "net/tcp"
    before = table.read_text()
    fake_proc.listens("ollama.service", "0.0.0.0", 9999)
    sleep = asyncio.sleep

    async def another_meanwhile(seconds: float) -> None:
        table.write_text(before)
        fake_proc.listens("ollama.service", "0.0.0.0", 9998)
        await sleep(0)

    monkeypatch.setattr("roles.verify.checks.open_ports.asyncio.sleep", another_meanwhile)
    assert made(open_ports_check(GENERATION, fake_proc.folder)) == (True, "nowhere else")


def test_the_port_that_pytorch_opens_for_several_cards_is_told(fake_proc: FakeProc) -> None:
    fake_proc.listens("vllm.service", "0.0.0.0", 39001)
    holds, seen = made(open_ports_check(GENERATION, fake_proc.folder))
    assert holds is True
    assert seen.startswith("nowhere else; but for 0.0.0.0:39001, process 704 (server) of vllm.service: PyTorch's own")
