"""Taking a frozen instance out of work: real processes that are really stopped, and HAProxy's side of its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.litellm import watch_instances
from roles.litellm.watch_instances import Front, Watch, is_frozen
from tests.ports import free_port

_SERVER = """
import asyncio, sys, time
async def answer(reader, writer):
    await reader.read(100)
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    print("listens", flush=True)
    while sys.argv[2:]:
        time.sleep(0.2)  # the loop is held up again and again, as by work
        await asyncio.sleep(0)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture
def instances() -> Iterator[dict[str, tuple[int, subprocess.Popen[str]]]]:
    """Two processes that listen; the second works without a pause."""
    started = {}
    for name, busy in (("a", []), ("b", ["busy"])):
        port = free_port()
        command = [sys.executable, "-c", _SERVER, str(port), *busy]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "listens\n"
        started[name] = (port, process)
    yield started
    for _, process in started.values():
        process.kill()
        process.wait()


class Haproxy:
    """Answers as HAProxy does, and keeps what it was told. The second server always answers somebody."""

    def __init__(self, **statuses: str) -> None:
        self.statuses = statuses
        self.told: list[str] = []
        self.answered = 0
        self.goes_on = True

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = (await reader.readline()).decode().strip()
        if command == "show stat gateways 4 -1":
            self.answered += self.goes_on
            sent = {"a": 7, "b": self.answered}
            rows = "".join(f"gateways,{name},{status},{sent[name]},\n" for name, status in self.statuses.items())
            writer.write(f"# pxname,svname,status,bout,\n{rows}\n".encode())
        else:
            self.told.append(command)
            name = command.split("/")[1].split()[0]
            if command.startswith("set"):
                self.statuses[name] = "DOWN"
            writer.write(b"\n")
        await writer.drain()
        writer.close()


async def watched(haproxy: Haproxy, folder: Path, ports: dict[str, int], seconds: float) -> list[str]:
    path = str(folder / "s")
    async with await asyncio.start_unix_server(haproxy.answer, path):
        front = Front(path, "gateways")
        watching = asyncio.create_task(Watch(front, ports).run())
        await asyncio.sleep(seconds)
        watching.cancel()
    return haproxy.told


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_instances, "PATIENCE", 1.0)
    monkeypatch.setattr(watch_instances, "PAUSE", 0.1)


@pytest.mark.usefixtures("hasty")
def test_a_frozen_one_is_out_of_work_and_a_busy_one_is_not(
    instances: dict[str, tuple[int, subprocess.Popen[str]]], tmp_path: Path
) -> None:
    os.kill(instances["a"][1].pid, signal.SIGSTOP)
    ports = {name: port for name, (port, _) in instances.items()}
    told = asyncio.run(watched(Haproxy(a="UP", b="UP"), tmp_path, ports, 3.5))
    assert told == ["set server gateways/a health down"]


@pytest.mark.usefixtures("hasty")
def test_the_last_one_is_left_at_work(instances: dict[str, tuple[int, subprocess.Popen[str]]], tmp_path: Path) -> None:
    os.kill(instances["a"][1].pid, signal.SIGSTOP)
    ports = {name: port for name, (port, _) in instances.items()}
    assert asyncio.run(watched(Haproxy(a="UP", b="DOWN"), tmp_path, ports, 3)) == []


@pytest.mark.usefixtures("hasty")
def test_where_none_answers_in_time_all_stay_at_work(
    instances: dict[str, tuple[int, subprocess.Popen[str]]], tmp_path: Path
) -> None:
    """As on a host that has more to do than it can: each looks frozen, and clients would be refused."""
    haproxy = Haproxy(a="UP", b="UP")
    haproxy.goes_on = False
    for _, process in instances.values():
        os.kill(process.pid, signal.SIGSTOP)
    assert asyncio.run(watched(haproxy, tmp_path, {name: port for name, (port, _) in instances.items()}, 3.5)) == []


@pytest.mark.usefixtures("hasty")
def test_one_that_goes_on_and_one_that_is_not_there_are_not_frozen(
    instances: dict[str, tuple[int, subprocess.Popen[str]]],
) -> None:
    port, process = instances["a"]
    os.kill(process.pid, signal.SIGSTOP)
    assert asyncio.run(is_frozen(port))
    os.kill(process.pid, signal.SIGCONT)
    assert not asyncio.run(is_frozen(port))
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(is_frozen(free_port()))
