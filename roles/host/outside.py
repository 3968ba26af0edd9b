"""Checks from other machines: ports that must be closed to them are closed, seen from here and from another host."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from pyinfra.api import FactBase, Host, StringCommand
from pyinfra.connectors.ssh import SSHConnector

from roles.contract.requests import Reach, Reached
from roles.host.program import CLEAN, StandardInput, answer, program_command
from roles.host.programs.reach import LONGEST_ANSWER, OPEN, REFUSED, SILENT, reach
from roles.options import Stack
from roles.plan import HostPlan
from roles.verify import Check

_SEEN = {OPEN: "takes connections", REFUSED: "refused", SILENT: f"no answer within {LONGEST_ANSWER:.0f} s"}


@dataclass(frozen=True)
class _Port:
    """A port of the stack, at the address by which other machines know its host.

    Attributes:
        closed: to all other machines.
        peers: those to which alone it is open, by their addresses; none = to any.
    """

    unit: str
    address: str
    number: int
    closed: bool
    peers: tuple[str, ...] | None = None

    def seen_from(self, addresses: Collection[str]) -> _Port:
        """The same port for a machine with these addresses."""
        return replace(self, closed=self.closed or (self.peers is not None and not {*addresses} & {*self.peers}))


class ReachedFrom(FactBase[Reached]):
    """What a host of the inventory can reach. Asked with `_stdin=StandardInput(Reach(addresses=…))`."""

    def command(self) -> StringCommand:
        return program_command(Reach.program)

    def process(self, output: list[str]) -> Reached:
        return answer(Reached, output)


class Addresses(FactBase[list[str]]):
    """The host's own addresses."""

    def command(self) -> StringCommand:
        return StringCommand(CLEAN, "hostname", "-I")

    def process(self, output: list[str]) -> list[str]:
        return " ".join(output).split()


def outside_checks(host: Host, plan: HostPlan) -> tuple[Check, ...]:
    """Check the host's ports from the control machine and, if there is one, from another host of the inventory.

    Empty if that is not another machine: on the control machine itself, and through a tunnel to it.
    """
    address = _address_of(host)
    if address is None:
        return ()
    every = list(_ports(plan, address))
    ports = [port.seen_from([_source_towards(port)]) for port in every]
    began = time.monotonic()
    checks = _checks(host, ports, reach((port.address, port.number) for port in ports), "", began)
    other = _another(host)
    if other is None:
        return tuple(checks)
    ports = [port.seen_from(_addresses_of(other)) for port in every]
    began = time.monotonic()
    wanted = Reach(addresses=tuple((port.address, port.number) for port in ports))
    found: Reached | None = other.get_fact(ReachedFrom, _stdin=StandardInput(wanted))
    if found is None:
        return tuple(checks)
    return (*checks, *_checks(host, ports, found.results, other.name, began))


def _address_of(host: Host) -> str | None:
    """The address that the host's connection goes to; none if other machines would not reach the host there."""
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    transport = connector.client.get_transport()
    # Through a jump host, the connection is not a socket of this machine.
    if transport is None or not isinstance(transport.sock, socket.socket):
        return None
    address: str = transport.sock.getpeername()[0]
    return None if ip_address(address).is_loopback else address


def _ports(plan: HostPlan, address: str) -> Iterator[_Port]:
    for unit in plan.servers:
        bind = ip_address(unit.endpoint.bind)
        special = not bind.is_loopback and not bind.is_unspecified
        yield _Port(unit.name, str(bind) if special else address, unit.endpoint.port, bind.is_loopback, unit.peers)


def _source_towards(port: _Port) -> str:
    """The address of the control machine from which its connections to the port come; empty = it has no way there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nothing_is_sent:
        try:
            nothing_is_sent.connect((port.address, port.number))
        except OSError:
            return ""
        source: str = nothing_is_sent.getsockname()[0]
        return source


def _addresses_of(other: Host) -> list[str]:
    stack = other.data.get("stack")
    declared = stack.address if isinstance(stack, Stack) else None
    return [address for address in (declared, _address_of(other)) if address]


def _another(host: Host) -> Host | None:
    """The next host of the inventory that this run is connected to."""
    hosts = list(host.state.inventory)
    begin = hosts.index(host) + 1
    for other in (*hosts[begin:], *hosts[: begin - 1]):
        if other in host.state.active_hosts and _address_of(other):
            return other
    return None


def _checks(host: Host, ports: Sequence[_Port], found: Sequence[str], other: str, began: float) -> list[Check]:
    """The checks for what another host of the inventory found; `other` is empty for the control machine."""
    seconds = round(time.monotonic() - began, 3)
    here = other or f"the control machine {socket.gethostname()}"
    checks = []
    for port, state in zip(ports, found, strict=True):
        ok, seen = _judged(host, port, state)
        checks.append(
            Check(
                id=f"host/outside/{other or 'control'}/{port.number}",
                subject=f"from {here}",
                claim=f"{port.unit} is {'closed' if port.closed else 'reached'}",
                expected=f"{'nothing' if port.closed else 'a connection'} at {port.address}:{port.number}",
                seen=seen,
                ok=ok,
                seconds=seconds,
                code=None if ok else "port-exposed",
            )
        )
    return checks


def _judged(host: Host, port: _Port, state: str) -> tuple[bool, str]:
    """Whether it is as it should be, and what was seen. A port that is open to others may be behind a firewall that
    lets only some of them through: the check says so and passes."""
    seen = _SEEN.get(state, state)
    if state == OPEN:
        if not port.closed:
            return True, seen
        own: list[str] | None = host.get_fact(Addresses)
        if own is not None and port.address not in own:
            return True, f"{seen}, but {port.address} is no address of the host: another machine may answer there"
        return False, seen
    return True, seen if port.closed else f"{seen}: a firewall is before it"
