"""No test gets the port of another, and where nobody is to answer nobody does."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labhost.paths import REPOSITORY
from tests.ports import free_port, refusing_port


def _ephemeral() -> range:
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(first), int(last) + 1)


def test_processes_that_ask_at_once_get_different_ports_that_the_kernel_gives_to_nobody() -> None:
    program = "from tests.ports import free_port; print(*(free_port() for _ in range(20)), flush=True); input()"
    command = [sys.executable, "-c", program]
    asking = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(2)
    ]
    own = [free_port() for _ in range(20)]
    found = [*own]
    for process in asking:
        assert process.stdout
        found += [int(port) for port in process.stdout.readline().split()]
    for process in asking:
        process.communicate("\n", timeout=30)
    assert len(found) == len(set(found)) == 60
    assert not set(found) & set(_ephemeral())


def test_a_port_in_use_is_passed_over() -> None:
    after = free_port() + 1
    with socket.create_server(("127.0.0.1", after)):
        assert free_port() != after


def test_a_port_where_nobody_listens_refuses_and_cannot_be_taken() -> None:
    with refusing_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
