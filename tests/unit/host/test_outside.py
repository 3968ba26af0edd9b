"""What ports look like from elsewhere, and what is made of it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, cast

import pytest
from pyinfra.api import Host

from roles.contract.requests import Reach
from roles.host import outside
from roles.host.programs import reach
from roles.litellm import LiteLLM
from roles.llama_cpp import LlamaCppBuild, LlamaServer
from roles.options import Deployment, PythonSdist, Route, Stack, UrlFile
from roles.rooms import plan_of
from tests.ports import refusing_port
from tests.requests import run_program


def test_open_closed_and_silent_ports_are_told_apart() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        # One whose queue is full: the kernel drops what comes, as a firewall does.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(full.getsockname()))
        addresses = [server.getsockname(), full.getsockname(), ("127.0.0.1", stack.enter_context(refusing_port()))]
        assert reach.reach(addresses) == ["open", "silent", "refused"]
        # The same as a program, as another host runs it.
        done = run_program(Reach(addresses=tuple(addresses)))
        assert done.returncode == 0, done.stderr
        assert outside.ReachedFrom().process(done.stdout.splitlines()).results == ("open", "silent", "refused")
    assert reach.reach([]) == []


class HostWith:
    """A host that has these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)

    def get_fact(self, fact: type, **_: Any) -> list[str]:
        assert fact is outside.Addresses
        return self._addresses


def found(state: str, *, closed: bool, addresses: tuple[str, ...] = ("198.18.0.9",)) -> tuple[bool | None, str]:
    port = outside._Port("a.service", "198.18.0.9", 8080, closed)
    (check,) = outside._checks(cast(Host, HostWith(*addresses)), [port], [state], "", 0)
    assert check.id == "host/outside/control/8080"
    return check.ok, check.seen


@pytest.mark.parametrize(
    ("state", "closed", "ok", "seen"),
    [
        pytest.param("refused", True, True, "refused", id="closed and refused"),
        pytest.param("silent", True, True, "no answer within 1 s", id="closed and silent"),
        pytest.param("No route to host", True, True, "No route to host", id="closed and without a route"),
        pytest.param("open", True, False, "takes connections", id="closed and open"),
        pytest.param("open", False, True, "takes connections", id="open"),
        pytest.param("silent", False, True, "no answer within 1 s: a firewall is before it", id="open and silent"),
        pytest.param("refused", False, True, "refused: a firewall is before it", id="open and refused"),
    ],
)
def test_a_closed_port_that_takes_connections_is_red(state: str, closed: bool, ok: bool, seen: str) -> None:
    assert found(state, closed=closed) == (ok, seen)


def test_what_answers_at_an_address_that_is_not_the_hosts_may_be_another_machine() -> None:
    assert found("open", closed=True, addresses=("10.0.0.5",)) == (
        True,
        "takes connections, but 198.18.0.9 is no address of the host: another machine may answer there",
    )


def test_the_ports_are_those_of_the_plan_at_the_address_that_others_know() -> None:
    build = LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.36", sha256="0" * 64))
    model = UrlFile(url="http://198.18.0.1/a.gguf", sha256="0" * 64)
    servers = [
        LlamaServer(name="one", port=8080, build=build, model=model, served_name="one"),
        LlamaServer(name="two", port=8081, bind="10.0.0.5", build=build, model=model, served_name="two"),
    ]
    route = Route(name="one", deployments=[Deployment(provider="one")])
    stack = Stack(providers=servers, routes=[route], gateway=LiteLLM(bind="0.0.0.0", instances=1))
    ports = {(port.address, port.number, port.closed) for port in outside._ports(plan_of(stack), "198.18.0.9")}
    assert ports == {
        ("198.18.0.9", 8080, True),
        ("10.0.0.5", 8081, False),
        ("198.18.0.9", 4000, False),
        ("198.18.0.9", 4001, True),
    }


def test_a_port_for_gateways_of_other_hosts_is_closed_to_all_who_are_none() -> None:
    port = outside._Port("ollama.service", "10.0.0.5", 11434, closed=False, peers=("10.0.0.4", "10.0.0.7"))
    assert port.seen_from(["198.18.0.1"]).closed
    assert port.seen_from([""]).closed
    assert not port.seen_from(["198.18.0.4", "10.0.0.4"]).closed
    own = outside._Port("redis.service", "10.0.0.5", 6379, closed=True)
    assert own.seen_from(["10.0.0.4"]).closed
    open_to_all = outside._Port("front.service", "10.0.0.5", 4000, closed=False)
    assert not open_to_all.seen_from(["198.18.0.1"]).closed


def test_the_address_from_which_this_machine_asks_is_found_without_asking() -> None:
    assert outside._source_towards(outside._Port("x", "127.0.0.1", 9, closed=False)) == "127.0.0.1"
