"""Clouds that LiteLLM knows by name: asked in their own API, with what each needs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roles.checked_plans import lint_configuration
from roles.contract.manifest import PROVIDERS_FILE
from roles.external import Cloud
from roles.external.vendors import release, vendors
from roles.lint.known import known_to
from roles.litellm import LiteLLM
from roles.litellm.plan import VERSION
from roles.options import Budget, Client, Deployment, EnvSecret, OptionsError, Price, Probe, Route, Stack
from roles.plan import HostPlan
from roles.rooms import plan_of
from tests.cloud_costs import MOST_TOKENS, PROMPT_TOKENS, computed
from tests.stacks import native

KEY = EnvSecret("CLOUD_KEY")
REFERENCE = "os.environ/AI_BACKEND_KEY_CLOUD"
AZURE = {"vendor": "azure", "models": ["gpt-4o-mini"], "api_base": "https://ours.openai.azure.com"}


def cloud(**options: Any) -> Cloud:
    return Cloud(**{"name": "cloud", "vendor": "anthropic", "api_key": KEY, "models": ["claude-haiku-4-5"], **options})


def planned(provider: Cloud, deployment: dict[str, Any] | None = None, **route: Any) -> HostPlan:
    first = {"provider": provider.name, "model": provider.models[0], **(deployment or {})}
    routes = [Route(name="m", deployments=[Deployment(**first)], **route)]
    return plan_of(Stack(providers=[provider], gateway=LiteLLM(), routes=routes))


def entry(plan: HostPlan) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(plan.files["litellm-unified.yaml"])["model_list"][0]
    return found


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, {"model": "anthropic/claude-haiku-4-5"}),
        (
            {"api_base": "https://ai.example.com/"},
            {"model": "anthropic/claude-haiku-4-5", "api_base": "https://ai.example.com"},
        ),
        (
            {**AZURE, "api_version": "2025-02-01-preview"},
            {
                "model": "azure/gpt-4o-mini",
                "api_base": "https://ours.openai.azure.com",
                "api_version": "2025-02-01-preview",
            },
        ),
        (
            {"vendor": "bedrock", "models": ["amazon.nova-lite-v1:0"], "region": "eu-central-1"},
            {"model": "bedrock/amazon.nova-lite-v1:0", "aws_region_name": "eu-central-1"},
        ),
        (
            {"vendor": "ollama_cloud", "models": ["gpt-oss:120b"]},
            {"model": "ollama_chat/gpt-oss:120b", "api_base": "https://ollama.com"},
        ),
    ],
    ids=["plain", "a gateway of the company", "azure", "bedrock", "ollama"],
)
def test_litellm_gets_what_the_vendor_needs(options: dict[str, Any], parameters: dict[str, str]) -> None:
    plan = planned(cloud(**options))
    assert entry(plan)["litellm_params"] == {**parameters, "api_key": REFERENCE, "cooldown_time": 0}
    lint_configuration(plan)


@pytest.mark.parametrize(
    ("options", "mode", "fields"),
    [
        ({"vendor": "openai", "models": ["gpt-4o-mini"]}, "chat", {"store": False}),
        ({**AZURE, "api_version": "2025-02-01-preview"}, "chat", {"store": False}),
        ({"vendor": "openai", "models": ["text-embedding-3-small"]}, "embedding", None),
        (
            {"vendor": "openrouter", "models": ["a/b"], "prices": {"a/b": Price(input=1, output=1)}},
            "chat",
            {"provider": {"data_collection": "deny", "zdr": True}},
        ),
        (
            {"vendor": "vercel_ai_gateway", "models": ["a/b"], "prices": {"a/b": Price(input=1, output=1)}},
            "chat",
            {"providerOptions": {"gateway": {"zeroDataRetention": True}}},
        ),
    ],
    ids=["openai", "azure", "embeddings, which are not kept", "openrouter", "vercel"],
)
def test_each_request_asks_the_vendor_to_keep_nothing(options: Any, mode: Any, fields: object) -> None:
    plan = planned(cloud(**options, retention="none"), mode=mode)
    assert entry(plan)["litellm_params"].get("extra_body") == fields
    lint_configuration(plan)
    assert "extra_body" not in entry(planned(cloud(**options), mode=mode))["litellm_params"]


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"vendor": "antropic"}, ['did you mean "anthropic"?', "what speaks OpenAI's API is an `External`"]),
        ({"models": ["claude-haiku-4.5"]}, ['did you mean "claude-haiku-4-5"?', "say what it costs: prices="]),
        ({"models": ["anthropic/claude-haiku-4-5"]}, ['write "claude-haiku-4-5"']),
        ({"vendor": "azure", "models": ["gpt-4o-mini"]}, ["azure needs `api_version`", "azure needs `api_base`"]),
        ({**AZURE, "api_version": "2025"}, ["no version of Azure's API"]),
        ({"vendor": "bedrock", "models": ["amazon.nova-lite-v1:0"]}, ["bedrock needs `region`"]),
        ({"region": "eu-centrall-1"}, ['did you mean "eu-central-1"?']),
        (
            {"region": "eu-central-1", "api_version": "v1"},
            ["`api_version` is for azure alone; remove it", "`region` is for bedrock alone; remove it"],
        ),
        ({"api_base": "https://ai.example.com/v1"}, ["LiteLLM adds `/v1`", 'write "https://ai.example.com"']),
        (
            {"retention": "none"},
            ["`retention` has no use for anthropic", "(those that do: azure, openai, openrouter, vercel_ai_gateway)"],
        ),
        ({"prices": {"claude": Price(input=1, output=5)}}, ['`prices` has "claude", which is not in `models`']),
    ],
    ids=[
        "vendor",
        "model",
        "prefix",
        "azure without anything",
        "version",
        "bedrock without a region",
        "region",
        "options of others",
        "address",
        "retention",
        "price",
    ],
)
def test_what_cannot_work_is_refused_in_one_message(options: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(OptionsError) as refused:
        cloud(**options)
    for problem in problems:
        assert problem in str(refused.value)


def test_a_price_is_that_of_litellms_list_unless_it_is_declared() -> None:
    def costs(**options: Any) -> dict[str, float]:
        info = entry(planned(cloud(**options.pop("cloud", {})), **options))["model_info"]
        return {name: value for name, value in info.items() if "cost" in name}

    # Then LiteLLM takes its own, which also knows what cached tokens cost.
    assert costs() == {}
    declared = {"models": ["claude-next"], "prices": {"claude-next": Price(input=2, output=10)}}
    assert costs(cloud=declared) == {"input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05}
    dearer = {"price": Price(input=4, output=20)}
    assert costs(cloud=declared, deployment=dearer) == {"input_cost_per_token": 4e-06, "output_cost_per_token": 2e-05}


def test_a_budget_can_be_spent_on_a_price_of_litellms_list() -> None:
    def stack(provider: Cloud) -> Stack:
        return Stack(
            providers=[provider],
            gateway=LiteLLM(),
            routes=[Route(name="m", deployments=[Deployment(provider="cloud")])],
            clients=[Client(name="ada", budget=Budget(per="month", usd=20))],
        )

    assert stack(cloud()).clients[0].budget
    assert stack(cloud(models=["new"], prices={"new": Price(input=0, output=1)})).clients[0].budget


def test_a_route_that_stays_here_does_not_lead_to_one() -> None:
    with pytest.raises(OptionsError, match=r'Cloud "cloud", at api\.anthropic\.com'):
        planned(cloud(), local_only=True)


def test_a_model_answers_the_requests_that_litellms_list_says() -> None:
    both = cloud(vendor="gemini", models=["gemini-embedding-001", "gemini-2.5-flash-lite"])
    assert entry(planned(both, mode="embedding"))["litellm_params"]["model"] == "gemini/gemini-embedding-001"
    with pytest.raises(OptionsError, match='its mode is chat, and "gemini-embedding-001" has only embedding'):
        planned(both)


def test_the_verifier_knows_how_it_is_asked_and_the_key_is_the_gateways_alone() -> None:
    plan = plan_of(
        Stack(
            providers=[native(), cloud(**AZURE, api_version="2025-02-01-preview")],
            gateway=LiteLLM(),
            routes=[
                Route(name="m", deployments=[Deployment(provider="native"), Deployment(provider="cloud", order=2)])
            ],
        )
    )
    (found,) = yaml.safe_load(plan.files[PROVIDERS_FILE])["externals"]
    assert (found["kind"], found["listing"]) == ("azure", "azure")
    assert (found["api_base"], found["api_version"]) == ("https://ours.openai.azure.com", "2025-02-01-preview")
    holders = {unit.name for unit in plan.units if "AI_BACKEND_KEY_CLOUD" in unit.all_environment}
    assert holders == {"litellm@a.service", "litellm@b.service"}


def test_the_vendors_are_those_of_the_pinned_release() -> None:
    assert release() == VERSION
    assert {vendor.prefix for vendor in vendors().values()} <= known_to(VERSION).providers
    wanted = {"openai", "anthropic", "openrouter", "gemini", "azure", "bedrock", "mistral", "groq", "deepseek"}
    assert wanted | {"ollama_cloud"} <= vendors().keys()
    assert all(vendor.address.startswith("https://") for name, vendor in vendors().items() if name != "azure")
    assert "gpt-4o-mini" in vendors()["openai"].models


def test_a_days_verification_of_three_small_models_costs_less_than_a_cent() -> None:
    assert Probe().max_tokens == MOST_TOKENS
    assert len(Probe().prompt) < PROMPT_TOKENS * 3
    assert 0 < computed() < 0.01
