"""A route to a server that others run: here the gateway of another lab host, with a key for each of its clients."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from roles.plan import GATEWAY_USER
from tests.lab.conftest import NewHost
from tests.lab.deploys import ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import says
from tests.lab.tricks import LOCAL, PAID, Trick, tricks
from tests.labhost import LabHost

CLOUD = """
from roles.options import Client, EnvSecret
clients = [Client(name="box", key=EnvSecret("LAB_BOX_KEY"))]
hosts = [lab_host(lab_stack(gateway={"bind": "0.0.0.0"}).model_copy(update={"clients": clients}))]
"""
BOX = """
from roles.external import External
from roles.options import Client, EnvSecret
stack = lab_stack(gateway={gateway!r})
cloud = External(name="cloud", url="http://{address}:4000/v1", api_key=EnvSecret("LAB_BOX_KEY"), models=["tiny-python"])
routes = [
    *stack.routes,
    Route(
        name="paid", deployments=[Deployment(provider="cloud")], fallbacks=["tiny-native"], probe=Probe(max_tokens=16)
    ),
    Route(name="private", deployments=[Deployment(provider="native")], local_only=True),
]
ada = Client(name="ada", key=EnvSecret("LAB_ADAS_KEY"))
hosts = [
    lab_host(
        stack.model_copy(update={{"providers": [*stack.providers, cloud], "routes": routes, "clients": [ada]}})
    )
]
"""
BY_NAME = """
from roles.external import Cloud
from roles.options import EnvSecret, Price
stack = lab_stack()
claude = Cloud(
    name="claude", vendor="anthropic", api_key=EnvSecret("LAB_BOX_KEY"), api_base="http://{address}:4000",
    models=["tiny-python"], prices={{"tiny-python": Price(input=1, output=5)}},
)
route = Route(name="claude", deployments=[Deployment(provider="claude")], probe=Probe(max_tokens=16))
hosts = [
    lab_host(stack.model_copy(update={{"providers": [*stack.providers, claude], "routes": [*stack.routes, route]}}))
]
"""
ADAS_KEY = "sk-of-ada-0123456789abcdef01"
KEY = "sk-of-the-box-0123456789abcdef"


@pytest.fixture(scope="module")
def cloud(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_BOX_KEY", KEY)
        host = new_module_host("cloud", prepared=True)
        deploy(host, inventory=inventory_file(tmp_path_factory.mktemp("cloud"), CLOUD)).must_pass()
        return host


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("box", prepared=True)


@pytest.fixture
def inventory(cloud: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_BOX_KEY", KEY)
    monkeypatch.setenv("LAB_ADAS_KEY", ADAS_KEY)
    return box(cloud, tmp_path)


def box(cloud: LabHost, folder: Path, **gateway: Any) -> Path:
    return inventory_file(folder, BOX.format(address=cloud.address, gateway=gateway))


def asked(cloud: LabHost, path: str = "/chat/completions") -> int:
    """The chats that the cloud has answered to its client."""
    lines = cloud.run("journalctl -u ai-backend-front -o cat --no-pager").stdout.splitlines()
    requests = [json.loads(line) for line in lines if line.startswith("{")]
    return sum(each.get("client") == "box" and path in str(each.get("path")) for each in requests)


def test_it_answers_and_is_asked_for_answers_after_a_deploy_alone(
    host: LabHost, cloud: LabHost, inventory: Path
) -> None:
    deploy(host, inventory=inventory).must_pass()
    assert ask(host, "paid") == says("python.gguf")
    before = asked(cloud)
    assert before >= 3
    host.run("systemctl start --wait ai-backend-verify", timeout=120)
    assert asked(cloud) == before
    kept = json.loads(host.run("cat $(ls -t /var/lib/ai-backend/verdicts/*.json | head -1)").stdout)
    assert kept["status"] == "pass"
    assert {"external/cloud/reached", "external/cloud/tiny-python@cloud", "route/paid/chat"} <= {
        check["id"] for check in kept["checks"]
    }
    assert "LAB_BOX_KEY" not in host.run("cat /etc/ai-backend/*.yaml").stdout
    held = host.run(f"grep -rl {KEY} /etc/ai-backend/ /var/lib/ai-backend /run 2>/dev/null", check=False).stdout
    assert held.split() == ["/etc/ai-backend/env/litellm@a.service.env"]


COUNTER = "table inet left {{ counter out {{ }}; chain output {{ {} }}; }}".format(
    "type filter hook output priority 0; oif lo accept; meta skuid " + GATEWAY_USER + " counter name out;"
)
"""Counts the packets by which the gateway's processes leave their host."""


def left(host: LabHost) -> int:
    found = json.loads(host.run("nft -j list counter inet left out").stdout)["nftables"]
    return int(found[-1]["counter"]["packets"])


async def answers(host: LabHost, requests: list[Trick]) -> Counter[int]:
    """How many were answered with which status; 0 = not at all. Without those that only count tokens, which the gateway
    does by itself."""
    turns = asyncio.Semaphore(16)
    found: Counter[int] = Counter()

    async with httpx.AsyncClient(base_url=f"http://{host.address}:4000", trust_env=False, timeout=60) as client:

        async def one(trick: Trick) -> None:
            headers = {**trick.headers, "authorization": f"Bearer {ADAS_KEY}", "content-type": "application/json"}
            async with turns:
                try:
                    reply = await client.post(trick.path, content=trick.body, headers=headers)
                    found[reply.status_code] += "_tokens" not in trick.path
                except httpx.HTTPError:
                    found[0] += 1

        await asyncio.gather(*map(one, requests))
    return found


