"""Changes of the gateway under a steady load: with two instances no request fails or is cut; with one there is a gap.

And a gateway that does not do what it should is never switched to.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.inventory import says
from tests.lab.steady_load import RATE, Load, steady_load
from tests.lab.traffic import Answer, Gateway
from tests.labhost import LabHost

SAYS = {"tiny-native": says("native.gguf")}
FRONT = "ai-backend-front.service"
INSTANCES = ["litellm@a.service", "litellm@b.service"]
SOCKET = "/run/ai-backend-front/runtime.sock"

LONGEST_GAP = 60.0
"""Seconds in which one instance may answer nobody while it is replaced: its end, and its start under load."""

STACK = "lab_stack(native={{'parallel': 8, 'context_size': 8192}}, gateway={gateway})"
"""A native server that is quick and takes many requests at once, so that the load is the gateway's."""


def stack(folder: Path, *before: str, **gateway: object) -> Path:
    """An inventory with those options of the gateway; `before` are statements before it is made."""
    hosts = f"hosts = [lab_host({STACK.format(gateway=gateway)})]"
    return inventory_file(folder, "\n".join([*before, hosts]))


REINSTALLED = (
    "from roles.litellm import plan",
    "made = plan.python_env",
    "plan.python_env = lambda *names, **options: made(*names, environment={'LAB': 'another'}, **options)",
)
"""Another environment with the same LiteLLM in it: there is one release to be had here."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    """A host with two instances."""
    host = new_module_host("front", prepared=True)
    deploy(host, inventory=stack(tmp_path_factory.mktemp("two"), instances=2)).must_pass()
    return host


def loaded(host: LabHost, inventory: Path, rate: float) -> Load:
    """What became of the requests while the inventory was deployed."""
    with steady_load(Gateway(host), SAYS, rate) as load:
        run = deploy(host, inventory=inventory)
    print(load, *load.broken[:20], sep="\n")
    run.must_pass()
    assert len(load.answers) >= rate * 55
    return load


@pytest.mark.soak
def test_another_option_of_the_gateway_loses_and_cuts_no_request(host: LabHost, tmp_path: Path, soak: bool) -> None:
    before = main_pids(host, [FRONT, *INSTANCES])
    load = loaded(host, stack(tmp_path, instances=2, cooldown=20), RATE[soak])
    after = main_pids(host, [FRONT, *INSTANCES])
    assert {unit for unit in after if before[unit] != after[unit]} == set(INSTANCES)
    assert load.broken == []


@pytest.mark.soak_only
def test_another_installation_of_litellm_loses_and_cuts_no_request(host: LabHost, tmp_path: Path, soak: bool) -> None:
    before = host.run("readlink /etc/ai-backend/install/litellm").stdout
    load = loaded(host, stack(tmp_path, *REINSTALLED, instances=2), RATE[soak])
    assert host.run("readlink /etc/ai-backend/install/litellm").stdout != before
    assert load.broken == []


@pytest.mark.parametrize(
    ("before", "options", "said"),
    [
        pytest.param((), {"start_timeout": 1}, "did not answer within its start_timeout of 1 s", id="too little time"),
        pytest.param(
            ("from tests.lab import inventory", "inventory.Probe = lambda expects: Probe(expects='Nobody says this')"),
            {},
            'does not contain "Nobody says this"',
            id="a route that says something else",
        ),
    ],
)
def test_a_gateway_that_does_not_do_what_it_should_is_not_switched_to(
    host: LabHost, tmp_path: Path, before: tuple[str, ...], options: dict[str, object], said: str
) -> None:
    deploy(host, inventory=stack(tmp_path, instances=2)).must_pass()
    state = "readlink /etc/ai-backend; ls /run/systemd/system"
    pids, there = main_pids(host, [FRONT, *INSTANCES]), host.run(state).stdout
    # Another option too: words that a probe expects are no change of the gateway.
    run = deploy(host, inventory=stack(tmp_path, *before, instances=2, cooldown=21, **options))
    assert run.status == 1
    assert "the new gateway does not do what it should, and the host was not switched to generation" in run.output
    assert said in run.output
    assert "Traceback" not in run.output
    assert host.run(state).stdout == there
    assert main_pids(host, [FRONT, *INSTANCES]) == pids
    assert ask(host, "tiny-native") == SAYS["tiny-native"]
    assert failures(verdict(host)) == []


def test_where_a_server_fails_the_gateway_is_not_restarted(host: LabHost, tmp_path: Path) -> None:
    deploy(host, inventory=stack(tmp_path, instances=2)).must_pass()
    pids = main_pids(host, [FRONT, *INSTANCES])
    broken = "lab_stack(native={'extra_arguments': ['--no-such-flag']}, gateway={'instances': 2, 'cooldown': 24})"
    run = deploy(host, inventory=inventory_file(tmp_path, f"hosts = [lab_host({broken})]"))
    assert run.status == 1
    assert "is active again" in run.output
    assert main_pids(host, [FRONT, *INSTANCES]) == pids
    assert failures(verdict(host)) == []


def test_a_staged_gateway_that_a_killed_run_left_is_removed_by_the_next(host: LabHost, tmp_path: Path) -> None:
    changed = stack(tmp_path, instances=2, cooldown=22)
    deploy(host, inventory=changed, at="ai-backend-staged.service: started")
    host.run("pkill -KILL -f '[h]ost_lock.one_at_a_time'", check=False)
    assert host.run("systemctl is-active ai-backend-staged.service").stdout == "active\n"
    deploy(host, inventory=changed).must_pass()
    assert host.run("systemctl is-active ai-backend-staged.service", check=False).stdout == "inactive\n"
    assert host.run("ls /run/systemd/system | grep staged", check=False).stdout == ""
    assert failures(verdict(host)) == []


def test_an_instance_that_a_killed_run_left_without_work_gets_it_back(host: LabHost, tmp_path: Path) -> None:
    changed = stack(tmp_path, instances=2, cooldown=23)
    deploy(host, inventory=changed, at="litellm@a.service: relieved of its work")
    host.run("pkill -KILL -f '[h]ost_lock.one_at_a_time'", check=False)
    found = failures(verdict(host))
    assert any(failure.startswith("gateway/servers: a DRAIN") for failure in found), found
    assert ask(host, "tiny-native") == SAYS["tiny-native"]
    deploy(host, inventory=changed).must_pass()
    assert failures(verdict(host)) == []


def test_an_instance_that_dies_costs_no_new_request(host: LabHost) -> None:
    host.run("systemctl kill --signal KILL litellm@a.service")
    assert {ask(host, "tiny-native") for _ in range(10)} == {SAYS["tiny-native"]}
    assert failures(verdict(host)) == []


def test_a_model_server_that_restarts_keeps_no_request_waiting(host: LabHost) -> None:
    gateway, restarted, answers = Gateway(host), threading.Event(), list[Answer]()

    async def keep_asking(client: httpx.AsyncClient) -> None:
        while not restarted.is_set():
            answers.append(await gateway.ask(client, "tiny-native", max_tokens=900, ignore_eos=True))

    async def at_once(clients: int) -> None:
        async with gateway.client() as client:
            await asyncio.gather(*(keep_asking(client) for _ in range(clients)))

    with ThreadPoolExecutor() as pool:
        asking = pool.submit(lambda: asyncio.run(at_once(32)))
        while not answers and not asking.done():
            time.sleep(0.1)
        began = time.monotonic()
        host.run("systemctl restart llama-server@native")
        took = time.monotonic() - began
        restarted.set()
        asking.result()
    assert took < 10
    # A request that was cut is answered by the route's fallback.
    assert [answer for answer in answers if answer.problem] == []
    assert {answer.origin for answer in answers} == {"tiny-native@native", "tiny-python@python"}
    assert max(answer.seconds for answer in answers) < 30


def test_debians_own_haproxy_does_not_run(host: LabHost) -> None:
    assert host.run("systemctl is-enabled haproxy.service", check=False).stdout == "masked\n"
    assert host.run("pgrep -c haproxy").stdout == "1\n"


def test_a_client_never_sees_the_pages_for_administrators(host: LabHost) -> None:
    for path in ("/ui", "/ui/", "/%75i/", "/UI/login", "/litellm-asset-prefix/x"):
        status = host.run(f"curl -s -o /dev/null -w '%{{http_code}}' 'http://127.0.0.1:4000{path}'").stdout
        assert status == "404", path


def test_a_second_run_changes_nothing(host: LabHost, tmp_path: Path) -> None:
    inventory = stack(tmp_path, instances=2)
    deploy(host, inventory=inventory).must_pass()
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_after_a_reboot_both_instances_take_requests(host: LabHost, tmp_path: Path) -> None:
    host.reboot()
    deploy(host, "verify.py", inventory=stack(tmp_path, instances=2)).must_pass()


@pytest.mark.soak
def test_one_instance_answers_nobody_while_it_is_replaced_and_cuts_no_request(
    host: LabHost, tmp_path: Path, soak: bool
) -> None:
    """The gap that `instances=1` costs: what is under way ends, and who comes meanwhile is told to come again."""
    deploy(host, inventory=stack(tmp_path, instances=1)).must_pass()
    assert host.run("systemctl is-active litellm@b.service", check=False).stdout == "inactive\n"
    load = loaded(host, stack(tmp_path, instances=1, cooldown=20), RATE[soak])
    refused = [answer for answer in [*load.answers, *load.long] if answer.status == 503]
    assert refused
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert {answer.headers["content-type"] for answer in refused} == {"application/json"}
    assert len(load.broken) == len(refused)
    assert 1 < load.gap < LONGEST_GAP
