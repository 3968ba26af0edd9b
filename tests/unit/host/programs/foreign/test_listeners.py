"""Whose a port is: containers, socket units and services of other managers, from what the kernel, the engines and
systemd say.

Docker and Podman are not here. What they print is as in reports to their projects: Docker's ports in
docker/compose#5821 and moby/moby#40405 (its `publish` filter looks at the wrong ports before 20.10), Podman's refusal
of a filter in podman#8512.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roles.contract.foreign import SYSTEM, Container
from roles.host.programs.foreign import listeners
from roles.host.programs.foreign.listeners import ports_of, unit_of

ID = "4f3c9a1b5d2e8f604c7a9b3d1e5f8a2c4b6d8e0f1a3c5e794f3c9a1b5d2e8f60"
OTHER_ID = "0" * 64
DOCKER = f"""\
{ID}\tollama\tollama/ollama:latest\t0.0.0.0:11434->11434/tcp, :::11434->11434/tcp
{OTHER_ID}\texample_test_1\t192.168.1.61:5000/example:latest\t9001/tcp, 0.0.0.0:5423->22/tcp, 0.0.0.0:5419->11434/tcp
{"1" * 64}\tranges\tnginx:alpine\t0.0.0.0:8000-8010->80-90/tcp, [::]:8000-8010->80-90/tcp, 0.0.0.0:4000->4000/udp
{"2" * 64}\ttest_no_ports\tnginx:alpine\t80/tcp
"""
PODMAN = f"{ID}\tllm\tghcr.io/ggml-org/llama.cpp:server\t0.0.0.0:8080->8080/tcp\n"
SOCKETS = """\
/run/systemd/journal/stdout   systemd-journald.socket         systemd-journald.service
[::]:22                       ssh.socket                      ssh.service
127.0.0.1:11434               ollama.socket                   ollama.service
127.0.0.1:14000               other.socket                    other.service
audit 1                       systemd-journald-audit.socket   systemd-journald.service
vsock:2:4000                  sshd-vsock.socket               -
*:4000                        page.socket                     page.service
"""


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that print what they are given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def prints(engines: Path, name: str, text: str, condition: str = "") -> None:
    (engines / f"{name}.txt").write_text(text)
    (engines / name).write_text(f'#!/bin/sh\n{condition}\nexec cat "{engines}/{name}.txt"\n')
    (engines / name).chmod(0o755)


def process(folder: Path, cgroup: str, name: str = "x", number: str = "612") -> Path:
    made = folder / number
    made.mkdir()
    (made / "comm").write_text(f"{name}\n")
    (made / "cgroup").write_text(f"0::{cgroup}\n")
    return made


@pytest.mark.parametrize(
    "cgroup",
    [
        pytest.param(f"/system.slice/docker-{ID}.scope", id="systemd"),
        pytest.param(f"/docker/{ID}", id="cgroupfs"),
        pytest.param(f"/docker/{ID}/init", id="below"),
        pytest.param(f"/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{ID}.scope", id="rootless"),
    ],
)
def test_a_process_in_a_container_is_named_by_its_engine(engines: Path, tmp_path: Path, cgroup: str) -> None:
    prints(engines, "docker", DOCKER)
    found = listeners._container(process(tmp_path, cgroup, "ollama"), "ollama", 11434)
    assert found == Container(engine="docker", name="ollama", image="ollama/ollama:latest")


@pytest.mark.parametrize(
    "cgroup",
    [
        pytest.param(f"/machine.slice/libpod-{ID}.scope/container", id="the container"),
        pytest.param(f"/machine.slice/libpod-conmon-{ID}.scope", id="its monitor"),
    ],
)
def test_podmans_containers_and_their_monitors_are_named(engines: Path, tmp_path: Path, cgroup: str) -> None:
    refuses = 'case "$*" in *publish*) echo "Error: publish is an invalid filter" >&2; exit 125;; esac'
    prints(engines, "podman", PODMAN, refuses)
    image = "ghcr.io/ggml-org/llama.cpp:server"
    assert listeners._container(process(tmp_path, cgroup, "conmon"), "conmon", 8080) == Container(
        engine="podman", name="llm", image=image
    )


@pytest.mark.parametrize(
    ("port", "name"),
    [
        pytest.param(11434, "ollama", id="a port that another has within"),
        pytest.param(5423, "example_test_1", id="the second of several"),
        pytest.param(8000, "ranges", id="the first of a range"),
        pytest.param(8010, "ranges", id="the last of a range"),
        pytest.param(8011, "", id="after a range"),
        pytest.param(22, "", id="a port within"),
        pytest.param(9001, "", id="not published"),
        pytest.param(4000, "", id="of UDP"),
    ],
)
def test_a_proxys_container_is_the_one_that_publishes_the_port(
    engines: Path, tmp_path: Path, port: int, name: str
) -> None:
    prints(engines, "docker", DOCKER)
    proxy = process(tmp_path, "/system.slice/docker.service", "docker-proxy")
    found = listeners._container(proxy, "docker-proxy", port)
    assert found is not None
    assert (found.engine, found.name) == ("docker", name)


@pytest.mark.parametrize("proxy", ["conmon", "rootlessport", "pasta", "pasta.avx2"])
def test_podmans_proxies_are_asked_for_by_the_port(engines: Path, tmp_path: Path, proxy: str) -> None:
    prints(engines, "podman", PODMAN)
    found = listeners._container(process(tmp_path, "/user.slice/x.scope", proxy), proxy, 8080)
    assert found == Container(engine="podman", name="llm", image="ghcr.io/ggml-org/llama.cpp:server")


def test_an_engine_that_is_not_there_fails_or_hangs_leaves_the_number(
    engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = Container(engine="docker", id=ID[:12])
    here = process(tmp_path, f"/docker/{ID}")
    assert listeners._container(here, "x", 1) == unknown
    message = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    prints(engines, "docker", "", f'echo "{message}" >&2; exit 1')
    assert listeners._container(here, "x", 1) == unknown
    monkeypatch.setattr(listeners, "_ASK_SECONDS", 0.1)
    prints(engines, "docker", DOCKER, "exec sleep 20")
    assert listeners._container(here, "x", 1) == unknown
    assert listeners._container(
        process(tmp_path, f"/kubepods.slice/cri-containerd-{ID}.scope", number="7"), "x", 1
    ) == (Container(engine="cri-containerd", id=ID[:12]))


def test_what_is_in_no_container_has_none(tmp_path: Path) -> None:
    assert listeners._container(process(tmp_path, "/system.slice/ollama.service"), "ollama", 11434) is None


@pytest.mark.parametrize(
    ("port", "unit"),
    [
        pytest.param(22, "ssh.socket", id="IPv6"),
        pytest.param(11434, "ollama.socket", id="one address"),
        pytest.param(4000, "page.socket", id="not a virtual machine's, and not the end of another port"),
        pytest.param(1434, None, id="the end of another port"),
    ],
)
def test_the_socket_unit_of_a_port_is_found(engines: Path, port: int, unit: str | None) -> None:
    prints(engines, "systemctl", SOCKETS)
    assert listeners._socket_unit(port, "--system") == unit


def test_without_an_answer_of_systemd_there_is_no_socket_unit(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "_ASK_SECONDS", 0.1)
    prints(engines, "systemctl", SOCKETS, "exec sleep 20")
    assert listeners._socket_unit(22, "--system") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    assert listeners._socket_unit(22, "--system") is None


def test_a_socket_of_systemd_is_told_with_the_manager_that_listens(
    engines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process 1, for root and for a user; then that user's own manager, and another's."""
    prints(engines, "systemctl", SOCKETS, '[ "$1" = --user ] && { echo "*:22 mine.socket mine.service"; exit; }')
    first = process(tmp_path, "/init.scope", "systemd", "1")
    found = listeners._listener(first, 22)
    assert (found.unit, found.manager) == ("ssh.socket", SYSTEM if os.getuid() else None)
    monkeypatch.setattr(os, "getuid", lambda: 7)
    found = listeners._listener(first, 22)
    assert (found.unit, found.manager) == ("ssh.socket", SYSTEM)
    own = process(tmp_path, "/user.slice/user-7.slice/user@7.service/init.scope", "systemd", "612")
    found = listeners._listener(own, 22)
    assert (found.unit, found.manager) == ("mine.socket", None)
    others = process(tmp_path, "/user.slice/user-65500.slice/user@65500.service/init.scope", "systemd", "613")
    found = listeners._listener(others, 22)
    assert (found.unit, found.manager) == (None, "65500")