@pytest.mark.parametrize(
    "every", [pytest.param(7, id="a seventh"), pytest.param(1, id="all", marks=pytest.mark.soak_only)]
)
def test_nothing_that_a_client_writes_makes_a_local_route_leave_its_host(
    host: LabHost, cloud: LabHost, inventory: Path, every: int
) -> None:
    deploy(host, inventory=inventory).must_pass()
    host.run(f"nft '{COUNTER}'")
    assert asyncio.run(answers(host, [Trick("/v1/chat/completions", body(LOCAL))])) == {200: 1}
    host.run("systemctl stop llama-server@native")
    requests = list(tricks())[::every]
    assert len(requests) >= 1000 / every
    before, packets = asked(cloud), left(host)
    found = asyncio.run(answers(host, requests))
    assert found[0] + found[200] == 0, found
    assert (asked(cloud), left(host)) == (before, packets)
    # What both counters would have seen.
    assert asyncio.run(answers(host, [Trick("/v1/chat/completions", body(PAID))])) == {200: 1}
    assert asked(cloud) > before
    assert left(host) > packets
    host.run("systemctl start llama-server@native; nft delete table inet left")


def body(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}).encode()


@pytest.mark.soak_only
@pytest.mark.usefixtures("inventory")
def test_a_budget_ends_in_the_middle_of_traffic_and_others_answer(
    host: LabHost, cloud: LabHost, tmp_path: Path
) -> None:
    text = BOX.format(address=cloud.address, gateway={})
    text = text.replace('models=["tiny-python"])', 'models=["tiny-python"], budget=Budget(per="day", usd=5))')
    text = text.replace(
        'Deployment(provider="cloud")', 'Deployment(provider="cloud", price=Price(input=20_000, output=20_000))'
    )
    text = text.replace("import Client, EnvSecret", "import Budget, Client, EnvSecret, Price")
    file = inventory_file(tmp_path, text)
    deploy(host, inventory=file).must_pass()
    one, before = Trick("/v1/chat/completions", body(PAID)), asked(cloud)
    assert asyncio.run(one_by_one(host, [one] * 40)) == {200: 40}
    through = asked(cloud) - before
    assert 0 < through < 40
    host.run(
        "systemctl restart litellm@a; while ! curl -sf localhost:4001/health/liveliness; do sleep 1; done", timeout=90
    )
    assert asyncio.run(answers(host, [one] * 20)) == {200: 20}
    assert asked(cloud) - before == through
    by_id = httpx.post(
        f"http://{host.address}:4000/v1/chat/completions",
        content=body("tiny-python@cloud"),
        headers={"Authorization": f"Bearer {ADAS_KEY}", "Content-Type": "application/json"},
        timeout=30,
        trust_env=False,
    )
    assert (by_id.status_code, by_id.json()["error"]["code"]) == (429, "insufficient_quota")
    found = verdict(host)
    assert failures(found) == []
    (budget,) = found["usage"]["provider_budgets"]
    # One request costs less than two dollars.
    assert 5 <= budget["spent"] < 7
    deploy(host, inventory=file).must_pass()


async def one_by_one(host: LabHost, requests: list[Trick]) -> Counter[int]:
    found: Counter[int] = Counter()
    for each in requests:
        found += await answers(host, [each])
    return found


def test_its_outage_is_a_warning_and_no_deploy_is_taken_back_for_it(
    host: LabHost, cloud: LabHost, inventory: Path, tmp_path: Path
) -> None:
    cloud.cut_power()
    found = verdict(host)
    assert failures(found) == []
    (state,) = found["externals"]
    assert "tiny-native" in state["problem"]
    assert ask(host, "paid") == says("native.gguf")
    changed = tmp_path / "changed"
    changed.mkdir()
    run = deploy(host, inventory=box(cloud, changed, cooldown=7)).must_pass()
    assert "warning: cloud: " in run.output
    cloud.boot()


@pytest.mark.usefixtures("inventory")
def test_without_a_stand_in_it_is_a_failure_with_its_cause(host: LabHost, cloud: LabHost, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    text = BOX.format(address=cloud.address, gateway={}).replace('fallbacks=["tiny-native"], ', "")
    deploy(host, inventory=inventory_file(alone, text)).must_pass()
    cloud.run("systemctl stop ai-backend-front")
    found = verdict(host)
    wrong = {check["id"]: check for check in found["checks"] if check["ok"] is False}
    assert wrong.keys() == {"external/cloud/reached", "external/cloud/tiny-python@cloud", "route/paid/chat"}
    reached = wrong["external/cloud/reached"]
    assert reached["code"] == "external-unreachable"
    assert reached["causes"][0]["cause"].startswith("it is down")
    cloud.run("systemctl start ai-backend-front")


@pytest.mark.usefixtures("inventory")
def test_a_cloud_by_name_is_asked_in_its_own_api(host: LabHost, cloud: LabHost, tmp_path: Path) -> None:
    by_name = tmp_path / "by-name"
    by_name.mkdir()
    deploy(host, inventory=inventory_file(by_name, BY_NAME.format(address=cloud.address))).must_pass()
    asked_chats, asked_messages = asked(cloud), asked(cloud, "/v1/messages")
    assert ask(host, "claude") == says("python.gguf")
    assert failures(verdict(host)) == []
    assert asked(cloud) == asked_chats
    assert asked(cloud, "/v1/messages") > asked_messages >= 2
