"""No single fault blinds or blocks: full disks, locks that somebody left, torn files, a clock that was ahead, a host
that vanishes in the middle of a step or that has fallen into somebody's hands."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import HEADER, PYINFRA, Run, ask, deploy, failures, verdict
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

STATE = "/var/lib/ai-backend"
SILENCE = 8
"""Seconds after which a connection is given up here."""
SOON = 20
"""Seconds after which the host's own verification has told what it found, whatever somebody has left on the host."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    host = new_module_host("single", small_disks={STATE: "1G"})
    deploy(host).must_pass()
    return host


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Inventories that differ from what is deployed in one option."""

    def write(size: int) -> Path:
        path = tmp_path_factory.mktemp("inventory") / "changed.py"
        path.write_text(f"{HEADER}hosts = [lab_host(lab_stack(native={{'context_size': {size}}}))]")
        return path

    return write


def seconds_of_a_verification(host: LabHost) -> float:
    began = time.monotonic()
    host.run("systemctl start --wait ai-backend-verify", check=False, timeout=120)
    return time.monotonic() - began


def test_a_full_state_disk_leaves_no_lock_and_is_told_at_once(host: LabHost, changed: Callable[[int], Path]) -> None:
    host.run(f"mkdir {STATE}/lock")  # as a version before left it
    host.run(
        f"fallocate -l $(df --output=avail -B1 {STATE} | tail -1) {STATE}/filler; "
        f"head -c 100M /dev/zero >> {STATE}/filler; sync",
        check=False,
    )
    run = deploy(host, inventory=changed(1024))
    assert run.status == 1
    assert f"{STATE}/lock: No space left on device: make room there (`df -h`, `df -i`), then run again" in run.output
    assert "Traceback" not in run.output
    assert host.run(f"ls -A {STATE} | grep lock", check=False).stdout == ".lock-guard\nlock\n"
    took = seconds_of_a_verification(host)
    assert took < SOON
    assert "host/disk: " in host.run("journalctl -b -u ai-backend-verify -o cat").stdout
    host.run(f"rm {STATE}/filler")
    run = deploy(host, inventory=changed(1024)).must_pass()
    assert f"{STATE}/lock does not say who holds it, so nobody does: taken over" in run.output


def test_a_lock_that_somebody_left_delays_no_alarm(host: LabHost) -> None:
    holder = {"id": "x", "who": "carol@desk", "pid": "1", "since": "2026-11-24 12:00:00 UTC", "boot_id": host.boot_id()}
    host.run(f"mkdir {STATE}/lock && cat > {STATE}/lock/holder.json", input=json.dumps(holder))
    host.run("mount -o remount,size=16m /run && fallocate -l 15500k /run/filler")
    try:
        took = seconds_of_a_verification(host)
    finally:
        host.run("rm /run/filler")
    print(f"a verification with a lock that somebody left: {took:.1f} s")
    assert took < SOON
    assert "host/disk: /run: " in host.run("journalctl -b -u ai-backend-verify -o cat").stdout
    assert "held by carol@desk" in deploy(host, "unlock.py").must_pass().output


def test_a_run_that_loses_its_lock_ends_with_that_and_the_next_one_converges(
    host: LabHost, changed: Callable[[int], Path]
) -> None:
    def lose() -> None:
        host.run(f"rm -r {STATE}/lock")

    run = deploy(host, inventory=changed(1280), at="Starting operation: Write the generation", do=lose)
    assert run.status == 1
    assert "this run has lost the deploy lock, which is gone: it was broken" in run.output
    assert "Traceback" not in run.output
    deploy(host, inventory=changed(1280)).must_pass()


def test_who_waits_for_a_step_says_for_whose(host: LabHost, changed: Callable[[int], Path]) -> None:
    told = "'install' of carol@desk, under way since 2026-11-24 12:00:00 UTC"
    host.run(f'echo -n "{told}" > {STATE}/turn; systemd-run --quiet --unit step flock {STATE}/turn sleep infinity')
    waiting = f"waiting for another step on this host: {told}, 5 s"
    run = deploy(host, inventory=changed(1024), at=waiting, do=lambda: host.run("systemctl stop step"))
    assert waiting in run.must_pass().output


def test_torn_lines_and_a_clock_that_was_ahead_cost_nothing_but_themselves(host: LabHost) -> None:
    before = deploy(host, "history.py").must_pass().output.count("  by ")
    assert before >= 3
    host.run(f'sed -i \'1i {{"time": "2026\' {STATE}/history.jsonl; head -c 512 /dev/zero >> {STATE}/history.jsonl')
    # As the version before named it, of a day that is yet to come; and a half one beside it.
    newest = f"{STATE}/verdicts/$(ls {STATE}/verdicts | grep json | tail -1)"
    host.run(f'sed \'s/"ok": true/"ok": false/g\' {newest} > {STATE}/verdicts/2031-01-01T000000Z-aaaa.json')
    host.run(f"head -c 999 {newest} > {STATE}/verdicts/000000099999-half.json")
    assert deploy(host, "history.py").must_pass().output.count("  by ") == before
    run = deploy(host, "verify.py").must_pass()
    assert "Since 20" in run.output
    assert "holds again" not in run.output
    back = deploy(host, "rollback.py").must_pass()
    assert "history.jsonl: 2 of its lines can not be read" in back.output
    deploy(host).must_pass()


def lost(run: Run, step: str) -> None:
    assert run.status == 1, run.output
    assert f'the connection was lost in "{step}": nothing came for {SILENCE} s' in run.output
    assert "then run again to continue" in run.output
    assert "Traceback" not in run.output


def test_a_host_whose_cable_is_pulled_in_a_step_ends_the_run_and_the_next_one_converges(
    host: LabHost, changed: Callable[[int], Path]
) -> None:
    cut: list[float] = []

    def pull() -> None:
        host.cut_link()
        cut.append(time.monotonic())

    data = {"ssh_silence": str(SILENCE)}
    run = deploy(host, inventory=changed(1536), data=data, at="restarting llama-server@native", do=pull)
    took = time.monotonic() - cut[0]
    host.restore_link()
    lost(run, "Activate the generation")
    print(f"given up {took:.1f} s after the cable was pulled")
    assert took < 3 * SILENCE
    deploy(host, inventory=changed(1536)).must_pass()
    assert failures(verdict(host)) == []


def test_a_host_that_freezes_before_its_first_answer_ends_the_run(host: LabHost) -> None:
    frozen = "systemd-run --quiet sh -c 'sleep 0.2; pkill -STOP -x sshd; sleep 25; pkill -CONT -x sshd'"
    # Its kernel goes on to acknowledge what is sent.
    run = deploy(host, "preflight.py", data={"ssh_silence": str(SILENCE)}, at="Connected", do=lambda: host.run(frozen))
    lost(run, "the first look at it")
    host.run("true", timeout=60)


HOSTILE = "\\033]0;pwned\\007\\033[2J\\033[1;1H\\302\\233\\061;31m\\342\\200\\256[link=http://x]\\r--> \\177\\377\\n"
"""For `printf`: a title, a cleared screen, C1, a turned direction, markup, a faked header, and what is no UTF-8."""
PYTHON = f"""#!/bin/sh
printf '{HOSTILE}{HOSTILE}'
printf '{HOSTILE}' >&2
exec /usr/bin/python3 "$@"
"""


def test_a_host_in_foreign_hands_does_not_drive_the_terminal(host: LabHost, changed: Callable[[int], Path]) -> None:
    found = verdict(host)
    for check in found["checks"]:
        check["seen"] = f"\x1b]0;pwned\x07 \x9b31m \u202e [link=http://x]here[/link]\nFAIL faked {check['seen']}"
    found["host"] = "\x1b[2Jpwned\n--> Results:"
    host.run("cat > /usr/local/bin/python3 && chmod 755 /usr/local/bin/python3", input=PYTHON)
    config = host.run("readlink -f /etc/ai-backend").stdout.strip()
    host.run(f"mv {config}/bin/verify /root/verify && cat > /root/verdict", input=json.dumps(found, ensure_ascii=False))
    script = f"#!/bin/sh\nprintf '{HOSTILE}' >&2\ncat /root/verdict\nexit 1\n"
    host.run(f"cat > {config}/bin/verify && chmod 755 {config}/bin/verify", input=script)
    try:
        for name, inventory in (
            ("verify.py", changed(1536)),
            ("full.py", changed(1792)),
            ("history.py", changed(1792)),
        ):
            shown = on_a_terminal(host, name, inventory)
            assert "pwned" in shown or name == "history.py"
            assert "Traceback" not in shown
            # Colours are pyinfra's own.
            plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain), repr(plain)
            assert not re.search("^FAIL faked", plain, re.MULTILINE)
    finally:
        host.run(f"rm /usr/local/bin/python3; mv /root/verify {config}/bin/verify")
    deploy(host).must_pass()
    assert ask(host, "tiny-native") == "This is the native llama server"


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
