"""Clients with keys of their own: made and shown once, limited, added, rotated, revoked under load, found nowhere.

The tests follow one another on one host: each begins with what the one before has left.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.conftest import NewHost
from tests.lab.counted import wait_until_counted
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.inventory import says
from tests.lab.steady_load import RATE, steady_load
from tests.lab.traffic import Gateway
from tests.labhost import LabHost

UNITS = ["ai-backend-front.service", "litellm@a.service", "litellm@b.service"]
KEYS = {f"LAB_{name.upper()}": f"sk-lab-{name}-0123456789" for name in ("ada", "eve", "old", "zoe")}
ADA, EVE, OLD, ZOE = KEYS.values()

ADA_IS = 'Client(name="ada", key=EnvSecret("LAB_ADA"))'
BOB_IS = 'Client(name="bob", routes=["tiny-python"])'
EVE_IS = 'Client(name="eve", key=EnvSecret("LAB_EVE"), rpm=2)'
OLD_IS = 'Client(name="old", key=EnvSecret("LAB_OLD"), expires=date(2026, 1, 31))'
ZOE_IS = 'Client(name="zoe", key=EnvSecret("LAB_ZOE"), budget=Budget(per="month", usd=0.1))'
ALL = [ADA_IS, BOB_IS, OLD_IS, ZOE_IS]


def stack(folder: Path, *clients: str, cache: str = "None") -> Path:
    """The small stack with two instances and these clients. A token of tiny-native costs a tenth of a cent."""
    text = f"""
from roles.options import Budget, Client, EnvSecret, Price, date
from roles.redis import Redis

small = lab_stack(native={{"parallel": 8, "context_size": 8192}}, gateway={{"instances": 2}})
native, python = small.routes
priced = Deployment(provider="native", price=Price(input=1000, output=1000))
routes = [native.model_copy(update={{"deployments": (priced,)}}), python]
hosts = [lab_host(Stack(**{{**dict(small), "routes": routes, "clients": [{", ".join(clients)}], "cache": {cache}}}))]
"""
    return inventory_file(folder, text)


@contextlib.contextmanager
def keys_in_the_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in KEYS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def given_keys() -> Iterator[None]:
    with keys_in_the_environment():
        yield


@pytest.fixture(scope="module")
def host(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    host = new_module_host("keys", prepared=True)
    with keys_in_the_environment():
        run = deploy(host, inventory=stack(tmp_path_factory.mktemp("first"), *ALL)).must_pass()
    assert "no key yet: bob" in run.output
    return host


@pytest.fixture(scope="module")
def made(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The keys that were made on the host and shown; tests that make others add them."""
    with keys_in_the_environment():
        run = deploy(host, "clients.py", inventory=stack(tmp_path_factory.mktemp("clients"), *ALL)).must_pass()
    return shown(run.output)


def request(host: LabHost, key: str | None, path: str = "/v1/models", body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"http://{host.address}:4000{path}"
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.post(url, json=body, headers=headers) if body else client.get(url, headers=headers)


def chat(host: LabHost, key: str, model: str) -> httpx.Response:
    messages = [{"role": "user", "content": "Who are you?"}]
    return request(host, key, "/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": 8})


def shown(output: str) -> dict[str, str]:
    """Client → the key that a run has shown."""
    return dict(re.findall(r"(\w+): (sk-\S{40,})", output))


def test_a_missing_key_is_made_and_shown_once(host: LabHost, tmp_path: Path, made: dict[str, str]) -> None:
    assert made.keys() == {"bob"}
    assert request(host, made["bob"]).status_code == 200
    run = deploy(host, "clients.py", inventory=stack(tmp_path, *ALL)).must_pass()
    assert "bob: routes tiny-python; without an end; key made on the host" in run.output
    assert "ada: all routes; without an end; key given by environment variable LAB_ADA" in run.output
    assert shown(run.output) == {}
    kept = host.run("stat -c '%a %U' /var/lib/ai-backend/secrets/clients /var/lib/ai-backend/secrets/clients/*.env")
    assert kept.stdout.splitlines() == ["700 root", "600 root"]


def test_whoever_has_no_valid_key_gets_a_401_as_openai_words_it(host: LabHost) -> None:
    for key in (None, "sk-lab-nobody", OLD):
        answer = request(host, key)
        assert answer.status_code == 401, key
        error = answer.json()["error"]
        assert error["message"].startswith("Incorrect API key provided.")
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "invalid_api_key")


