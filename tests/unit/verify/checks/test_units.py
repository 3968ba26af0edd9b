"""What the verifier makes of units: their states, how long it waits for them, and whose sockets are whose."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from roles.contract.verdict import Check
from roles.verify.checks.units import Settled, settle, unit_checks
from roles.verify.generation import Scope, Service
from roles.verify.probe.sockets import Holder, Listener, listeners
from roles.verify.probe.systemd import UnitState, parse_show, read_unit_states
from roles.verify.verdict.claim import CannotCheck
from tests.deployed import context, deployed
from tests.labhost.http_server import QuietHandler, ThreadedServer

RECORDED = """\
MainPID=612
Result=success
Id=ollama.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
ActiveEnterTimestampMonotonic=4810233

MainPID=0
Result=exit-code
Id=vllm@qwen-coder.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
UnitFileState=enabled
Job=541
ActiveEnterTimestampMonotonic=0

MainPID=0
Result=success
Id=no-such.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
ActiveEnterTimestampMonotonic=0
"""
"""What `systemctl show` of systemd 252 prints for three units."""

NOWHERE = Path("/nowhere")
OLLAMA = UnitState("ollama.service", "loaded", "active", "running", "success", "enabled", 612, 4.810233, False)


def test_what_systemctl_shows_is_read_unit_by_unit() -> None:
    states = parse_show(RECORDED)
    assert states["ollama.service"] == OLLAMA
    assert list(map(str, states.values())) == [
        "active (running)",
        "activating (auto-restart, result exit-code)",
        "not-found",
    ]
    assert [state.may_become_ready for state in states.values()] == [True, True, False]
    assert states["vllm@qwen-coder.service"].has_job


def test_a_stopped_unit_with_a_job_will_start_as_after_boot() -> None:
    stopped = replace(OLLAMA, active="inactive", sub="dead")
    assert not stopped.may_become_ready
    assert replace(stopped, has_job=True).may_become_ready
    assert not replace(stopped, active="failed", sub="failed").may_become_ready


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a shell script in the place of systemctl; gives the file that it may write to."""

    def replaced(script: str) -> Path:
        program = tmp_path / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nrecord={tmp_path}/record\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return tmp_path / "record"

    return replaced


def test_all_units_are_asked_for_in_one_call(systemctl: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    record = systemctl(f'echo "$XDG_RUNTIME_DIR $*" >>"$record"\ncat <<END\n{RECORDED}END')
    states = asyncio.run(read_unit_states(["ollama.service", "vllm@qwen-coder.service"], "user"))
    assert states["ollama.service"] == OLLAMA
    (call,) = record.read_text().splitlines()
    assert call.startswith(f"/run/user/{os.getuid()} --user show --no-pager --property=Id,")
    assert call.endswith("-- ollama.service vllm@qwen-coder.service")


def test_a_systemd_that_does_not_answer_is_told_with_its_own_words(systemctl: Callable[[str], Path]) -> None:
    systemctl("echo Host is down >&2; exit 1")
    with pytest.raises(CannotCheck, match='exit status 1, "Host is down"'):
        asyncio.run(read_unit_states(["a.service"], "system"))


def test_a_host_without_systemctl_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotCheck, match="systemctl cannot be run: No such file or directory"):
        asyncio.run(read_unit_states(["a.service"], "system"))


