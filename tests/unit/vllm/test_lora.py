"""LoRA adapters of a vLLM server: names that it answers by, what it is started with, and what it needs of the host."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from roles.contract.manifest import MODELS_FILE, PROVIDERS_FILE
from roles.contract.requests import HostModel
from roles.litellm import LITELLM_CONFIG
from roles.options import Deployment, HostFolder, HubModel, OptionsError, Route, Stack
from roles.plan import HostPlan
from roles.rooms import plan_of
from roles.vllm import LoraAdapter
from tests.stacks import small_stack, vllm

BOT = LoraAdapter(name="support-bot", model=HubModel(repository="org/bot-lora", revision="1" * 40))
LEGAL = LoraAdapter(name="team/legal:v2", model=HostFolder(path="/srv/adapters/legal,v2"))
ON_PROCESSOR: dict[str, Any] = {"gpus": None, "kv_cache_memory_bytes": "1G"}


def stack(*names: str | None, **options: Any) -> Stack:
    """A stack of one vLLM server, with a route to each of those models of it."""
    server = vllm(served_model_name="base", **options)
    routes = [Route(name=name or "it", deployments=[Deployment(provider="vllm", model=name)]) for name in names]
    return small_stack(providers=[server], routes=routes, aliases={})


def unit_of(plan: HostPlan) -> str:
    return next(unit.text for unit in plan.units if unit.name == "vllm@vllm.service")


def models_of(plan: HostPlan) -> list[dict[str, Any]]:
    """What the gateway has as backends."""
    models: list[dict[str, Any]] = yaml.safe_load(plan.files[LITELLM_CONFIG])["model_list"]
    return [each for each in models if each["model_info"]["id"].endswith("@vllm")]


def adapter_arguments(**options: Any) -> list[str]:
    """What its command says from `--enable-lora` on; nothing = it does not say that."""
    match = re.search(r"^ExecStart=((?:.*\\\n)*.*)", unit_of(plan_of(stack("base", **options))), re.MULTILINE)
    assert match
    command = shlex.split(match[1].replace("\\\n", " "))
    return command[command.index("--enable-lora") :] if "--enable-lora" in command else []


def test_each_adapter_is_named_with_the_folder_that_it_is_in() -> None:
    plan = plan_of(stack("base", lora_modules=[BOT, LEGAL]))
    (bot,) = [install.name for install in plan.installs if "bot-lora" in install.name]
    first, second = adapter_arguments(lora_modules=[BOT, LEGAL])[2:]
    assert json.loads(first) == {"name": "support-bot", "path": plan.layout.install(bot)}
    assert json.loads(second) == {"name": "team/legal:v2", "path": "/srv/adapters/legal,v2"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({}, "--enable-lora --lora-modules", id="vLLM's own bounds"),
        pytest.param({"max_loras": 1}, "--enable-lora --lora-modules", id="one place, as vLLM has by itself"),
        pytest.param(
            {"max_loras": 2, "max_lora_rank": 64},
            "--enable-lora --max-loras 2 --max-lora-rank 64 --lora-modules",
            id="bounds of its own",
        ),
        pytest.param(ON_PROCESSOR, "--enable-lora --max-loras 3 --lora-modules", id="on the processor one more"),
    ],
)
def test_bounds_are_said_where_they_are_not_vllms_own(options: dict[str, Any], said: str) -> None:
    assert adapter_arguments(lora_modules=[BOT, LEGAL], **options)[:-2] == said.split()


def test_without_adapters_nothing_is_said_of_them() -> None:
    assert adapter_arguments() == []
    assert adapter_arguments(**ON_PROCESSOR) == []


def test_a_folder_must_be_there_and_its_disk_mounted() -> None:
    plan = plan_of(stack("base", lora_modules=[BOT, LEGAL]))
    assert plan.host_models == (HostModel(path="/srv/adapters/legal,v2", folder=True),)
    assert "RequiresMountsFor=/srv/adapters/legal,v2" in unit_of(plan)


def test_the_gateway_asks_for_each_by_its_name() -> None:
    models = models_of(plan_of(stack("base", "support-bot", "team/legal:v2", lora_modules=[BOT, LEGAL])))
    assert {each["model_info"]["id"]: each["litellm_params"]["model"] for each in models} == {
        "base@vllm": "hosted_vllm/base",
        "support-bot@vllm": "hosted_vllm/support-bot",
        "team/legal:v2@vllm": "hosted_vllm/team/legal:v2",
    }


def test_a_route_must_say_which_name_it_means() -> None:
    with pytest.raises(OptionsError, match=r"serves 2 models; say which with `model` \(it serves base, support-bot\)"):
        stack(None, lora_modules=[BOT])
    assert stack(None).provider("vllm").served() == ("base",)


def abilities_of(plan: HostPlan) -> dict[str, Any]:
    """Route → what the manifest says that it can, by which requests are checked."""
    return {each["name"]: each["abilities"] for each in yaml.safe_load(plan.files[MODELS_FILE])["models"]}


def test_an_adapter_can_what_its_model_can() -> None:
    options = {"tool_call_parser": "hermes", "max_model_len": 512}
    found = abilities_of(plan_of(stack("base", "support-bot", lora_modules=[BOT], **options)))
    assert found["support-bot"] == found["base"] != abilities_of(plan_of(stack("base")))["base"]


def test_the_verifier_knows_all_names() -> None:
    (provider,) = yaml.safe_load(plan_of(stack("base", lora_modules=[BOT])).files[PROVIDERS_FILE])["providers"]
    assert provider["models"] == ["base", "support-bot"]
