"""Servers that others run: a route may lead to them, and nothing of them is on the host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.contract.manifest import AUTHORITIES_FILE, MODELS_FILE, PROVIDERS_FILE
from roles.external import Cloud, Existing, External
from roles.litellm import LiteLLM
from roles.litellm.requests.routes import Routes
from roles.options import Budget, Deployment, EnvSecret, OptionsError, Price, Provider, Route, Stack, TextFile
from roles.plan import HostPlan
from roles.rooms import plan_of
from tests.stacks import native

KEY = EnvSecret("CLOUD_KEY")
VARIABLE = "AI_BACKEND_KEY_THE_CLOUD"
PEM = "-----BEGIN CERTIFICATE-----"


def cloud(**options: Any) -> External:
    return External(
        **{"name": "the-cloud", "url": "https://api.example.com/v1/", "api_key": KEY, "models": ["small"], **options}
    )


def claude(**options: Any) -> Cloud:
    return Cloud(name="claude", vendor="anthropic", api_key=KEY, models=["claude-haiku-4-5"], **options)


def planned(*providers: Provider, **route: Any) -> HostPlan:
    routes = [Route(name="m", deployments=[Deployment(provider=each.name) for each in providers], **route)]
    return plan_of(Stack(providers=list(providers), gateway=LiteLLM(), routes=routes))


def entry(plan: HostPlan) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(plan.files["litellm-unified.yaml"])["model_list"][0]["litellm_params"]
    return found


def test_the_gateway_alone_gets_its_key_and_reaches_out() -> None:
    with_cloud, without = planned(native(), cloud()), planned(native())
    assert [unit.name for unit in with_cloud.units] == [unit.name for unit in without.units]
    assert with_cloud.installs == without.installs
    has_key = {unit.name for unit in with_cloud.units if VARIABLE in unit.all_environment}
    assert has_key == {"litellm@a.service", "litellm@b.service"}
    texts = [{unit.name: unit.text for unit in plan.units}["litellm@a.service"] for plan in (without, with_cloud)]
    assert ["IPAddressDeny=any" in text for text in texts] == [True, False]


def test_a_request_goes_to_its_address_with_its_key() -> None:
    found = entry(planned(cloud()))
    assert found["model"] == "openai/small"
    assert found["api_base"] == "https://api.example.com/v1"
    assert found["api_key"] == f"os.environ/{VARIABLE}"


@pytest.mark.parametrize(("metered", "asked"), [(True, False), (False, True)], ids=["metered", "not metered"])
def test_what_may_cost_money_is_not_asked_by_the_canary_nor_for_shares(metered: bool, asked: bool) -> None:
    plan = planned(cloud(metered=metered), cloud(name="other", metered=metered))
    (model,) = yaml.safe_load(plan.files[MODELS_FILE])["models"]
    assert model["balance"] is asked
    assert [each["metered"] for each in model["deployments"]] == [metered, metered]
    assert (yaml.safe_load(plan.files[PROVIDERS_FILE])["gateway"]["canary"] is not None) is asked


def test_the_canary_takes_a_route_whose_first_choice_is_free() -> None:
    plan = plan_of(
        Stack(
            providers=[native(), cloud()],
            gateway=LiteLLM(),
            routes=[
                Route(name="paid", deployments=[Deployment(provider="the-cloud")]),
                Route(
                    name="own", deployments=[Deployment(provider="native"), Deployment(provider="the-cloud", order=2)]
                ),
            ],
        )
    )
    assert yaml.safe_load(plan.files[PROVIDERS_FILE])["gateway"]["canary"]["route"] == "own"


def test_the_verifier_knows_those_that_routes_name_and_where_their_keys_are() -> None:
    plan = plan_of(
        Stack(
            providers=[native(), cloud(), cloud(name="unused")],
            gateway=LiteLLM(),
            routes=[Route(name="m", deployments=[Deployment(provider="native"), Deployment(provider="the-cloud")])],
        )
    )
    read = yaml.safe_load(plan.files[PROVIDERS_FILE])
    assert [each["name"] for each in read["providers"]] == ["native"]
    (found,) = read["externals"]
    assert (found["name"], found["kind"]) == ("the-cloud", "external")
    assert (found["key_file"], found["key_variable"]) == ("env/litellm@a.service.env", VARIABLE)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://api.example.com/v1/chat/completions", 'give the address above it: "https://api.example.com/v1"'),
        ("https://api.example.com/v1?key=abc", "has more than a path"),
        ("api.example.com/v1", 'did you mean "https://api.example.com/v1"?'),
        ("https://user:secret@api.example.com/v1", "has a user or password in it"),
    ],
    ids=["one kind of request", "a query", "no scheme", "a login"],
)
def test_an_address_that_cannot_work_is_refused(url: str, problem: str) -> None:
    with pytest.raises(OptionsError, match="url") as refused:
        cloud(url=url)
    assert problem in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_what_runs_here_is_asked_as_the_hosts_own_servers_are() -> None:
    existing = Existing(name="ollama", url="http://127.0.0.1:11434/v1", models=["llama3.1:latest"])
    plan = planned(existing)
    (model,) = yaml.safe_load(plan.files[MODELS_FILE])["models"]
    assert [each["metered"] for each in model["deployments"]] == [False]
    assert entry(plan)["api_key"] == "none"
    with pytest.raises(OptionsError, match="is not on loopback; declare what runs elsewhere as `External`"):
        Existing(name="far", url="http://192.168.7.9:11434/v1", models=["m"])


def test_its_name_is_no_other_ones() -> None:
    with pytest.raises(OptionsError, match='share the name "native"'):
        planned(native(), cloud(name="native"))


def local_stack(route: dict[str, Any], *others: Route, **gateway: Any) -> Stack:
    """A route `private`, which must stay here, and others."""
    private = Route(**{"name": "private", "deployments": [Deployment(provider="native")], "local_only": True, **route})
    ollama = Existing(name="ollama", url="http://127.0.0.1:11434/v1", models=["llama3.1:latest", "gpt-oss:120b-cloud"])
    return Stack(
        providers=[native(), cloud(), ollama], routes=[private, *others], gateway=LiteLLM(canary=False, **gateway)
    )


def paid(**options: Any) -> Route:
    return Route(**{"name": "paid", "deployments": [Deployment(provider="the-cloud")], **options})


def own(**options: Any) -> Route:
    deployments = [Deployment(provider="ollama", model="llama3.1:latest")]
    return Route(**{"name": "own", "deployments": deployments, **options})


@pytest.mark.parametrize(
    ("make", "way"),
    [
        (
            lambda: local_stack({"deployments": [Deployment(provider=name) for name in ("native", "the-cloud")]}),
            '"private" → External "the-cloud", at api.example.com; remove its deployment at "the-cloud"',
        ),
        (
            lambda: local_stack({"deployments": [Deployment(provider="ollama", model="gpt-oss:120b-cloud")]}),
            '"private" → Existing "ollama", at ollama.com; remove',
        ),
        (
            lambda: local_stack({"fallbacks": ["paid"]}, paid()),
            '"private" → `fallbacks` "paid" → External "the-cloud", at api.example.com; give "private" other fallbacks',
        ),
        (lambda: local_stack({}, paid(), default_fallbacks=["paid"]), '"private" → `default_fallbacks` "paid" → Ext'),
        (
            lambda: local_stack({"context_window_fallbacks": ["paid"]}, paid()),
            '"private" → `context_window_fallbacks` "paid" → Ext',
        ),
        (
            lambda: local_stack({"content_policy_fallbacks": ["paid"]}, paid()),
            '"private" → `content_policy_fallbacks` "paid" → Ext',
        ),
        (
            lambda: local_stack({"fallbacks": ["own"]}, own(fallbacks=["paid"]), paid()),
            '"private" → `fallbacks` "own" → `fallbacks` "paid" → External "the-cloud"',
        ),
        (
            lambda: local_stack({"fallbacks": ["own"]}, own(), paid(), default_fallbacks=["paid"]),
            '"private" → `fallbacks` "own" → `default_fallbacks` "paid" → External "the-cloud"',
        ),
    ],
    ids=["deployment", "ollamas cloud", "fallback", "default", "too long", "content", "of a fallback", "its default"],
)  # fmt: skip
def test_a_plan_in_which_a_local_route_could_leave_is_refused_with_the_way(make: Callable[[], Stack], way: str) -> None:
    with pytest.raises(OptionsError) as refused:
        make()
    assert 'route "private" is `local_only`, and its requests could leave: ' in str(refused.value)
    assert way in str(refused.value)


def test_a_local_route_may_lead_to_all_that_is_here() -> None:
    local_stack({"fallbacks": ["own"]}, own(no_fallbacks=True), paid(fallbacks=["private"]), default_fallbacks=["paid"])
    plan = plan_of(local_stack({}, own(), paid()))
    models = {each["name"]: each for each in yaml.safe_load(plan.files[MODELS_FILE])["models"]}
    assert {name: each["local_only"] for name, each in models.items()} == {"private": True, "own": False, "paid": False}
    elsewhere = {name: [each["elsewhere"] for each in route["deployments"]] for name, route in models.items()}
    assert elsewhere == {"private": [False], "own": [False], "paid": [True]}


def test_a_loop_of_fallbacks_is_no_way_out() -> None:
    local_stack({"fallbacks": ["own"]}, own(fallbacks=["private"]))


def test_the_gateway_knows_what_stays_here(tmp_path: Path) -> None:
    plan = plan_of(local_stack({}, own(), paid()))
    file = tmp_path / MODELS_FILE
    file.write_text(plan.files[MODELS_FILE])
    routes = Routes(file)
    (found,) = [
        each for each in yaml.safe_load(plan.files["litellm-unified.yaml"])["model_list"] if each["model_name"] == "own"
    ]
    assert routes.stays_here(found["model_info"]["id"], found["litellm_params"]["api_base"])
    assert not routes.stays_here(found["model_info"]["id"], "http://127.0.0.1:9/v1")
    assert not routes.stays_here("small@the-cloud", "https://api.example.com/v1")
    assert not routes.stays_here("nobody", found["litellm_params"]["api_base"])


def authority(folder: Path, text: str = f"{PEM}\nMIIB\n-----END CERTIFICATE-----") -> TextFile:
    file = folder / "ca.pem"
    file.write_text(text)
    return TextFile(str(file))


@pytest.mark.parametrize("kind", [cloud, claude], ids=["External", "Cloud"])
def test_the_gateway_and_the_verifier_trust_an_authority_of_ones_own(
    kind: Callable[..., Provider], tmp_path: Path
) -> None:
    plan = planned(native(), kind(ca=authority(tmp_path)))
    assert plan.files[AUTHORITIES_FILE].startswith(PEM)
    (unit,) = [unit for unit in plan.units if unit.name == "litellm@a.service"]
    assert f"Environment=AI_BACKEND_AUTHORITIES=/etc/ai-backend/{AUTHORITIES_FILE}" in unit.text
    # A new one restarts it.
    assert AUTHORITIES_FILE in unit.reads
    assert [each["ca_file"] for each in yaml.safe_load(plan.files[PROVIDERS_FILE])["externals"]] == [AUTHORITIES_FILE]
    without = planned(native(), kind())
    assert AUTHORITIES_FILE not in without.files
    assert not any("AI_BACKEND_AUTHORITIES" in unit.text for unit in without.units)


@pytest.mark.parametrize(
    ("url", "text", "problem"),
    [
        ("http://10.1.2.3/v1", f"{PEM}\n", "which has no certificate; remove it, or write https://"),
        ("https://10.1.2.3/v1", "-----BEGIN PRIVATE KEY-----\n", "has a private key in it"),
        ("https://10.1.2.3/v1", "MIIB", "has no certificate in PEM form"),
    ],
    ids=["plain http", "a key", "another form"],
)
def test_an_authority_that_cannot_be_used_is_refused(url: str, text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=problem):
        planned(cloud(url=url, ca=authority(tmp_path, text)))


def test_a_providers_budget_counts_what_each_of_its_deployments_costs() -> None:
    provider = cloud(budget=Budget(per="month", usd=20))

    def stack(**deployment: Any) -> Stack:
        routes = [Route(name="m", deployments=[Deployment(provider="the-cloud", **deployment)])]
        return Stack(providers=[provider], gateway=LiteLLM(canary=False), routes=routes)

    plan = plan_of(stack(price=Price(input=1, output=2)))
    (model,) = yaml.safe_load(plan.files[MODELS_FILE])["models"]
    assert [each["budget"] for each in model["deployments"]] == [{"per": "month", "usd": 20.0}]
    with pytest.raises(
        OptionsError, match='External "the-cloud" has a `budget`, and its deployment of route "m" has no'
    ):
        stack()


def test_one_with_a_budget_is_verified_for_little_money() -> None:
    provider = cloud(budget=Budget(per="month", usd=20), metered=False)
    routes = [Route(name="m", deployments=[Deployment(provider=provider.name, price=Price(input=1, output=2))])]
    plan = plan_of(Stack(providers=[provider], gateway=LiteLLM(canary=False), routes=routes))
    assert yaml.safe_load(plan.files[MODELS_FILE])["models"][0]["deployments"][0]["metered"]


def test_the_prices_of_a_cloud_are_enough_for_its_budget() -> None:
    provider = claude(budget=Budget(per="day", usd=1))
    routes = [Route(name="m", deployments=[Deployment(provider=provider.name)])]
    Stack(providers=[provider], gateway=LiteLLM(canary=False), routes=routes)