@contextmanager
def serving(statuses: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """A server that answers with one status after the other, then the last for ever."""
    given: list[int] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            given.append(statuses[min(len(given), len(statuses) - 1)])
            self.send_response(given[-1])
            self.end_headers()
            self.wfile.write(b"Loading model")

    with ThreadedServer("127.0.0.1", Handler) as server:
        yield f"{server.url}/health", given


def settled(url: str, state: UnitState, start_timeout: float, *, waits: bool = True) -> Settled:
    service = Service(state.name, "127.0.0.1", 1, url, start_timeout, Path("/nowhere"))

    async def read(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
        return {state.name: state}

    async def run() -> Settled:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await settle([service], context(deployed(NOWHERE), client, read_states=read, waits=waits))

    return asyncio.run(run())


def test_a_unit_that_just_started_is_waited_for() -> None:
    with serving([503, 200]) as (url, given):
        found = settled(url, replace(OLLAMA, active_since=time.monotonic()), start_timeout=30)
    assert given == [503, 200]
    assert found.readiness["ollama.service"].ready


@pytest.mark.parametrize(
    "changes",
    [
        {"active_since": 0.001},
        {"active": "failed", "sub": "failed"},
        {"active": "inactive", "sub": "dead"},
    ],
    ids=["had its time", "failed", "inactive"],
)
def test_a_unit_that_will_not_come_is_asked_once(changes: dict[str, object]) -> None:
    state = replace(OLLAMA, active_since=time.monotonic())
    # 30 s would be over for a unit that runs since boot: the machine is up for longer than its time-out.
    with serving([503]) as (url, given):
        found = settled(url, replace(state, **changes), start_timeout=0.5)  # type: ignore[arg-type]
    assert given == [503]
    readiness = found.readiness["ollama.service"]
    assert (readiness.ready, readiness.seen) == (False, '503 "Loading model"')


def test_whoever_may_not_reach_the_services_does_not_wait_for_them() -> None:
    with serving([503]) as (url, given):
        found = settled(url, replace(OLLAMA, active_since=time.monotonic()), start_timeout=30, waits=False)
    assert given == [503]
    assert not found.readiness["ollama.service"].ready


def test_the_wait_ends_with_the_start_time_out() -> None:
    with serving([503]) as (url, given):
        began = time.monotonic()
        settled(url, replace(OLLAMA, active_since=began), start_timeout=1)
        assert 1 <= time.monotonic() - began < 3
    assert len(given) >= 2


def test_a_unit_that_restarts_for_ever_is_not_waited_for_for_ever() -> None:
    """Its process is always young: what counts is when it was first seen running."""
    service = Service("vllm@a.service", "127.0.0.1", 1, "http://127.0.0.1:9/", 1, Path("/nowhere"))

    async def read(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
        return {service.unit: replace(OLLAMA, name=service.unit, active_since=time.monotonic())}

    async def run() -> Settled:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await asyncio.wait_for(settle([service], context(deployed(NOWHERE), client, read_states=read)), 10)

    assert not asyncio.run(run()).readiness[service.unit].ready


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")],
)
def test_a_real_socket_is_found_with_its_process(family: socket.AddressFamily, address: str) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        (found,) = listeners({port})
    assert (found.address, found.port) == (address, port)
    assert os.getpid() in [holder.pid for holder in found.holders]
    assert listeners({port}) == ()


def test_an_ipv4_address_of_an_ipv6_socket_is_told_as_ipv4() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::ffff:127.0.0.1", 0))
        server.listen()
        (found,) = listeners({server.getsockname()[1]})
    assert found.address == "127.0.0.1"


def at(address: str, unit: str | None) -> Listener:
    return Listener(address, 8001, (Holder(7, "server", (unit,)),) if unit else ())


OF_A = ":8001, process 7 (server) of a.service"


@pytest.mark.parametrize(
    ("bind", "found", "ok", "seen"),
    [
        pytest.param("127.0.0.1", [at("127.0.0.1", "a.service")], True, f"127.0.0.1{OF_A}", id="as declared"),
        pytest.param("127.0.0.1", [at("0.0.0.0", "a.service")], False, f"0.0.0.0{OF_A}", id="at every address"),
        pytest.param("127.0.0.1", [at("::", "a.service")], False, f"[::]{OF_A}", id="at every IPv6 address"),
        pytest.param("127.0.0.1", [], False, "nothing listens on port 8001", id="nobody"),
        pytest.param(
            "127.0.0.1",
            [at("127.0.0.1", "b.service")],
            False,
            "127.0.0.1:8001, process 7 (server) of b.service",
            id="another unit",
        ),
        pytest.param(
            "127.0.0.1", [at("127.0.0.1", None)], None, "this user may not see who listens there", id="somebody unseen"
        ),
        pytest.param(
            "127.0.0.1",
            [at("127.0.0.1", "a.service"), at("10.0.0.5", "a.service")],
            False,
            f"10.0.0.5{OF_A}",
            id="at another address too",
        ),
        pytest.param(
            "127.0.0.1",
            [at("127.0.0.1", "a.service"), at("127.0.0.1", "b.service")],
            False,
            "127.0.0.1:8001, process 7 (server) of b.service",
            id="another unit too",
        ),
        pytest.param(
            "127.0.0.1",
            [at("127.0.0.1", "a.service"), at("10.0.0.5", "b.service")],
            True,
            f"127.0.0.1{OF_A}",
            id="another unit at another address",
        ),
        pytest.param("0.0.0.0", [at("0.0.0.0", "a.service")], True, f"0.0.0.0{OF_A}", id="declared at every address"),
        pytest.param("0.0.0.0", [at("::", "a.service")], True, f"[::]{OF_A}", id="declared at every address, IPv6"),
        pytest.param(
            "0.0.0.0",
            [at("127.0.0.1", "a.service")],
            False,
            f"127.0.0.1{OF_A}",
            id="declared at every address, at one alone",
        ),
    ],
)
def test_a_port_is_owned_by_the_unit_at_the_declared_address_alone(
    bind: str, found: list[Listener], ok: bool | None, seen: str
) -> None:
    check = checked(found, bind=bind)["port"]
    assert (check.ok, check.seen) == (ok, seen)


@pytest.mark.parametrize(
    ("changes", "red"),
    [
        pytest.param(
            {"active": "failed", "sub": "failed", "result": "oom-kill"},
            {"active": "failed (failed, result oom-kill)"},
            id="failed",
        ),
        pytest.param({"enabled": "disabled"}, {"enabled": "disabled"}, id="disabled"),
        pytest.param(
            {"loaded": "not-found", "active": "inactive", "enabled": ""},
            {"active": "not-found", "enabled": "no unit file"},
            id="no unit file",
        ),
        pytest.param({"main_pid": 0}, {"digest": "no process runs"}, id="no process"),
        pytest.param({"main_pid": 99999999}, {"digest": "process 99999999 ended meanwhile"}, id="a process that ended"),
    ],
)
def test_a_state_that_should_not_be_turns_its_own_check_red(
    changes: dict[str, object], red: dict[str, str], tmp_path: Path
) -> None:
    found = checked([at("127.0.0.1", "a.service")], tmp_path, changes)
    assert {name: check.seen for name, check in found.items() if check.ok is False} == {
        **red,
        "ready": "no answer: All connection attempts failed",
    }


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        pytest.param({"loaded": "masked", "active": "inactive"}, "active", "unit-missing", id="masked"),
        pytest.param(
            {"active": "failed", "sub": "failed", "result": "exit-code"}, "active", "unit-failed", id="failed"
        ),
        pytest.param(
            {"active": "activating", "sub": "auto-restart", "result": "exit-code"},
            "active",
            "unit-failed",
            id="restarting",
        ),
        pytest.param(
            {"active": "failed", "result": "core-dump", "signal": "SIGSEGV"}, "active", "process-crashed", id="crashed"
        ),
        pytest.param(
            {"active": "failed", "result": "signal", "signal": "SIGKILL"}, "active", "unit-failed", id="killed"
        ),
        pytest.param({"active": "inactive", "sub": "dead"}, "active", "unit-stopped", id="stopped"),
        pytest.param({"enabled": ""}, "enabled", "unit-disabled", id="disabled"),
        pytest.param({"main_pid": 0}, "digest", "no-process", id="no process"),
        pytest.param({}, "ready", "not-ready", id="not ready"),
        pytest.param({}, "active", None, id="active"),
        pytest.param({}, "digest", None, id="digest"),
    ],
)
def test_each_state_that_should_not_be_has_its_code(
    changes: dict[str, object], name: str, code: str | None, tmp_path: Path
) -> None:
    assert checked([], tmp_path, changes)[name].code == code