def test_a_client_uses_its_routes_and_sees_no_others(host: LabHost, made: dict[str, str]) -> None:
    bob = made["bob"]
    assert [model["id"] for model in request(host, bob).json()["data"]] == ["tiny-python"]
    assert chat(host, bob, "tiny-python").status_code == 200
    others = [chat(host, bob, model) for model in ("tiny-native", "gpt-4o", "tiny-native@native", "no-such-model")]
    body = {"model": "tiny-python", "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 8}
    unnamed = {name: value for name, value in body.items() if name != "model"}
    # LiteLLM would use what the path or the query says.
    elsewhere = "/openai/deployments/tiny-native/chat/completions", "/v1/chat/completions?model=tiny-native"
    for path in elsewhere:
        both = request(host, bob, path, body)
        assert (both.status_code, both.json()["error"]["param"]) == (400, "model"), both.text
        others.append(request(host, bob, path, unnamed))
    others.append(request(host, bob, "/v1/chat/completions", {**body, "fallbacks": ["tiny-native"]}))
    for answer in others:
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "model_not_found"
        assert "does not exist or you do not have access to it" in answer.json()["error"]["message"]
    assert chat(host, ADA, "gpt-4o").status_code == 200
    # All routes, but not the canary, which is the verifier's.
    assert {model["id"] for model in request(host, ADA).json()["data"]} == {"tiny-native", "gpt-4o", "tiny-python"}


def test_a_client_that_has_spent_its_budget_is_refused_also_after_a_restart(host: LabHost) -> None:
    answers = [chat(host, ZOE, "tiny-native") for _ in range(20)]
    statuses = [answer.status_code for answer in answers]
    assert (statuses[0], statuses[-1]) == (200, 429)
    late = answers[-1]
    error = late.json()["error"]
    assert error["message"].startswith("You exceeded your current quota: the 0.1 US dollars for this month are spent.")
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert 0 < int(late.headers["Retry-After"]) <= 31 * 24 * 3600 + 1
    assert late.headers["x-should-retry"] == "false"
    wait_until_counted(host, "zoe", 20)
    live = "; ".join(
        f"until curl -sf http://127.0.0.1:{port}/health/liveliness; do sleep 0.2; done" for port in (4001, 4002)
    )
    for command in ("true", f"systemctl restart litellm@a litellm@b; timeout 60 sh -c '{live}'; sleep 2"):
        host.run(command, timeout=120)
        assert {chat(host, ZOE, model).status_code for model in ("tiny-native", "gpt-4o", "tiny-python")} == {429}
        assert request(host, ZOE).status_code == 200, "the list of models costs nothing"
        assert chat(host, ADA, "tiny-native").status_code == 200
    wait_until_counted(host, "zoe", 26)
    found = verdict(host)
    assert failures(found) == []
    (budget,) = found["usage"]["budgets"]
    (used,) = [row for row in found["usage"]["total"] if row["client"] == "zoe" and row["route"] == "tiny-native"]
    assert (
        budget["spent"] == pytest.approx(used["usd"]) == pytest.approx((used["tokens_in"] + used["tokens_out"]) / 1000)
    )
    # Each instance alone may have answered for all of it, and for one request more.
    assert 0.1 <= budget["spent"] <= 0.4
    assert used["refused"] >= 2
    assert "client zoe has spent" in host.run("/etc/ai-backend/bin/verify", timeout=120).stdout


def test_only_the_api_is_reached_whatever_the_key(host: LabHost, made: dict[str, str]) -> None:
    own = host.run("cut -d'\"' -f2 /var/lib/ai-backend/secrets/master-key.env").stdout.strip()
    keys = "/key/info /key/generate /sso/key/generate /fallback/login /user/list /spend/logs"
    inner = "/model/info /v1/model/info /health /metrics /config/yaml /ui/ /openapi.json /"
    paths = [*keys.split(), *inner.split()]
    seen = {request(host, key, path).status_code for path in paths for key in (None, own, made["bob"])}
    assert seen == {404}
    assert request(host, own).status_code == 200


@pytest.mark.soak
def test_clients_come_change_and_go_under_load_and_no_request_fails(
    host: LabHost, tmp_path: Path, made: dict[str, str], soak: bool
) -> None:
    before, former = main_pids(host, UNITS), made["bob"]
    refused: list[int] = []

    def ask_with_adas() -> None:
        # At once, and often enough for both instances.
        refused.extend(request(host, ADA).status_code for _ in range(6))

    with steady_load(Gateway(host), {"tiny-native": says("native.gguf")}, RATE[soak]) as load:
        run = deploy(host, inventory=stack(tmp_path, *ALL, EVE_IS)).must_pass()
        assert "client eve: added (all routes, 2 requests a minute)" in run.output
        assert request(host, EVE).status_code == 200
        run = deploy(host, "clients.py", inventory=stack(tmp_path, *ALL, EVE_IS), data={"rotate": "bob"}).must_pass()
        made |= shown(run.output)
        assert (request(host, former).status_code, request(host, made["bob"]).status_code) == (401, 200)
        without = stack(tmp_path, BOB_IS, OLD_IS, EVE_IS)
        preflight = deploy(host, "preflight.py", inventory=without).must_pass()
        assert "client ada: removed, and its key refused" in preflight.output
        deploy(host, inventory=without, at="a key of ada is no longer valid", do=ask_with_adas).must_pass()
    print(load, *load.broken[:20], sep="\n")
    assert load.broken == []
    assert refused == [401] * 6
    assert main_pids(host, UNITS) == before
    assert failures(verdict(host)) == []


def test_a_second_run_changes_nothing(host: LabHost, tmp_path: Path) -> None:
    run = deploy(host, inventory=stack(tmp_path, BOB_IS, OLD_IS, EVE_IS)).must_pass()
    assert run.results() == dict.fromkeys(OPERATIONS, "No changes")


def test_a_clients_requests_within_a_minute_are_limited(host: LabHost) -> None:
    answers = [chat(host, EVE, "tiny-native") for _ in range(7)]
    statuses = [answer.status_code for answer in answers]
    # Two instances without a cache: each counts for itself.
    assert statuses[:2] == [200, 200]
    assert 2 <= statuses.count(200) <= 4
    late = next(answer for answer in answers if answer.status_code == 429)
    assert int(late.headers["Retry-After"]) <= 60
    assert chat(host, ADA, "tiny-native").status_code == 401


@pytest.mark.soak_only
def test_with_a_cache_both_instances_count_a_clients_requests_together(host: LabHost, tmp_path: Path) -> None:
    deploy(host, inventory=stack(tmp_path, BOB_IS, OLD_IS, EVE_IS, cache="Redis()")).must_pass()
    # New instances, and a Redis that is new: nothing was counted yet.
    assert [chat(host, EVE, "tiny-native").status_code for _ in range(10)] == [200] * 2 + [429] * 8


def test_a_key_that_somebody_adds_by_hand_is_found_by_the_verifier(host: LabHost) -> None:
    script = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(sys.argv[2].encode())"
    ask = f"python3 -c {shlex.quote(script)} /run/ai-backend-front/runtime.sock"
    entry = f"map /run/ai-backend-front/keys {'0' * 64}"
    for command, seen in (
        (f"add {entry} mallory:0\n", ["gateway/keys: to be refused: mallory"]),
        (f"del {entry}\n", []),
    ):
        host.run(f"{ask} {shlex.quote(command)}")
        assert failures(verdict(host)) == seen


def test_keys_are_in_no_journal_no_command_line_and_no_file(host: LabHost, made: dict[str, str]) -> None:
    keys = [*KEYS.values(), *made.values()]
    assert len(keys) == 5
    shown = "journalctl -b -o cat --no-pager; cat /proc/[0-9]*/cmdline /run/ai-backend-front/keys"
    reports = "; ".join(f"/etc/ai-backend/bin/verify --{form}" for form in ("json", "html"))
    log = host.run(f"{shown}; {reports}").stdout
    assert [key for key in keys if key in log] == []
    # Not even in a file that only root may read: what is kept are their digests.
    pattern = " ".join(f"-e {shlex.quote(key)}" for key in keys)
    folders = "/etc /run /tmp /root /var/tmp /var/log /var/lib/ai-backend"
    assert host.run(f"grep -rlF {pattern} {folders}", check=False).stdout == ""
