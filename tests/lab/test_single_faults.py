"""No single fault blocks or blinds a deploy: a full disk, a lock that is lost, a step that outlives its run, a host
that vanishes in the middle of a step or that has fallen into somebody's hands. Nothing has to be deployed for it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roles.verify import Verdict
from tests.lab.conftest import NewHost
from tests.lab.deploys import PYINFRA, SMALL, Run, deploy, failures, verdict
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY
from tests.verdicts import GOOD

STATE = "/var/lib/ai-backend"
SILENCE = 8
"""Seconds after which a connection is given up here."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("single", small_disks={STATE: "1G"})


def test_a_full_state_disk_leaves_no_lock_of_its_own_and_says_so(host: LabHost) -> None:
    host.run(f"mkdir {STATE}/lock")  # as a version before left it on a full disk
    host.run(f"head -c 2G /dev/zero > {STATE}/filler", check=False)
    run = deploy(host)
    host.run(f"rm {STATE}/filler")
    assert run.status == 1
    assert f"{STATE}/lock does not say who holds it, so nobody does: taken over" in run.output
    assert f"{STATE}/lock: No space left on device: make room there (`df -h`, `df -i`), then run again" in run.output
    assert "Traceback" not in run.output
    assert host.run(f"ls -A {STATE}/lock").stdout == ""


def test_a_state_disk_that_has_become_read_only_says_so(host: LabHost) -> None:
    """As the kernel makes one whose disk fails."""
    host.run(f"mount -o remount,bind,ro {STATE}")
    try:
        run = deploy(host)
    finally:
        host.run(f"mount -o remount,bind,rw {STATE}")
    assert run.status == 1
    told = "Read-only file system: the file system is read-only, as the kernel makes one whose disk fails"
    assert re.search(rf"{STATE}/\S+: {told}", run.output)
    assert "Traceback" not in run.output


def lost(run: Run, step: str) -> None:
    assert run.status == 1, run.output
    assert f'the connection was lost in "{step}": nothing came for {SILENCE} s' in run.output
    assert "then run again to continue" in run.output
    assert "Traceback" not in run.output


def test_a_host_that_freezes_before_its_first_answer_ends_the_run(host: LabHost) -> None:
    """Its kernel goes on to acknowledge what is sent."""
    frozen = "systemd-run --quiet --unit frozen sh -c 'sleep 0.2; pkill -STOP -x sshd; sleep 30; pkill -CONT -x sshd'"
    data = {"ssh_silence": str(SILENCE)}
    run = deploy(host, "preflight.py", data=data, at="Connected", do=lambda: host.run(frozen))
    lost(run, "the first look at it")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and host.run("true", check=False).returncode != 0:
        time.sleep(0.5)


HOSTILE = "\\033]0;pwned\\007\\033[2J\\033[1;1H\\302\\233\\061;31m\\342\\200\\256[link=http://x]\\r--> \\177\\377\\n"
"""For `printf`: a title, a cleared screen, C1, a turned direction, markup, a faked header, and what is no UTF-8."""
PYTHON = f"""#!/bin/sh
printf '{HOSTILE}{HOSTILE}'
printf '{HOSTILE}' >&2
exec /usr/bin/honest-python3 "$@"
"""
VERIFIER = f"#!/bin/sh\nprintf '{HOSTILE}' >&2\ncat /root/verdict\nexit 1\n"


def hostile_verdict() -> Verdict:
    words = "\x1b]0;pwned\x07 \x9b31m \u202e [link=http://x]here[/link]\nFAIL faked"
    checks = tuple(replace(check, seen=f"{words} {check.seen}", ok=False) for check in GOOD.checks)
    return replace(GOOD, host="\x1b[2Jpwned\n--> Results:", checks=checks)


@contextlib.contextmanager
def in_foreign_hands(host: LabHost) -> Iterator[None]:
    """Its Python says more than it should."""
    swap = "mv /usr/bin/python3 /usr/bin/honest-python3; cat > /usr/bin/python3; chmod 755 /usr/bin/python3"
    host.run(swap, input=PYTHON)
    try:
        yield
    finally:
        host.run("mv /usr/bin/honest-python3 /usr/bin/python3")


def drives_nothing(shown: str) -> None:
    assert "Traceback" not in shown
    # Colours are pyinfra's own.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain), repr(plain)
    assert not re.search("^FAIL faked", plain, re.MULTILINE)


def test_a_host_in_foreign_hands_does_not_drive_the_terminal(host: LabHost) -> None:
    found = json.dumps(json.loads(hostile_verdict().to_json()), ensure_ascii=False)
    host.run(f"mkdir -p {STATE}/lock /etc/ai-backend/bin && cat > /root/verdict", input=found)
    host.run("cat > /etc/ai-backend/bin/verify && chmod 755 /etc/ai-backend/bin/verify", input=VERIFIER)
    try:
        with in_foreign_hands(host):
            for name in ("verify.py", "history.py", "unlock.py"):
                shown = on_a_terminal(host, name, SMALL)
                assert "pwned" in shown or name == "history.py"
                drives_nothing(shown)
    finally:
        host.run("rm -r /etc/ai-backend")


def on_a_terminal(host: LabHost, deploy: str, inventory: Path) -> str:
    """What pyinfra shows on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(PYINFRA), "-y", str(inventory), f"deploys/{deploy}"],
        cwd=REPOSITORY,
        env={**os.environ, "LAB_HOST": host.name, "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # how a terminal ends
        os.close(ours)
    return shown.decode()


def test_a_run_that_loses_its_lock_ends_with_that(host: LabHost) -> None:
    run = deploy(host, at="Starting operation: Prepare the system", do=lambda: host.run(f"rm -r {STATE}/lock"))
    assert run.status == 1
    assert "this run has lost the deploy lock, which is gone: it was broken" in run.output
    assert "Traceback" not in run.output


def test_a_host_whose_cable_is_pulled_in_a_step_ends_the_run_and_the_next_one_waits_for_that_step(
    host: LabHost,
) -> None:
    cut: list[float] = []

    def pull() -> None:
        # With a warm cache it would have ended before the next run comes.
        host.run("pkill -STOP -u ai-backend-build")
        host.cut_link()
        cut.append(time.monotonic())

    run = deploy(host, data={"ssh_silence": str(SILENCE)}, at="compiling with", do=pull)
    took = time.monotonic() - cut[0]
    host.restore_link()
    lost(run, "Make installs")
    print(f"given up {took:.1f} s after the cable was pulled")
    assert took < 3 * SILENCE
    # The step goes on there; whose it is, and since when, is said.
    again = deploy(host, at="waiting for another step on this host: 'install' of ")
    host.run("pkill -CONT -u ai-backend-build")
    assert "taking over the lock of an earlier run of yours that is gone" in again.output
    assert re.search(r"'install' of \S+, under way since 20\S+ \S+ UTC, 5 s", again.output)
    # And once that has ended, a run comes to its end.
    deploy(host).must_pass()
    assert failures(verdict(host)) == []


def test_nor_does_it_in_a_deploy(host: LabHost) -> None:
    with in_foreign_hands(host):
        host.run("systemctl stop llama-server@native")  # so that there is something to do
        shown = on_a_terminal(host, "full.py", SMALL)
    assert "pwned" in shown
    drives_nothing(shown)
    deploy(host).must_pass()
    assert failures(verdict(host)) == []
