"""The SSH connection to a host: quick, and given up when nobody is at its other end any more.

TCP itself waits for ever where nothing is under way, and what a frozen host's kernel acknowledges shows nothing. So
the host's SSH server is asked something every few seconds, and something must come: an answer, or a command's output.
"""

from __future__ import annotations

import contextlib
from socket import IPPROTO_TCP, TCP_NODELAY, socket

import gevent
from paramiko import Message, SSHException, Transport
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError
from pyinfra.api.state import BaseStateCallback
from pyinfra.connectors.ssh import SSHConnector

LONGEST_SILENCE = 60
"""Seconds, where the host's data has no `ssh_silence`."""
_QUESTION = "keepalive@ai-backend"
"""No SSH server knows it: each says so, and that is an answer."""
_LOOKS = 4
"""How often it is looked, within the longest silence, whether something has come."""
_STEP_KEY = "ai_backend_step"


class NoteStep(BaseStateCallback):
    """Remembers what each host is at, to be told when its connection is lost."""

    @staticmethod
    def operation_host_start(state: State, host: Host, op_hash: str) -> None:
        host.connector_data[_STEP_KEY] = ", ".join(state.get_op_meta(op_hash).names)


def tend(host: Host) -> None:
    """Make the host's connection quick, and watch it until it ends. Nothing to do where it is none of SSH.

    Raises:
        DeployError: the host's `ssh_silence` is no number of seconds.
    """
    silence = _seconds(host.name, host.data.get("ssh_silence", LONGEST_SILENCE))
    transport = _transport(host)
    if transport is None:
        return
    if isinstance(transport.sock, socket):
        # paramiko leaves Nagle's algorithm on, which holds each opening of a channel up by some 40 ms.
        transport.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    _tell_ends_as_errors(transport)
    # The host itself: what pyinfra calls `host` is nobody in another greenlet.
    gevent.spawn(_watch, host.state.inventory.get_host(host.name), transport, silence)


def end(host: Host) -> None:
    """End the host's connection before it breaks, as by a reboot: that is no loss to be told."""
    if transport := _transport(host):
        transport.close()


def _watch(host: Host, transport: Transport, silence: float) -> None:
    """Close the connection when no message of any kind has come for `silence` seconds.

    After an outage the two directions come back at different times, as each side's TCP doubles its pauses by itself:
    then output comes, and the question is still under way. So what counts is not the answer alone.
    """
    arrivals = _Arrivals(transport)
    gevent.spawn(_ask, transport, silence / _LOOKS)
    quiet = seen = 0
    # Looks are counted, not seconds: while this process itself was held up, nothing could come.
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
    # Not ended by a time limit: half a message would be left in the stream. Where the connection breaks in a question,
    # who waits for a command's end says so.
    with contextlib.suppress(EOFError, OSError, SSHException):
        while transport.is_active():
            transport.global_request(_QUESTION)
            gevent.sleep(pause)


class _Arrivals:
    """Counts the messages that a connection's other side sends."""

    def __init__(self, transport: Transport) -> None:
        self.count = 0
        self._read = transport.packetizer.read_message
        transport.packetizer.read_message = self._read_and_count  # type: ignore[method-assign]

    def _read_and_count(self) -> tuple[int, Message]:
        message = self._read()
        self.count += 1
        return message


def _tell_ends_as_errors(transport: Transport) -> None:
    """pyinfra ends a run in order where SSH fails, and in a traceback where a connection is at its end."""
    taken = transport.get_exception

    def exception() -> Exception | None:
        error = taken()
        if isinstance(error, EOFError):
            return SSHException("the connection has ended: see that the host is up, then run again to continue")
        return error

    transport.get_exception = exception  # type: ignore[method-assign]


def _seconds(name: str, silence: object) -> float:
    if isinstance(silence, bool) or not isinstance(silence, int | float) or not 1 <= silence <= 86400:
        raise DeployError(f"{name}: `ssh_silence` is to be a number of seconds from 1 to 86400, not {silence!r}")
    return silence


def _transport(host: Host) -> Transport | None:
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    return connector.client.get_transport()
