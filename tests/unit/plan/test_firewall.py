"""Who may connect to what asks for no login: the rules, the users, and when they are loaded."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from roles.contract.generation import ActivatedUnit, Drain
from roles.host.programs.console import HostError
from roles.host.programs.generations import activate, stage
from roles.litellm import LiteLLM
from roles.ollama import Ollama, OllamaRelease
from roles.options import Provider
from roles.plan import FIREWALL_UNIT, HostPlan
from roles.rooms import plan_of
from tests.stacks import native, route, small_stack, user_scope

RELEASE = OllamaRelease(version="0.32.15", url="http://198.18.0.1/ollama", sha256="c" * 64)


def ollama(name: str = "ollama", **options: Any) -> Ollama:
    return Ollama(name=name, release=RELEASE, models=["a:latest"], **options)


def planned(*providers: Provider, **options: Any) -> HostPlan:
    every = [*providers, native()]
    routes = [route(f"r-{provider.name}", provider.name) for provider in every]
    return plan_of(small_stack(providers=every, routes=routes, aliases={}, gateway=LiteLLM(), **options))


def rules(plan: HostPlan) -> dict[int, set[str]]:
    """Port → who may connect to it."""
    found = re.findall(r'oif "lo" tcp dport (\d+) meta skuid != \{(.*)\} reject', plan.files["firewall.nft"])
    return {int(port): set(re.findall(r'"(.*?)"', users)) for port, users in found}


def test_what_asks_for_no_login_is_closed_to_all_but_its_callers() -> None:
    callers = {"root", "ai-backend-gateway", "ai-backend-loader"}
    assert rules(planned(ollama(), ollama("second", port=11500, bind="0.0.0.0"))) == {
        11434: callers,
        11500: callers,
        4001: {"root", "ai-backend-front"},
        4002: {"root", "ai-backend-front"},
    }


def test_the_callers_run_as_users_with_a_number_and_all_others_as_dynamic_ones() -> None:
    plan = planned(ollama())
    users = {
        unit.name: re.findall(r"^(?:User=(.*)|DynamicUser=(yes))$", unit.text, re.MULTILINE)
        for unit in plan.units
        if "\nDynamicUser=" in unit.text or "\nUser=" in unit.text
    }
    assert users == {
        "ollama.service": [("", "yes"), ("ai-backend-ollama", "")],
        "llama-server@native.service": [("", "yes"), ("ai-backend-llama-server", "")],
        "ollama-models.service": [("ai-backend-loader", "")],
        "litellm@a.service": [("ai-backend-gateway", "")],
        "litellm@b.service": [("ai-backend-gateway", "")],
        "ai-backend-front.service": [("ai-backend-front", "")],
    }
    assert plan.users == ("ai-backend-front", "ai-backend-gateway", "ai-backend-loader")
    assert plan.staging
    assert "\nUser=ai-backend-gateway\n" in plan.staging.text


def test_a_user_has_no_firewall_and_no_further_users() -> None:
    plan = planned(ollama(), scope=user_scope())
    assert "firewall.nft" not in plan.files
    assert "nftables" not in plan.packages
    assert FIREWALL_UNIT not in [unit.name for unit in plan.units]
    assert "\nUser=" not in "".join(unit.text for unit in plan.units)


def test_rules_are_loaded_once_those_who_may_call_run_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway of the version before runs under a number that no rule knows."""
    done: list[str] = []

    class Server:
        def __init__(self, runtime: Path, drain: Drain) -> None: ...

        def relieve(self) -> bool:
            return False

        def give_work(self) -> None: ...

        def await_work(self, timeout: int) -> None: ...

    class Manager:
        runtime = Path("/run")

    def unit(name: str, drain: Drain | None = None, last: bool = False) -> ActivatedUnit:
        return ActivatedUnit(
            name=name,
            kind="server",
            digest="new",
            ready_url=None,
            done_file=None,
            timeout=1,
            stop_timeout=1,
            drain=drain,
            last=last,
        )

    def await_all(manager: object, units: Sequence[ActivatedUnit]) -> list[str]:
        assert not [unit for unit in units if unit.name == "firewall" and "firewall" not in done]
        return []

    monkeypatch.setattr(activate, "Server", Server)
    monkeypatch.setattr(activate, "_running_digest", lambda manager, unit: "old")
    monkeypatch.setattr(activate, "_restart", lambda manager, units: done.extend(unit.name for unit in units))
    monkeypatch.setattr(activate, "_await_all", await_all)
    units = [unit("firewall", last=True), unit("server"), unit("gateway", Drain("s", "gateway", "a", 1))]
    activate._replace(Manager(), units, ())  # type: ignore[arg-type]
    assert done == ["server", "gateway", "firewall"]


def test_a_gateway_is_tried_out_on_a_port_that_others_can_not_reach() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert stage._spare_port(port, port + 5) in range(port + 1, port + 6)
        with pytest.raises(HostError, match=f"ports {port} to {port} are all taken"):
            stage._spare_port(port, port)
