"""What the verifier makes of what is installed: files under a running process, and packages."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any

import pytest

from roles.contract.verdict import Check
from roles.host.programs import state
from roles.verify.checks.binaries import binary_check
from roles.verify.checks.packages import packages_check
from roles.verify.generation import Service
from roles.verify.verdict.claim import CannotCheck

UNIT = "ai-backend-front.service"
SERVICE = Service(UNIT, "127.0.0.1", 4000, "http://127.0.0.1:4000/", 30, Path("/nowhere"))


def made(check: Coroutine[Any, Any, Check]) -> tuple[bool | None, str]:
    found = asyncio.run(check)
    return found.ok, found.seen


def maps(*lines: str) -> str:
    """As Linux writes it, with a mapping that is nobody's business at its beginning and end."""
    own = "7f0000000000-7f0000001000 r-xp 00000000 00:00 0          [vdso]"
    shared = "7f0000000000-7f0000001000 r-xp 00000000 fd:01 1234   /usr/lib/libc.so.6"
    return "\n".join([shared, *lines, own]) + "\n"


def mapped(path: str, rights: str = "r-xp") -> str:
    return f"7f0000000000-7f0000001000 {rights} 00000000 fd:01 1234                       {path}"


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ([], None),
        (["/usr/sbin/haproxy (deleted)"], "needs restart: /usr/sbin/haproxy replaced since it started"),
        (["/usr/lib/a b (c).so (deleted)"], "needs restart: /usr/lib/a b (c).so replaced since it started"),
        (
            [f"/usr/lib/{name}.so (deleted)" for name in "dcba"],
            "needs restart: /usr/lib/a.so, /usr/lib/b.so, /usr/lib/c.so and 1 more replaced since it started",
        ),
        # Code that programs make for themselves, and keep no name of.
        (["/memfd:libffi (deleted)", "/dev/zero (deleted)", "/SYSV00000000 (deleted)", "/tmp/ffiX (deleted)"], None),
        (["/home/a/.cache/torch/x.so (deleted)", "/var/cache/private/x.so (deleted)"], None),
        # A file that ends in the words, and is there.
        (["/usr/lib/x (deleted).so"], None),
    ],
    ids=["none", "program", "odd name", "many", "its own", "caches", "not deleted"],
)
def test_a_process_of_replaced_files_needs_a_restart(tmp_path: Path, lines: list[str], seen: str | None) -> None:
    (tmp_path / "612").mkdir()
    (tmp_path / "612/maps").write_text(maps(*map(mapped, lines)))
    assert made(binary_check(SERVICE, {612}, tmp_path)) == ((True, "1 process") if seen is None else (False, seen))
    told = [file for file in state._replaced_files(tmp_path / "612") if not state._OWN_CODE.search(file)]
    assert bool(told) == (seen is not None), "a deploy sees what the verifier sees"


def test_data_may_be_replaced_under_a_process(tmp_path: Path) -> None:
    (tmp_path / "612").mkdir()
    (tmp_path / "612/maps").write_text(maps(mapped("/usr/share/locale-archive (deleted)", "r--p")))
    assert made(binary_check(SERVICE, {612}, tmp_path))[0] is True


@pytest.mark.parametrize(
    ("processes", "found"),
    [
        ({99999999}, (True, "1 process")),
        (set(), (False, "no process runs")),
        (CannotCheck("not known"), (None, "not known")),
    ],
    ids=["ended", "none", "unknown"],
)
def test_what_does_not_run_runs_nothing_old(
    processes: Collection[int] | CannotCheck, found: tuple[bool | None, str]
) -> None:
    assert made(binary_check(SERVICE, processes, Path("/proc"))) == found


def test_a_program_that_is_replaced_while_it_runs_is_found(tmp_path: Path) -> None:
    """The kernel's own words; not below /tmp, where programs keep code of their own."""
    program = Path.home() / f".test-{tmp_path.name}"
    shutil.copy("/bin/sleep", program)
    try:
        with subprocess.Popen([program, "60"]) as process:
            assert made(binary_check(SERVICE, {process.pid}, Path("/proc")))[0] is True
            shutil.copy("/bin/sleep", f"{program}.new")
            Path(f"{program}.new").rename(program)
            told = f"needs restart: {program} replaced since it started"
            assert made(binary_check(SERVICE, {process.pid}, Path("/proc"))) == (False, told)
            assert state._replaced_files(Path("/proc", str(process.pid))) == [str(program)]
            process.kill()
    finally:
        program.unlink()


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (r"haproxy installed\nredis-server installed", (True, "2 installed")),
        (r"haproxy config-files\nredis-server installed", (False, "haproxy is config-files")),
        (r"haproxy installed\n\377 half\n\nodd", (False, "redis-server is not-installed")),
    ],
    ids=["there", "removed", "unknown"],
)
def test_a_package_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, found: tuple[bool, str]
) -> None:
    program = tmp_path / "dpkg-query"
    program.write_text(f"#!/bin/sh\nprintf '{known}\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert made(packages_check(["haproxy", "redis-server"])) == found
