"""A connection with nobody at its other end: a real SSH server on loopback, frozen in the middle of a command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inventories import INVENTORY
from tests.plan.fake import PREAMBLE

SILENCE = 3
SERVER = """
import socket, sys, threading, time, paramiko
class Server(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL
    def get_allowed_auths(self, username):
        return "password"
    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED
    def check_channel_exec_request(self, channel, command):
        print("asked", flush=True)  # and never answered
        if "talks" in sys.argv:
            talking.set()
            threading.Thread(target=talk, args=(channel,), daemon=True).start()
        return True
    def check_global_request(self, kind, message):
        if talking.is_set():
            threading.Event().wait()  # it reads nothing more
        return False
talking = threading.Event()
def talk(channel):
    while True:
        channel.sendall(b"going on\\n")
        time.sleep(0.5)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
kept = []
while True:
    transport = paramiko.Transport(listener.accept()[0])
    transport.add_server_key(paramiko.ECDSAKey.generate())
    transport.start_server(server=Server())
    kept.append(transport)
"""


@pytest.fixture(params=["answers", "talks"])
def server(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """An SSH server whose commands do not end: it answers questions, or it only sends output."""
    with subprocess.Popen([sys.executable, "-c", SERVER, request.param], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
DEPLOYS = INVENTORY.parent / "deploys"


def end_with(run: subprocess.Popen[str], server: subprocess.Popen[str]) -> None:
    run.wait()
    server.kill()


def test_a_host_that_says_nothing_more_ends_the_run_with_what_to_do(
    server: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert server.stdout
    port = int(server.stdout.readline())
    connection = {
        "ssh_hostname": "127.0.0.1",
        "ssh_port": port,
        "ssh_user": "root",
        "ssh_password": "x",
        "ssh_strict_host_key_checking": "no",
        "ssh_known_hosts_file": str(tmp_path / "known"),
        "ssh_silence": SILENCE,
    }
    (tmp_path / "known").touch()
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"{PREAMBLE}hosts = [('box', {{'stack': small_stack(), **{connection!r}}})]")
    run = subprocess.Popen(
        [PYINFRA, "-y", str(inventory), str(DEPLOYS / "full.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(INVENTORY.parent), "PYINFRA_PROGRESS": "off"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # A run that ends before it has asked anything is not waited for.
    threading.Thread(target=end_with, args=(run, server), daemon=True).start()
    assert server.stdout.readline() == "asked\n"
    # It lives, and is given more time than silence would be.
    time.sleep(2 * SILENCE)
    assert run.poll() is None
    server.send_signal(signal.SIGSTOP)
    try:
        output, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 1
    assert re.search(
        rf'the connection was lost in "the first look at it": nothing came for {SILENCE} s\. .* run again', output
    )
    assert "Traceback" not in output


def test_the_command_line_refuses_it_in_one_message(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text(f"{PREAMBLE}hosts = [fake('box', small_stack())]")
    done = subprocess.run(
        [PYINFRA, "-y", "--data", "ssh_silence=12e456", str(inventory), str(DEPLOYS / "preflight.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(INVENTORY.parent), "PYINFRA_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "`ssh_silence` is to be a number of seconds from 1 to 86400, not " in done.stderr
    assert "Traceback" not in done.stderr
