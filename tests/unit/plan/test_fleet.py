"""Hosts that use each other's providers: what each gets of the others, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from roles.checked_plans import lint_configuration
from roles.external import External
from roles.litellm import LITELLM_CONFIG, LiteLLM
from roles.ollama import Ollama, OllamaRelease
from roles.options import Deployment, EnvSecret, ModelServer, OptionsError, Probe, Provider, Route, Stack
from roles.plan import HostPlan, fleet_of, planned_backend, planners, resolve
from roles.plan.backends import ServerBackend
from roles.rooms import members_of, plan_of
from tests.stacks import PLATFORM, native, python, route, small_stack, user_scope

FRONT, ONE, TWO = "10.0.0.4", "10.0.0.5", "10.0.0.6"
KEY = EnvSecret("BACKEND_API_KEY")


def ollama(**options: Any) -> Ollama:
    release = OllamaRelease(version="0.32.15", url="http://198.18.0.1/ollama", sha256="c" * 64)
    return Ollama(release=release, **{"models": ["a:latest"], **options})


def shared(**options: Any) -> Route:
    """Over both hosts, three to one."""
    deployments = [Deployment(provider="one/native", weight=3), Deployment(provider="two/native")]
    return Route(name="n", deployments=deployments, **options)


def gateway(*routes: Route, **options: Any) -> Stack:
    return Stack(**{"gateway": LiteLLM(), "routes": routes or [shared()], "address": FRONT, **options})


def backends(*providers: Provider, **options: Any) -> Stack:
    return Stack(**{"providers": providers or [native(api_key=KEY)], "address": ONE, **options})


def fleet(**stacks: Stack) -> dict[str, HostPlan]:
    every = {"front": gateway(), "one": backends(), "two": backends(address=TWO), **stacks}
    return {name: plan_of(each.stack, place=each.place) for name, each in members_of(every).items()}


def refusal(**stacks: Stack) -> str:
    with pytest.raises(OptionsError) as refused:
        fleet(**stacks)
    return str(refused.value)


def entries(plan: HostPlan) -> list[dict[str, Any]]:
    models = yaml.safe_load(plan.files[LITELLM_CONFIG])["model_list"]
    return [each for each in models if each["model_name"] != "ai-backend-canary"]


def provider(plan: HostPlan) -> dict[str, Any]:
    (found,) = yaml.safe_load(plan.files["providers.yaml"])["providers"]
    return dict(found)


def test_a_gateway_gets_the_addresses_keys_and_shares_of_other_hosts_providers() -> None:
    plan = fleet()["front"]
    lint_configuration(plan)
    first, second = entries(plan)
    assert first["model_info"]["id"] == "n@one/native"
    assert first["litellm_params"]["api_base"] == f"http://{ONE}:8080/v1"
    assert second["litellm_params"]["api_base"] == f"http://{TWO}:8080/v1"
    assert (first["litellm_params"]["weight"], second["litellm_params"]["weight"]) == (3, 1)
    variables = {each["litellm_params"]["api_key"].removeprefix("os.environ/") for each in (first, second)}
    (unit,) = [unit for unit in plan.units if unit.name == "litellm@a.service"]
    assert {unit.environment[name] for name in variables} == {KEY}
    assert len(variables) == 2
    assert "IPAddressDeny" not in unit.text


def test_a_host_with_backends_only_has_no_gateway_and_one_with_a_gateway_only_no_backends() -> None:
    plans = fleet()
    assert {unit.name for unit in plans["one"].units} == {
        "llama-server@native.service",
        "ai-backend-firewall.service",
        "ai-backend-verify.service",
        "ai-backend-verify.timer",
    }
    assert LITELLM_CONFIG not in plans["one"].files
    assert yaml.safe_load(plans["one"].files["providers.yaml"])["gateway"] is None
    assert yaml.safe_load(plans["one"].files["model-mappings.yaml"]) == {"models": []}
    assert "litellm" not in {install.name for install in plans["one"].installs}
    assert not any("llama" in unit.name for unit in plans["front"].units)
    assert yaml.safe_load(plans["front"].files["providers.yaml"])["providers"] == []


def test_a_used_provider_listens_at_its_hosts_address_for_the_gateways_alone() -> None:
    second = gateway(route("x", "one/native"), address="10.0.0.7")
    plan = fleet(second=second)["one"]
    (unit,) = [unit for unit in plan.servers if unit.name.startswith("llama")]
    assert unit.endpoint.bind == ONE
    assert f"--host {ONE} " in unit.text.replace("\\\n", "").replace("    ", "")
    rules = re.findall(r"dport (\d+) ip saddr != \{ (.*?) \} reject", plan.files["firewall.nft"])
    assert rules == [("8080", f"{FRONT}, 10.0.0.7")]
    # It does not start without them, and they are there at boot before it.
    assert "\nExecStartPre=+/usr/sbin/nft \\\n    -f /etc/ai-backend/firewall.nft\nExecStart=" in unit.text
    (firewall,) = [unit for unit in plan.units if unit.name == "ai-backend-firewall.service"]
    assert "llama-server@native.service" in firewall.text


def test_further_gateways_restart_no_backend() -> None:
    def digest(plan: HostPlan) -> str:
        return resolve(plan, PLATFORM, lambda _: "x" * 20).unit_digests["llama-server@native.service"]

    more = fleet(second=gateway(route("x", "one/native"), address="10.0.0.7"))
    assert digest(fleet()["one"]) == digest(more["one"])


def test_what_no_other_host_uses_stays_on_loopback() -> None:
    plan = fleet(one=backends(native(api_key=KEY), python()))["one"]
    binds = {unit.name: unit.endpoint.bind for unit in plan.servers}
    assert binds == {"llama-server@native.service": ONE, "llama-cpp-python@python.service": "127.0.0.1"}
    assert "8000" not in plan.files["firewall.nft"]


def test_a_provider_that_takes_no_key_is_closed_to_other_users_and_other_hosts() -> None:
    plans = fleet(one=backends(ollama()), front=gateway(route("a", "one/ollama")))
    rules = plans["one"].files["firewall.nft"]
    assert f'iif != "lo" tcp dport 11434 ip saddr != {{ {FRONT} }} reject' in rules
    assert 'oif "lo" tcp dport 11434 meta skuid !=' in rules
    (entry,) = entries(plans["front"])
    assert entry["litellm_params"]["model"] == "ollama_chat/a:latest"
    (external,) = yaml.safe_load(plans["front"].files["providers.yaml"])["externals"]
    assert (external["api_base"], external["listing"]) == (f"http://{ONE}:11434", "ollama")
    assert (external["name"], external["host"], external["key_file"]) == ("one/ollama", "one", "")


def test_a_declared_address_of_a_provider_stays() -> None:
    plans = fleet(
        one=backends(native(api_key=KEY, bind="10.9.0.5")),
        two=backends(native(api_key=KEY, bind="0.0.0.0"), address=TWO),
    )
    bases = [each["litellm_params"]["api_base"] for each in entries(plans["front"])]
    assert bases == ["http://10.9.0.5:8080/v1", f"http://{TWO}:8080/v1"]
    assert [unit.endpoint.bind for unit in plans["two"].servers] == ["0.0.0.0"]
    assert f"dport 8080 ip saddr != {{ {FRONT} }} reject" in plans["two"].files["firewall.nft"]


def test_a_backend_knows_what_it_is_asked_for() -> None:
    first = route("x", "one/native", probe=Probe(prompt="Who?", expects="me"))
    found = provider(fleet(front=gateway(shared(), first))["one"])
    (asked,) = found["asked"]
    assert (asked["model"], asked["mode"]) == ("n", "chat")
    assert found["key_file"] == "env/llama-server@native.service.env"
    assert found["key_variable"] == "LLAMA_API_KEY"
    assert (
        provider(plan := plan_of(small_stack(providers=[native()], routes=[route("n", "native")], aliases={})))["asked"]
        == []
    )
    assert provider(plan)["key_file"] == ""


def test_a_change_of_a_backend_is_one_of_its_gateways() -> None:
    def digest(one: Stack) -> str:
        return resolve(fleet(one=one)["front"], PLATFORM, lambda _: "x" * 20).digest

    before = digest(backends())
    assert digest(backends(address="10.0.0.9")) != before
    assert digest(backends(native(api_key=KEY, port=8090))) != before
    assert digest(backends(native(api_key=KEY, served_name="m"))) != before
    assert digest(backends(native(api_key=KEY), python())) == before


def test_a_provider_of_many_gateways_is_planned_for_them_once() -> None:
    planned: list[str] = []

    def backend_of(stack: Stack, server: ModelServer) -> ServerBackend:
        planned.append(server.bind)
        return planned_backend(stack, server, planners())

    fronts = {f"front-{number}": gateway(address=f"10.0.1.{number}") for number in range(1, 21)}
    members = fleet_of({**fronts, "one": backends(), "two": backends(address=TWO)}, backend_of)
    assert sorted(planned) == [ONE, TWO]
    assert len(members["one"].place.callers["native"]) == 20


def test_two_hosts_may_use_each_other() -> None:
    def both(own: str, other: str, address: str) -> Stack:
        routes = [
            Route(
                name="n", deployments=[Deployment(provider="native"), Deployment(provider=f"{other}/native", order=2)]
            )
        ]
        return Stack(providers=[native(api_key=KEY)], gateway=LiteLLM(), routes=routes, address=address)

    members = members_of({"one": both("one", "two", ONE), "two": both("two", "one", TWO)})
    plans = {name: plan_of(each.stack, place=each.place) for name, each in members.items()}
    assert [each["litellm_params"]["api_base"] for each in entries(plans["one"])] == [
        f"http://{ONE}:8080/v1",
        f"http://{TWO}:8080/v1",
    ]
    lint_configuration(plans["one"])


CLOUD = External(name="cloud", url="http://x.example.com/v1", models=["m"])
REFUSED: dict[str, tuple[dict[str, Stack], str]] = {
    "an unknown host": (
        {"front": gateway(route("n", "onne/native"))},
        'the inventory has no host "onne"; did you mean "one"? (it has front, one, two)',
    ),
    "an unknown provider": (
        {"front": gateway(route("n", "one/nativ"))},
        'host "one" has no such provider; did you mean "native"?',
    ),
    "its own host": ({"front": gateway(route("n", "front/native"))}, 'of its own host; write provider="native"'),
    "a gateway without an address": (
        {"front": gateway(address=None)},
        '"front" has no `address`, which alone the firewall of "one" would let through',
    ),
    "a backend without an address": ({"one": backends(address=None)}, 'host "one" has no `address` to listen on'),
    "one address twice": ({"one": backends(address=TWO)}, f'hosts "one" and "two" have the same `address`, {TWO}'),
    "a key that is made": (
        {"one": backends(native())},
        'is made on host "one", where no other host has it; give LlamaServer "native" an `api_key`',
    ),
    "user scope": (
        {"one": backends(scope=user_scope())},
        'host "one" is of user scope, in which no firewall closes its ports',
    ),
    "a taken port": (
        {"one": backends(native(api_key=KEY), python(name="other", port=8080, bind=ONE))},
        'host "one", with what other hosts use at 10.0.0.5: LlamaCppPython "other" and LlamaServer "native" both',
    ),
    "what others run": (
        {"one": backends(native(api_key=KEY), CLOUD), "front": gateway(route("n", "one/cloud"))},
        'External "cloud" of host "one" is run by others; declare it on "front" too',
    ),
    "one of several models": (
        {"one": backends(ollama(models=["a:latest", "b:latest"])), "front": gateway(route("n", "one/ollama"))},
        "which serves 2 models; say which with `model` (it serves a:latest, b:latest)",
    ),
    "an unknown model": (
        {"front": gateway(Route(name="n", deployments=[Deployment(provider="one/native", model="m")]))},
        'LlamaServer "native" of host "one" does not serve "m"',
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_message(case: str) -> None:
    stacks, words = REFUSED[case]
    message = refusal(**stacks)
    assert words in message
    assert re.search('hosts? "', message)
    assert "\n" not in message


NOTHING_TO_DO: dict[str, tuple[dict[str, Any], str]] = {
    "routes alone": ({"routes": [route("n", "native")]}, "it has `routes`, and no `gateway` to use them"),
    "a gateway alone": ({"gateway": LiteLLM(), "providers": [native()]}, "it has a `gateway` without `routes`"),
    "an address alone": ({"address": ONE}, "it runs nothing; give it `providers`, or a `gateway` with `routes`"),
    "loopback": ({"address": "127.0.0.1", "providers": [native()]}, "leads no other host to this one"),
}


@pytest.mark.parametrize("case", NOTHING_TO_DO)
def test_a_stack_that_has_nothing_to_do_is_refused(case: str) -> None:
    options, words = NOTHING_TO_DO[case]
    with pytest.raises(OptionsError, match=re.escape(words)):
        Stack(**options)
