"""What others name, in any bytes: processes, their groups, what they log and leave. It is read, and told on a line."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roles.host.programs.foreign.listeners import listeners as read_listeners
from roles.host.programs.foreign.listeners import unit_of
from roles.host.programs.systemd import Manager
from roles.ollama import loader
from roles.verify import read_verdict
from roles.verify.probe.processes import processes_of, units_of
from roles.verify.probe.sockets import described, listeners
from roles.verify.verdict.claim import CannotCheck, Claim, or_reason
from roles.verify.verdict.quoting import decoded, escaped
from tests.verdicts import GOOD, as_written

OURS = f"user@{os.getuid()}.service"
NAMES = {
    "no UTF-8": (b"\xff\xfe\x80", r"\xff\xfe\x80"),
    "a newline": (b"a\nb", r"a\nb"),
    "brackets and spaces": (b"a) [b] (c", "a) [b] (c"),
    "an escape of a terminal": (b"\x1b[2J\x07", r"\x1b[2J\x07"),
    "nothing": (b"", ""),
    "a line end of Unicode": ("\u2028\x85".encode(), r"\u2028\x85"),
    "half a character": ("é".encode()[:1] + b"x", r"\xc3x"),
    "a text that turns around": ("\u202ecba".encode(), r"\u202ecba"),
}
"""What a process may call itself, in 15 bytes, and how that is told."""

_LISTENER = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]), 0, 0, 0)  # PR_SET_NAME
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def listener(name: bytes) -> Iterator[tuple[int, int]]:
    """A process of that name that listens: its number, and the port."""
    command = [sys.executable, "-c", _LISTENER, name.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


@pytest.mark.parametrize("name", NAMES)
def test_a_listening_process_is_told_whatever_it_is_called(name: str) -> None:
    given, told = NAMES[name]
    with listener(given) as (pid, port):
        (found,) = listeners({port})
        assert f"process {pid} ({told})" in described([found])
        assert "\n" not in described([found])
        (holder,) = read_listeners((port,))[port]
        assert (holder.pid, holder.process) == (pid, told or "a process without a name")


@pytest.mark.parametrize(
    ("path", "units"),
    [
        pytest.param("/system.slice/litellm.service", ("litellm.service",), id="a unit"),
        pytest.param(
            "/system.slice/system-litellm.slice/litellm@a.service/more",
            ("litellm@a.service",),
            id="below a unit of a slice",
        ),
        pytest.param(
            "/user.slice/user-7.slice/user@7.service/app.slice/litellm.service",
            ("user@7.service",),
            id="a unit of another manager",
        ),
        pytest.param("/user.slice/user-7.slice/session-3.scope/litellm.service", ("session-3.scope",), id="a session"),
        pytest.param("/system.slice/docker.service/litellm.service", ("docker.service",), id="a container"),
        pytest.param("/system.slice/\udcff.slice/litellm.service", ("litellm.service",), id="a slice with odd bytes"),
        pytest.param("/", (), id="the root"),
        pytest.param("", (), id="nothing"),
        pytest.param(
            f"/user.slice/{OURS}/app.slice/a.service/b.service",
            (OURS, "a.service"),
            id="below a unit of our own manager",
        ),
    ],
)
def test_only_what_our_own_manager_has_made_is_a_unit_of_ours(
    tmp_path: Path, path: str, units: tuple[str, ...]
) -> None:
    process = tmp_path / "612"
    process.mkdir()
    (process / "cgroup").write_bytes(os.fsencode(f"0::{path}\n"))
    assert units_of(process) == units
    assert processes_of(units, tmp_path) == {unit: {612} for unit in units}
    mine = [unit for unit in units if unit.endswith(".service") and unit != OURS]
    expected = ("litellm.service", pwd.getpwuid(7).pw_name) if mine == ["user@7.service"] else (*mine[:1], None)
    assert unit_of(process) == (expected if mine else None)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\n", id="no text"),
        pytest.param(b"header\n 0: junk\n", id="junk"),
        pytest.param(b"header\n\n", id="an empty line"),
        pytest.param(b"a\n" + b"0 " * 9 + b"\n", id="fields that are all 0"),
    ],
)
def test_a_table_of_sockets_that_makes_no_sense_names_none(tmp_path: Path, table: bytes) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_bytes(table)
    assert listeners(None, tmp_path) == ()


def test_every_byte_is_decoded_and_every_character_escaped_or_kept() -> None:
    every = bytes(range(256))
    assert escaped(decoded(every)).isprintable()
    halves = "".join(map(chr, range(0xD800, 0xE000)))
    assert escaped(halves).isascii()
    assert escaped("a\nb\tc", keep="\n") == "a\nb\\tc"
    assert escaped(decoded("你好".encode())) == "你好"


def test_log_lines_that_are_no_text_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "journalctl"
    program.write_text("#!/bin/sh\nprintf 'first\\nBroken \\377\\376 \\001 line\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert r"Broken \xff\xfe" in Manager("system").last_log_lines("a.service")


# What nobody foresaw


async def _defect() -> str:
    raise KeyError("odd")


def test_an_exception_that_nobody_foresaw_costs_one_check_and_tells_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claim("host/x", "host", "is", "so")
    with pytest.raises(KeyError):
        asyncio.run(claim.check(_defect()))  # in tests it shows
    monkeypatch.undo()
    check = asyncio.run(claim.check(_defect()))
    assert check.ok is None
    assert check.seen.startswith("cannot check: KeyError: 'odd' (test_foreign_names.py:")
    told = asyncio.run(or_reason(_defect()))
    assert isinstance(told, CannotCheck)
    assert str(told).startswith("cannot check: KeyError: 'odd'")


async def _seen() -> str:
    return "a \udcff name\n\x1b]0;title\x07"


def test_what_was_seen_can_be_shown_and_written_whatever_it_holds() -> None:
    check = asyncio.run(Claim("host/x", "host", "is", "so").check(_seen()))
    assert check.seen == "a \\udcff name\n\\x1b]0;title\\x07"
    verdict = replace(GOOD, host="\udcff", checks=(check,))
    assert read_verdict(verdict.to_json().encode().decode()) == as_written(verdict)


def test_a_kept_verdict_without_a_time_is_none() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        read_verdict(GOOD.to_json().replace(GOOD.time, "yesterday"))


# What an Ollama server says


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("pulling\nMAINPID=1", id="two lines"),
        pytest.param("\udcff", id="a lone surrogate"),
        pytest.param("a\0b", id="a NUL"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_a_server_says_is_one_line_of_a_units_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        loader.Progress().show("model", {"status": words, "total": "many", "completed": None})
        message = manager.recv(4096)
    assert message.startswith(b"STATUS=model:")
    assert b"\n" not in message


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "7",
        "{}",
        '{"models": 7}',
        '{"models": [7]}',
        '{"models": [{}]}',
        pytest.param("\\ud800", id="a lone surrogate"),
    ],
)
def test_an_answer_that_ollama_would_not_give_is_told_and_no_traceback(answer: str, tmp_path: Path) -> None:
    script = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
        "c, _ = s.accept()\nc.recv(4096)\n"
        f"c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + {answer!r}.encode())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        with pytest.raises(loader.Interrupted):
            loader.Server(address, 5).digests()
