"""The memory plan of a stack: what its providers load, and the shares that follow from it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from roles.fit.llama_cpp import Settings
from roles.fit.main_memory import main_bytes
from roles.fit.stored import Facts
from roles.fit.vllm import VllmSettings, adapter_memory
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Gpus, HostFile, HubFile, HubModel, OptionsError, Provider
from roles.plan import HostPlan, LoadSource, memory_plan
from roles.rooms import plan_of
from roles.vllm import LoraAdapter
from tests.planned_models import QWEN2_5_1_5B_Q4, QWEN2_5_7B_Q4, QWEN2_5_CODER_AWQ
from tests.stacks import MODEL, native, python, small_stack, vllm

CARD = Gpus(memory="24G")
DRAFT = HubFile(repository="org/draft", revision="0" * 40, file="draft.gguf")


def ollama(**options: Any) -> Ollama:
    defaults: dict[str, Any] = {"release": OllamaRelease(version="0.32.15"), "models": ["a", "b"], "gpus": CARD}
    return Ollama(**{**defaults, **options})


def known(source: LoadSource) -> Facts | str:
    if isinstance(source, str):
        return QWEN2_5_7B_Q4
    return QWEN2_5_1_5B_Q4 if isinstance(source, HubFile) or source == MODEL else QWEN2_5_CODER_AWQ


def planned(*providers: Provider, of: Any = known) -> HostPlan:
    name = providers[0].served()[0]
    routes = [{"name": "r", "deployments": [{"provider": providers[0].name, "model": name}]}]
    return plan_of(small_stack(providers=list(providers), routes=routes, aliases={}), known=of)


def share_of(plan: HostPlan, name: str) -> float:
    (text,) = [unit.text for unit in plan.servers if unit.name == f"vllm@{name}.service"]
    share = text.split("--gpu-memory-utilization ")[1].split()[0]
    assert f"--free-share {share}" in text
    return float(share)


def test_two_vllm_ollama_and_llama_cpp_add_up_on_one_card() -> None:
    models = [vllm(gpus=CARD, max_model_len=4096), vllm(name="w", port=8002, gpus=CARD, max_model_len=4096)]
    plan = planned(ollama(max_loaded_models=1, context_length=4096), *models, native(context_size=4096))
    shares = [share_of(plan, name) for name in ("vllm", "w")]
    assert 0.25 < shares[0] == shares[1] < 0.4
    (card,) = memory_plan(plan.uses, plan.card_sizes)
    assert card.fits
    assert card.size
    assert 0.95 * card.size < card.taken <= 0.98 * card.size


def test_a_share_that_is_given_stays() -> None:
    given = vllm(gpus=CARD, gpu_memory_utilization=0.45, max_model_len=4096)
    plan = planned(given, vllm(name="w", port=8002, gpus=CARD, max_model_len=4096))
    assert share_of(plan, "vllm") == 0.45
    assert share_of(plan, "w") == pytest.approx(0.53, abs=0.011)


@pytest.mark.parametrize(
    ("providers", "shares"),
    [
        pytest.param([vllm()], [0.9], id="one"),
        pytest.param([vllm(), vllm(name="w", port=8002)], [0.45, 0.45], id="two"),
        pytest.param([vllm(gpu_memory_utilization=0.5), vllm(name="w", port=8002)], [0.5, 0.4], id="one is given"),
        pytest.param(
            [vllm(gpus=Gpus(uuids=["GPU-11111111"])), vllm(name="w", port=8002, gpus=Gpus(uuids=["GPU-22222222"]))],
            [0.9, 0.9], id="each its card",
        ),
    ],
)  # fmt: skip
def test_without_facts_servers_share_nine_tenths(providers: list[Provider], shares: list[float]) -> None:
    plan = planned(*providers, of=lambda source: "not known")
    assert [share_of(plan, provider.name) for provider in providers] == shares


def test_a_server_that_is_left_nothing_is_refused() -> None:
    with pytest.raises(OptionsError, match=r"reserve 0\.88 of it, which leaves nothing"):
        planned(vllm(gpu_memory_utilization=0.88), vllm(name="w", port=8002), of=lambda source: "not known")


def test_a_card_has_one_size() -> None:
    with pytest.raises(OptionsError, match=r"has a memory of 24G for .* and of 16G for"):
        planned(vllm(gpus=CARD), vllm(name="w", port=8002, gpus=Gpus(memory="16G")))


def test_a_host_without_cards_has_no_plan_of_cards() -> None:
    plan = planned(native(), python())
    assert memory_plan(plan.uses, plan.card_sizes) == []
    assert [use.on_cards for use in plan.uses] == [False, False]


def settings_of(provider: Provider) -> list[tuple[str, Settings, int | None]]:
    plan = planned(provider)
    return [
        (use.model, use.settings, use.at_once) for use in plan.uses if isinstance(use.settings, Settings)
    ]  # fmt: skip


def test_ollama_loads_its_models_with_a_context_for_each_request() -> None:
    found = settings_of(ollama(context_length=8192, num_parallel=2, kv_cache_type="q8_0", flash_attention=True))
    expected = Settings(16384, parallel=2, key_type="q8_0", value_type="q8_0")
    assert found == [("a", expected, 3), ("b", expected, 3)]


@pytest.mark.parametrize(
    ("memory", "context"),
    [
        pytest.param("16G", 4096, id="a small card"),
        pytest.param("24G", 32_768, id="a card of 24 GB"),
        pytest.param("48G", 262_144, id="a card of 48 GB"),
        pytest.param(None, 4096, id="a card of unknown size"),
    ],
)
def test_ollamas_own_context_follows_the_card(memory: str | None, context: int) -> None:
    (first, _) = settings_of(ollama(gpus=Gpus(memory=memory)))
    assert first[1].context == context


def test_a_model_that_is_made_has_its_own_context() -> None:
    made = OllamaModel(name="m", gguf=DRAFT, parameters={"num_ctx": 2048})
    assert settings_of(ollama(models=[made]))[0][1].context == 2048


def test_a_draft_model_is_loaded_too() -> None:
    server = native(context_size=4096, draft_model=DRAFT)
    assert [model for model, _, _ in settings_of(server)] == ["n", "draft draft.gguf"]


def test_a_draft_model_of_the_host_has_its_files_name() -> None:
    server = native(context_size=4096, draft_model=HostFile(path="/srv/models/small.gguf"))
    assert [model for model, _, _ in settings_of(server)] == ["n", "draft small.gguf"]


def test_what_has_no_arithmetic_is_not_known() -> None:
    plan = planned(native(mmproj=DRAFT))
    assert [use.facts for use in plan.uses][1] == "its memory has no arithmetic here"


def test_a_python_server_keeps_one_model() -> None:
    assert settings_of(python(context_size=4096)) == [("p", Settings(4096, flash_attention=False), 1)]


def planned_by(plan: HostPlan) -> dict[str, dict[str, Any]]:
    """Provider → what the manifest says of its memory."""
    manifest = yaml.safe_load(plan.files["providers.yaml"])
    return {each["name"]: each["memory"] for each in manifest["providers"]}


def test_the_manifest_has_the_plan_of_each_provider() -> None:
    plan = planned(ollama(models=["a"], context_length=4096), vllm(gpus=CARD, max_model_len=4096), native())
    found = planned_by(plan)
    (use, *_) = plan.uses
    (card,) = memory_plan(plan.uses, plan.card_sizes)
    (ollamas,) = [row for row in card.rows if row.use is use]
    (model,) = found["ollama"]["models"]
    assert (model["card"], model["main"]) == (ollamas.total, main_bytes(use))
    assert found["vllm"]["share"] == next(use.share for use in plan.uses if use.provider == "vllm")
    assert found["native"]["models"][0]["card"] is None
    assert found["native"]["models"][0]["main"] > 1 << 30
    assert found["native"]["grows"] == 8 << 30


def test_adapters_of_vllm_are_planned_as_the_places_that_it_reserves() -> None:
    adapter = LoraAdapter(name="a", model=HubModel(repository="org/adapter", revision="0" * 40))
    options: dict[str, Any] = {"gpus": CARD, "max_model_len": 4096, "kv_cache_memory_bytes": "2G"}
    places = {"max_loras": 3, "max_lora_rank": 64}
    bare, one, three = (
        planned_by(planned(vllm(**options, **adapters)))["vllm"]["models"][0]["card"]
        for adapters in ({}, {"lora_modules": [adapter]}, {"lora_modules": [adapter], **places})
    )
    place = adapter_memory(QWEN2_5_CODER_AWQ, VllmSettings(adapters=1, adapter_rank=16))
    assert place
    assert one - bare == place + (600 << 20)
    assert three - one == 11 * place


@pytest.mark.parametrize(("cache_ram", "grows"), [(0, 0), (16, 16 << 20), (-1, None)])
def test_a_cache_of_prompts_grows_as_far_as_it_may(cache_ram: int, grows: int | None) -> None:
    assert planned_by(planned(native(cache_ram=cache_ram)))["native"]["grows"] == grows


def test_the_manifest_says_of_what_model_nothing_is_known() -> None:
    (model,) = planned_by(planned(native(), of=lambda source: "its size is in no lock"))["native"]["models"]
    assert model == {"model": "n", "card": None, "main": None, "unknown": "its size is in no lock"}


def test_a_cache_of_a_given_size_reserves_no_share() -> None:
    found = planned_by(planned(vllm(gpus=CARD, max_model_len=4096, kv_cache_memory_bytes="2G")))["vllm"]
    assert found["share"] is None
    assert found["models"][0]["card"] > 2 << 30
