"""Three hosts: one with a gateway alone, two with backends alone, and a route over both. It takes minutes, so only
`make soak` runs it."""

from __future__ import annotations

import json
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import Run, ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import says
from tests.lab.steady_load import steady_load
from tests.lab.traffic import Gateway
from tests.labhost import LabHost

pytestmark = pytest.mark.soak_only

FLEET = """
from roles.options import EnvSecret
key = EnvSecret("LAB_BACKEND_KEY")
changed = {{"api_key": key, "environment": {{"CHANGED": "{changed}"}}}}
native, python = (server.model_copy(update=changed) for server in lab_stack().providers)
shared = Route(
    name="shared",
    deployments=[Deployment(provider="{one.name}/native", weight=3), Deployment(provider="{two.name}/python")],
    probe=Probe(max_tokens=16),
)
gateway = LiteLLM(bind="0.0.0.0", cooldown={cooldown})
hosts = [
    lab_host(
        Stack(gateway=gateway, routes=[shared], aliases={{"same": "shared"}}, address="{front.address}"), "{front.name}"
    ),
    lab_host(Stack(providers=[native], address="{one.address}"), "{one.name}"),
    lab_host(Stack(providers=[python], address="{two.address}"), "{two.name}"),
]
"""
NATIVE, PYTHON = says("native.gguf"), says("python.gguf")
KEY = "sk-of-both-backends-0123456789"


@dataclass(frozen=True)
class Fleet:
    front: LabHost
    one: LabHost
    two: LabHost
    folder: Path

    def deploy(self, *, cooldown: int = 5, changed: int = 0) -> Run:
        hosts = {"front": self.front, "one": self.one, "two": self.two}
        text = FLEET.format(**hosts, cooldown=cooldown, changed=changed)
        return deploy(self.front, inventory=inventory_file(self.folder, text))


@pytest.fixture(scope="module")
def fleet(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    front, one, two = (new_module_host(name, prepared=True) for name in ("front", "one", "two"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_BACKEND_KEY", KEY)
        made = Fleet(front, one, two, tmp_path_factory.mktemp("fleet"))
        made.deploy().must_pass()
        return made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_BACKEND_KEY", KEY)


def answers(fleet: Fleet, number: int) -> Counter[str]:
    return Counter(ask(fleet.front, "shared") for _ in range(number))


def reached(host: LabHost, address: str) -> str:
    """What a request without a key gets: its status, or curl's exit status."""
    chat = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    asked = f"-H 'Content-Type: application/json' -d '{chat}'"
    command = f"curl -s -o /dev/null -w '%{{http_code}}' --max-time 5 {asked} http://{address}/v1/chat/completions"
    done = host.run(command, check=False)
    return done.stdout if done.returncode == 0 else f"curl {done.returncode}"


def assert_closed_to_all_but_the_gateway(fleet: Fleet) -> None:
    one, two = f"{fleet.one.address}:8080", f"{fleet.two.address}:8000"
    assert [reached(fleet.front, address) for address in (one, two)] == ["401", "401"]
    assert (reached(fleet.two, one), reached(fleet.one, two)) == ("curl 7", "curl 7")
    # This machine is a fourth host.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((fleet.one.address, 8080), timeout=5)


def test_one_route_over_two_hosts_shares_its_requests(fleet: Fleet) -> None:
    shares = answers(fleet, 40)
    assert shares.keys() == {NATIVE, PYTHON}
    assert shares[NATIVE] > shares[PYTHON]
    for host in (fleet.front, fleet.one, fleet.two):
        assert failures(verdict(host)) == []
    asked = [check["id"] for check in verdict(fleet.one)["checks"] if "asked" in check["id"]]
    assert asked == ["route/tiny-native@native/asked-chat"]


def test_a_second_deploy_changes_nothing(fleet: Fleet) -> None:
    assert set(fleet.deploy().must_pass().results().values()) == {"No changes"}


def test_ports_are_open_to_the_gateway_alone_beside_the_rules_of_others(fleet: Fleet) -> None:
    assert_closed_to_all_but_the_gateway(fleet)
    rules = "table inet site { chain input { type filter hook input priority -5; policy accept; tcp dport 9 drop; }; }"
    fleet.one.run(f"echo '{rules}' > /etc/nftables.conf && nft -f /etc/nftables.conf && systemctl enable nftables")
    before = fleet.one.run("nft list table inet site").stdout
    fleet.one.run("systemctl restart llama-server@native ai-backend-firewall")
    assert fleet.one.run("nft list table inet site").stdout == before
    assert_closed_to_all_but_the_gateway(fleet)


def test_after_a_power_cut_of_all_they_come_back_in_any_order(fleet: Fleet) -> None:
    every = (fleet.front, fleet.two, fleet.one)
    for host in every:
        host.cut_power()
    for host in every:
        host.boot()
    for host in every:
        host.wait_until_running()
    for host in (fleet.one, fleet.two, fleet.front):
        assert failures(verdict(host)) == []
    assert_closed_to_all_but_the_gateway(fleet)
    assert "tcp dport 9 drop" in fleet.one.run("nft list table inet site").stdout
    assert answers(fleet, 20).keys() == {NATIVE, PYTHON}


def test_a_rolling_change_of_all_three_fails_no_request_but_what_a_backend_is_answering(fleet: Fleet) -> None:
    with steady_load(Gateway(fleet.front), {"shared": NATIVE, "same": PYTHON}, rate=4) as load:
        fleet.deploy(cooldown=6, changed=1).must_pass()
    print(load)
    problems = [each.problem for each in load.answers if each.problem]
    print("\n".join(problems))
    # One for each backend, which are stopped one after the other.
    assert len(problems) <= 2


def test_one_host_dies_and_comes_back(fleet: Fleet) -> None:
    fleet.two.cut_power()
    assert answers(fleet, 10) == {NATIVE: 10}
    found = verdict(fleet.front)
    assert failures(found) == []
    (state,) = [each for each in found["externals"] if each["problem"]]
    assert state["name"] == f"{fleet.two.name}/python"
    # A deploy of the others goes on without it, and says so.
    run = fleet.deploy(cooldown=7)
    assert f"[{fleet.two.name}]" in run.output
    assert f"warning: {fleet.two.name}/python: " in run.output
    assert "cooldown_time: 7" in fleet.front.run("cat /etc/ai-backend/litellm-unified.yaml").stdout
    fleet.two.boot()
    fleet.two.wait_until_running()
    assert failures(verdict(fleet.two)) == []
    assert failures(verdict(fleet.front)) == []
    assert answers(fleet, 20).keys() == {NATIVE, PYTHON}
