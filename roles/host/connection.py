"""The SSH connection to a host: without delays, and closed when the other end no longer answers.

TCP itself waits forever on an idle connection, and acknowledgements from a frozen host's kernel show nothing. So the
host's SSH server gets a request every few seconds. Something must arrive: an answer, or a command's output.
"""

from __future__ import annotations

import contextlib
from socket import IPPROTO_TCP, TCP_NODELAY, socket

import gevent
from paramiko import Message, SSHException, Transport
from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback
from pyinfra.connectors.ssh import SSHConnector

from roles.data import SSH_SILENCE
from roles.host.given import given

LONGEST_SILENCE = 60
"""Seconds, if the host's data has no `ssh_silence`."""
_QUESTION = "keepalive@ai-backend"
"""A request that no SSH server knows: each one says so, and that is an answer."""
_LOOKS = 4
"""How often within the longest silence the watch checks whether something has arrived."""
_STEP_KEY = "ai_backend_step"


class NoteStep(BaseStateCallback):
    """Remembers the current step of each host, to name it when the connection is lost."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        host.connector_data[_STEP_KEY] = ", ".join(state.get_op_meta(op_hash).names)


def tend(host: Host) -> None:
    """Turn off delays on the host's connection, and watch it until it ends. Does nothing for connections without SSH.

    Raises:
        DeployError: the host's `ssh_silence` is not a number of seconds.
    """
    silence = given(host, SSH_SILENCE) or LONGEST_SILENCE
    transport = _transport(host)
    if transport is None:
        return
    if isinstance(transport.sock, socket):
        # paramiko leaves Nagle's algorithm on, which delays each opening of a channel by some 40 ms.
        transport.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    _report_ends_as_errors(transport)
    # Pass the host itself: pyinfra's `host` is not set in another greenlet.
    gevent.spawn(_watch, host.state.inventory.get_host(host.name), transport, silence)


def end(host: Host) -> None:
    """End the host's connection before it breaks, as before a reboot, so that it is not reported as lost."""
    if transport := _transport(host):
        transport.close()


def _watch(host: Host, transport: Transport, silence: float) -> None:
    """Close the connection when no message of any kind has arrived for `silence` seconds.

    After an outage the two directions come back at different times, as each side's TCP doubles its own pauses. Output
    may then arrive while the request is still under way. So any message counts, not the answer alone.
    """
    arrivals = _Arrivals(transport)
    gevent.spawn(_ask, transport, silence / _LOOKS)
    quiet = seen = 0
    # Count checks, not seconds: while this process itself was suspended, nothing could arrive.
    while transport.is_active() and quiet < _LOOKS:
        gevent.sleep(silence / _LOOKS)
        quiet = quiet + 1 if arrivals.count == seen else 0
        seen = arrivals.count
    if transport.is_active():
        step = host.connector_data.get(_STEP_KEY, "the first look at it")
        host.log_styled(
            f'the connection was lost in "{step}": nothing came for {silence:g} s. A step that was under way there '
            "goes on or ends by itself, and nothing is half done. See that the host is up and can be reached, then "
            "run again to continue",
            fg="red",
        )
        transport.close()


def _ask(transport: Transport, pause: float) -> None:
    # No time limit: it would leave half a message in the stream. If the connection breaks during a request, the code
    # that waits for a command's end reports it.
    with contextlib.suppress(EOFError, OSError, SSHException):
        while transport.is_active():
            transport.global_request(_QUESTION)
            gevent.sleep(pause)


class _Arrivals:
    """Counts the messages from the other side of a connection."""

    def __init__(self, transport: Transport) -> None:
        self.count = 0
        self._read = transport.packetizer.read_message
        transport.packetizer.read_message = self._read_and_count  # type: ignore[method-assign]

    def _read_and_count(self) -> tuple[int, Message]:
        message = self._read()
        self.count += 1
        return message


def _report_ends_as_errors(transport: Transport) -> None:
    """Raise an ended connection as an SSH error: pyinfra handles those, and shows a traceback for anything else."""
    taken = transport.get_exception

    def exception() -> Exception | None:
        error = taken()
        if isinstance(error, EOFError):
            return SSHException("the connection has ended: see that the host is up, then run again to continue")
        return error

    transport.get_exception = exception  # type: ignore[method-assign]


def _transport(host: Host) -> Transport | None:
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    return connector.client.get_transport()