@pytest.mark.parametrize(
    ("found", "code"),
    [
        pytest.param([], "port-silent", id="nobody"),
        pytest.param([at("127.0.0.1", "b.service")], "port-taken", id="another unit"),
        pytest.param([at("0.0.0.0", "a.service")], "port-elsewhere", id="at every address"),
        pytest.param(
            [at("0.0.0.0", "a.service"), at("127.0.0.1", "b.service")],
            "port-taken",
            id="at every address and another unit",
        ),
        pytest.param([at("127.0.0.1", None)], None, id="somebody unseen"),
    ],
)
def test_whose_port_it_is_has_its_code(found: list[Listener], code: str | None) -> None:
    assert checked(found)["port"].code == code


def test_another_digest_has_its_code(tmp_path: Path) -> None:
    assert checked([], tmp_path, environ=b"AI_BACKEND_DIGEST=other\0")["digest"].code == "digest-outdated"


def test_a_process_without_a_digest_is_told(tmp_path: Path) -> None:
    found = checked([], tmp_path, environ=b"PATH=/bin\0")
    assert found["digest"].code == "digest-missing"
    assert found["digest"].seen == "process 612 has no AI_BACKEND_DIGEST in its environment"
    assert found["digest"].expected == "abc"


def checked(
    found: Sequence[Listener],
    folder: Path | None = None,
    changes: dict[str, object] | None = None,
    *,
    bind: str = "127.0.0.1",
    environ: bytes = b"AI_BACKEND_DIGEST=abc\0",
) -> dict[str, Check]:
    """The checks of a unit that nobody can connect to, by the last part of their ids."""
    proc = folder or Path("/nowhere")
    unit_file = proc / "a.service"
    if folder:
        unit_file.write_text("[Service]\nEnvironment=AI_BACKEND_DIGEST=abc\n")
        (proc / "612").mkdir()
        (proc / "612/environ").write_bytes(environ)
    service = Service("a.service", bind, 8001, "http://127.0.0.1:9/", 0, unit_file)
    state = replace(OLLAMA, name="a.service", **(changes or {}))  # type: ignore[arg-type]

    async def read(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
        return {state.name: state}

    async def run() -> list[Check]:
        async with httpx.AsyncClient(trust_env=False) as client:
            settled = await settle([service], context(deployed(NOWHERE), client, read_states=read))
        return list(await asyncio.gather(*unit_checks(service, settled, found, proc)))

    return {check.id.rpartition("/")[2]: check for check in asyncio.run(run())}
