"""The configuration that LiteLLM runs with: what of an inventory shows in it, and that the lint finds no error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from roles.checked_plans import lint_configuration
from roles.litellm import LITELLM_CONFIG, LiteLLM
from roles.litellm.config import CANARY
from roles.ollama import Ollama, OllamaRelease
from roles.options import Deployment, EnvSecret, OptionsError, Price, Probe, Route, Stack
from roles.plan import HostPlan
from roles.redis import Redis
from roles.rooms import plan_of
from tests.stacks import native, python, route, small_stack, vllm


def everything() -> Stack:
    """Every option of routes, gateway and cache, put to use."""
    limited = Deployment(
        provider="native", rpm=10, tpm=1000, max_parallel_requests=2, timeout=30, stream_timeout=5, tags=["fast"]
    )
    other = Deployment(provider="python", weight=3, order=2, tags=["default"])
    return small_stack(
        providers=[
            native(),
            python(),
            native(name="ranker", port=8081, served_name="r", reranking=True),
            vllm(),
            Ollama(release=OllamaRelease(version="0.32.15"), models=["o", "e"]),
        ],
        routes=[
            Route(
                name="n",
                deployments=[limited, other],
                context_window_fallbacks=["v"],
                content_policy_fallbacks=["o"],
                context_size=4096,
                tools=True,
                vision=False,
            ),
            route("p", "python"),
            route("v", "vllm", context_size=16384),
            route("text", "native", mode="completion"),
            route("r", "ranker", mode="rerank"),
            Route(name="o", deployments=[Deployment(provider="ollama", model="o")]),
            Route(name="e", deployments=[Deployment(provider="ollama", model="e")], mode="embedding"),
        ],
        cache=Redis(bind="0.0.0.0", password=EnvSecret("REDIS_PASSWORD"), responses="on-request", ttl=60),
        gateway=LiteLLM(
            default_fallbacks=["p", "gpt-4o"], stream_timeout=20, retries=1, drop_params=False, canary=False
        ),
    )


def config(stack: Stack) -> Any:
    return yaml.safe_load(plan_of(stack).files[LITELLM_CONFIG])


def parameters(stack: Stack, name: str) -> list[Any]:
    return [entry["litellm_params"] for entry in config(stack)["model_list"] if entry["model_name"] == name]


@pytest.mark.parametrize("stack", [small_stack, everything])
def test_the_lint_finds_no_error_in_what_is_rendered(stack: Any) -> None:
    lint_configuration(plan_of(stack()))


def test_a_rendered_configuration_that_would_not_work_is_refused() -> None:
    plan = plan_of(small_stack())
    broken: HostPlan = replace(
        plan, files={**plan.files, LITELLM_CONFIG: plan.files[LITELLM_CONFIG].replace("- p", "- q")}
    )
    with pytest.raises(OptionsError, match=r"litellm-unified\.yaml:\d+: error: .*\"q\".*\[fallback-target-missing\]"):
        lint_configuration(broken)


def test_what_an_inventory_may_want_is_told_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("roles.checked_plans.logger.warning", told.append)
    routes = [
        route("n", "native", fallbacks=["p"], context_size=8192),
        route("p", "python", context_size=4096),
    ]
    lint_configuration(plan_of(small_stack(routes=routes)))
    assert told
    assert all("[fallback-smaller-context]" in line for line in told)


def test_a_plain_stack_asks_for_nothing_that_it_does_not_need() -> None:
    rendered = config(small_stack())
    assert sorted(rendered["litellm_settings"]) == [
        "callbacks", "drop_params", "expose_router_debug_in_errors", "json_logs", "request_timeout"
    ]  # fmt: skip
    assert sorted(rendered["router_settings"]) == [
        "allowed_fails", "allowed_fails_policy", "cooldown_time", "fallbacks", "model_group_alias", "num_retries",
        "routing_strategy"
    ]  # fmt: skip


def test_an_alias_has_an_entry_in_every_list_of_fallbacks() -> None:
    settings = config(everything())["router_settings"]
    for name in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        entries = {key: targets for entry in settings[name] for key, targets in entry.items()}
        assert entries["gpt-4o"] == entries["n"], name


def test_the_default_fallbacks_are_for_routes_of_their_mode_that_have_none_and_never_for_themselves() -> None:
    settings = config(everything())["router_settings"]
    fallbacks = {key: targets for entry in settings["fallbacks"] for key, targets in entry.items()}
    assert fallbacks == {"n": ["p"], "gpt-4o": ["p"], "p": ["n"], "v": ["p", "n"], "o": ["p", "n"]}
    assert "default_fallbacks" not in settings


def test_a_route_can_keep_its_requests_to_itself() -> None:
    stack = small_stack(
        routes=[route("n", "native", no_fallbacks=True), route("p", "python")],
        gateway=LiteLLM(default_fallbacks=["n", "p"], canary=False),
    )
    fallbacks = config(stack)["router_settings"]["fallbacks"]
    assert fallbacks == [{"p": ["n"]}]
    with pytest.raises(OptionsError, match="`no_fallbacks` and `fallbacks` exclude each other"):
        route("n", "native", no_fallbacks=True, fallbacks=["p"])


def test_a_request_too_long_is_not_sent_to_a_route_that_declares_no_larger_context() -> None:
    stack = small_stack(
        routes=[
            route("n", "native", fallbacks=["p"], context_size=4096),
            route("p", "python", fallbacks=["n"], context_size=8192),
        ]
    )
    settings = config(stack)["router_settings"]
    assert settings["fallbacks"] == [{"n": ["p"]}, {"gpt-4o": ["p"]}, {"p": ["n"]}]
    assert settings["context_window_fallbacks"] == [{"n": ["p"]}, {"gpt-4o": ["p"]}]


def test_the_canary_is_dead_never_rests_and_falls_back_to_the_first_chat() -> None:
    rendered = config(small_stack(gateway=LiteLLM()))
    (canary,) = [entry for entry in rendered["model_list"] if entry["model_name"] == CANARY]
    assert canary["litellm_params"]["api_base"] == "http://127.0.0.1:9/v1"
    assert canary["litellm_params"]["cooldown_time"] == 0
    assert canary["model_info"]["discoverable"] is False
    assert rendered["router_settings"]["fallbacks"][-1] == {CANARY: ["n"]}
    # A list of them for another kind of failure would leave the others without.
    assert "content_policy_fallbacks" not in rendered["router_settings"]


def test_the_canary_has_its_name_alone() -> None:
    with pytest.raises(OptionsError, match=f'"{CANARY}" is the name of the gateway\'s canary'):
        plan_of(small_stack(gateway=LiteLLM(), aliases={CANARY: "n"}))


def test_only_a_gateway_that_is_tried_out_fails_on_request() -> None:
    files = plan_of(small_stack()).files
    running, staged = yaml.safe_load(files[LITELLM_CONFIG]), yaml.safe_load(files["litellm-staged.yaml"])
    assert staged["general_settings"].pop("dangerously_allow_mock_testing_request_params") is True
    assert staged == running


def test_limits_are_rendered_together_with_what_makes_litellm_keep_them() -> None:
    first, second = parameters(everything(), "n")
    limits = {"rpm": 10, "tpm": 1000, "max_parallel_requests": 2, "timeout": 30, "stream_timeout": 5}
    assert {name: first[name] for name in limits} == limits
    assert not limits.keys() & second.keys()
    settings = config(everything())["router_settings"]
    assert settings["optional_pre_call_checks"] == ["enforce_model_rate_limits"]
    assert (settings["enable_tag_filtering"], settings["enable_weighted_failover"]) == (True, True)


def test_only_one_that_nobody_can_stand_in_for_never_rests() -> None:
    stack = small_stack(routes=[route("n", "native", fallbacks=["p"]), route("p", "python")])
    assert "cooldown_time" not in parameters(stack, "n")[0]
    assert parameters(stack, "p")[0]["cooldown_time"] == 0


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("p", "docker_model_runner/p"),
        ("v", "hosted_vllm/vllm"),
        ("text", "openai/n"),
        ("r", "hosted_vllm/r"),
        ("o", "ollama_chat/o"),
        ("e", "ollama/e"),
    ],
)
def test_each_mode_has_the_prefix_that_serves_it(name: str, model: str) -> None:
    assert parameters(everything(), name)[0]["model"].partition("/")[0] == model.partition("/")[0]


def test_llama_cpp_pythons_address_has_its_version_for_a_prefix_that_adds_none() -> None:
    assert parameters(everything(), "p")[0]["api_base"].endswith("/v1")


def test_a_mode_that_a_provider_does_not_have_is_refused() -> None:
    with pytest.raises(OptionsError, match='route "p": its mode is rerank, and a llama-cpp-python such as "python"'):
        plan_of(small_stack(routes=[route("n", "native"), route("p", "python", mode="rerank")]))


def test_two_routes_to_the_same_model_have_ids_of_their_own() -> None:
    rendered = config(everything())
    ids = [entry["model_info"]["id"] for entry in rendered["model_list"]]
    assert len(set(ids)) == len(ids)
    assert {"n@native", "p@python", "p@python/p", "n@native/text"} <= set(ids)


def test_a_price_is_rendered_for_one_token() -> None:
    priced = Deployment(provider="native", price=Price(input=0.1, output=10))
    rendered = config(small_stack(routes=[Route(name="n", deployments=[priced]), route("p", "python")]))
    costs = [
        (entry["model_info"]["input_cost_per_token"], entry["model_info"]["output_cost_per_token"])
        for entry in rendered["model_list"]
    ]
    assert costs == [(1e-07, 1e-05), (0.0, 0.0)]


def test_what_is_not_declared_of_a_model_is_not_told() -> None:
    rendered = config(everything())
    told = {entry["model_info"]["id"]: entry["model_info"] for entry in rendered["model_list"]}
    free = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    assert told["p@python/p"] == {"id": "p@python/p", "mode": "chat", **free}
    assert told["n@native"] == {
        "id": "n@native",
        "mode": "chat",
        "max_input_tokens": 4096,
        "supports_function_calling": True,
        "supports_vision": False,
        **free,
    }


def test_a_cache_is_rendered_with_short_time_outs_and_no_password() -> None:
    settings = config(everything())["litellm_settings"]
    assert settings["cache"] is True
    assert settings["cache_params"] == {
        "type": "redis",
        "host": "127.0.0.1",
        "port": 6379,
        "namespace": "os.environ/CACHE_NAMESPACE",
        "ttl": 60,
        "mode": "default_off",
        "socket_timeout": 0.2,
        "socket_connect_timeout": 0.2,
        "retry_on_timeout": True,
        "password": "os.environ/CACHE_PASSWORD",
    }


def test_a_reranker_is_asked_a_question_of_its_kind() -> None:
    mappings = yaml.safe_load(plan_of(everything()).files["model-mappings.yaml"])
    probes = {entry["name"]: entry["probe"] for entry in mappings["models"]}
    assert probes["r"]["expects"] in probes["r"]["documents"][-1]
    assert probes["p"]["documents"] == []
    with pytest.raises(OptionsError, match="at least two `documents`"):
        route("r", "ranker", mode="rerank", probe=Probe(expects="yes"))
    with pytest.raises(OptionsError, match='set `mode="rerank"`'):
        route("r", "ranker", probe=Probe(documents=["a", "b"]))