def test_a_service_of_the_host_is_none_of_a_users_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have the name of one of that user's."""
    vendors = process(tmp_path, "/system.slice/ollama.service")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert unit_of(vendors) == ("ollama.service", None)
    monkeypatch.setattr(os, "getuid", lambda: 7)
    assert unit_of(vendors) == ("ollama.service", SYSTEM)
    own = process(tmp_path, "/user.slice/user-7.slice/user@7.service/app.slice/ollama.service", number="7")
    assert unit_of(own) == ("ollama.service", None)


LISTENS = """
import socket, subprocess, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
child = subprocess.Popen([sys.executable, "-c", sys.argv.pop(), *sys.argv[1:]]) if sys.argv[1:] else None
sys.stdin.read()
"""
STARTS = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv.pop(), *sys.argv[1:]])
"""


@pytest.mark.parametrize(
    ("programs", "wanted"),
    [([LISTENS], 1), ([LISTENS, LISTENS], 1), ([STARTS, LISTENS], 1), ([STARTS, LISTENS, LISTENS], 1)],
    ids=["one process", "what it has started listens too", "a wrapper", "all three"],
)
def test_the_ports_of_what_a_listening_process_has_started_are_none_of_its_units(
    programs: list[str], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *more = programs
    with subprocess.Popen(
        [sys.executable, "-c", first, *reversed(more)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout
        ports = [int(process.stdout.readline()) for each in programs if each is LISTENS]
        monkeypatch.setattr(
            listeners, "unit_of", lambda each: ("x.service", None) if os.getsid(int(each.name)) == process.pid else None
        )
        assert ports_of(("x.service",), None) == tuple(ports[:wanted])
        assert ports_of(("other.service",), None) == ()
        process.communicate("")
