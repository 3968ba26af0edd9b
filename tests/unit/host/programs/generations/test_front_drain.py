"""An instance is taken out of work before it is restarted, against HAProxy's side of its socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.contract.generation import Drain
from roles.host.programs.generations.front import Runtime, Server

_HEAD = "# pxname,svname,scur,status\n"


class Haproxy:
    """The servers of one backend: name → its status, and how many requests are under way at each look."""

    def __init__(self, **servers: str) -> None:
        self.servers = servers
        self.under_way = [2, 1, 0]
        self.told: list[str] = []

    def ask(self, command: str) -> str:
        if not command.startswith("show stat"):
            self.told.append(command)
            return ""
        left = self.under_way.pop(0) if self.told and len(self.under_way) > 1 else self.under_way[0]
        rows = "".join(f"gateway,{name},{left},{status}\n" for name, status in self.servers.items())
        return _HEAD + rows if rows else ""


def server(haproxy: Haproxy, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(Runtime, "ask", lambda _, command: haproxy.ask(command))
    monkeypatch.setattr("roles.host.programs.generations.front._POLL_SECONDS", 0)
    return Server(Path("/run"), Drain("s", "gateway", "a", 30))


@pytest.mark.parametrize(
    "servers",
    [
        pytest.param({"a": "UP", "b": "UP"}, id="one of two"),
        pytest.param({"a": "UP", "b": "DOWN"}, id="the other is dead"),
        pytest.param({"a": "UP", "b": "MAINT"}, id="the only one"),
    ],
)
def test_nobody_sends_it_requests_any_more_and_those_under_way_end(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    haproxy = Haproxy(**servers)
    assert server(haproxy, monkeypatch).relieve()
    assert haproxy.told == ["set server gateway/a state drain"]
    assert haproxy.under_way == [0]


def test_where_haproxy_does_not_run_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    haproxy = Haproxy()
    assert not server(haproxy, monkeypatch).relieve()
    assert haproxy.told == []
