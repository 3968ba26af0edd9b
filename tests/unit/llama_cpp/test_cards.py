"""The cards that a build is for: its unit may use them, waits for them, and must have its layers there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from roles.llama_cpp import LlamaCppPython, LlamaServer
from roles.options import Gpus, Provider
from roles.plan import Json
from tests.llama_cpp_plans import CARD, TWO_MODELS, build_for, other_model, plan_of, several, unit_of
from tests.stacks import CUDA_BUILD, native, python


@pytest.mark.parametrize("provider", [native(build=CUDA_BUILD), python(build=CUDA_BUILD)], ids=["native", "python"])
def test_a_build_for_cards_implies_them(provider: LlamaServer | LlamaCppPython) -> None:
    assert plan_of(provider).gpus == (Gpus(vendor="nvidia"),)
    assert "DeviceAllow=char-nvidia* rw" in unit_of(provider).text


def test_a_build_for_amd_cards_implies_those() -> None:
    assert plan_of(native(build=build_for("hip"))).gpus == (Gpus(vendor="amd"),)


def test_a_unit_for_an_amd_card_brings_what_makes_its_groups() -> None:
    """Without udev there is no group `render`, and systemd refuses the unit with 216/GROUP."""
    plan = plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="amd")))
    assert any("SupplementaryGroups=video render" in unit.text for unit in plan.units)
    assert "udev" in plan.packages
    assert "udev" not in plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="nvidia"))).packages


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        pytest.param({"build": CUDA_BUILD}, "CUDA0", id="cuda"),
        pytest.param(
            {"build": CUDA_BUILD, "gpus": Gpus(uuids=[CARD, f"{CARD}1"])}, "CUDA0,CUDA1", id="cuda, two cards"
        ),
        pytest.param({"build": build_for("hip")}, "ROCm0", id="hip"),
        pytest.param(
            {"build": build_for("vulkan"), "gpus": Gpus(vendor="amd"), "device": ["Vulkan1"]},
            "Vulkan1",
            id="vulkan, named",
        ),
    ],
)
def test_a_server_does_not_start_without_the_cards_it_is_to_see(options: dict[str, Any], devices: str) -> None:
    text = unit_of(native(**options)).text
    assert re.search(
        rf"^ExecStartPre=\S+/llama-server \\\n    --device {devices} \\\n    --version$", text, re.MULTILINE
    )


def test_a_cpu_server_is_not_asked_for_cards() -> None:
    assert "ExecStartPre" not in unit_of(native()).text
    assert "ExecStartPre" not in unit_of(python()).text


def wanted(layers: int | None = None, *, if_free: bool = True, of: str = "native.gguf-a0fab137/native.gguf") -> Json:
    return {"file": f"/etc/ai-backend/install/model-{of}", "layers": layers, "if_free": if_free}


def weights_of(provider: Provider) -> Json:
    """What the verifier is told of the models in cards' memory."""
    (entry,) = yaml.safe_load(plan_of(provider).files["providers.yaml"])["providers"]
    weights: Json = entry["weights"]
    return weights


WEIGHTS: dict[str, tuple[dict[str, Any], list[Json]]] = {
    "as many layers as fit": ({"build": CUDA_BUILD}, [wanted()]),
    "some layers": ({"build": CUDA_BUILD, "gpu_layers": 20}, [wanted(20, if_free=False)]),
    "no layers": ({"build": CUDA_BUILD, "gpu_layers": 0}, []),
    "experts in main memory": ({"build": CUDA_BUILD, "n_cpu_moe": 10}, []),
    "several cards": (
        {"build": CUDA_BUILD, "gpus": Gpus(uuids=[CARD, f"{CARD}1"]), "tensor_split": [3.0, 1.0]}, [wanted()]
    ),
    "a card by its name": ({"build": CUDA_BUILD, "device": ["CUDA1"]}, [wanted()]),
    "another device": ({"build": CUDA_BUILD, "device": ["CUDA0", "RPC0"]}, []),
    "AMD": ({"build": build_for("hip")}, [wanted()]),
    "Vulkan": ({"build": build_for("vulkan"), "gpus": Gpus(vendor="amd")}, []),
    "no card": ({}, []),
    "the main model alone": (
        {"build": CUDA_BUILD, "mmproj": other_model("eyes.gguf"), "draft_model": other_model("draft.gguf")}, [wanted()]
    ),
    "arguments that move nothing": ({"build": CUDA_BUILD, "extra_arguments": ["--prio", "2"]}, [wanted()]),
}  # fmt: skip


@pytest.mark.parametrize("case", WEIGHTS)
def test_the_verifier_is_told_what_must_be_on_the_cards(case: str) -> None:
    options, weights = WEIGHTS[case]
    assert weights_of(native(**options)) == weights


@pytest.mark.parametrize(
    "arguments",
    [
        "--override-tensor exps=CPU",
        "--cpu-moe",
        "--fit off",
        "--rpc 198.18.0.1:50052",
        "--sleep-idle-seconds 60",
    ],
)
def test_what_further_arguments_may_have_moved_is_not_asked_for(arguments: str) -> None:
    assert weights_of(native(build=CUDA_BUILD, extra_arguments=arguments.split())) == []


@pytest.mark.parametrize(
    ("layers", "weights"),
    [
        pytest.param(None, [wanted(if_free=False)], id="not said"),
        pytest.param(-1, [wanted(if_free=False)], id="all"),
        pytest.param(20, [wanted(20, if_free=False)], id="20"),
        pytest.param(0, [], id="none"),
    ],
)
def test_the_python_server_must_have_its_layers_on_the_cards(layers: int | None, weights: list[Json]) -> None:
    assert weights_of(python(build=CUDA_BUILD, gpu_layers=layers)) == weights


def test_of_several_models_any_may_be_the_one_that_is_on_the_card() -> None:
    first, second = TWO_MODELS
    both = [wanted(if_free=False), wanted(7, if_free=False, of="second.gguf-SECOND/second.gguf")]
    with_layers = second.model_copy(update={"gpu_layers": 7})
    found = weights_of(several(build=CUDA_BUILD, models=[first, with_layers]))
    assert re.sub(r"second\.gguf-\w+/", "second.gguf-SECOND/", json.dumps(found)) == json.dumps(both)
    without = second.model_copy(update={"gpu_layers": 0})
    assert weights_of(several(build=CUDA_BUILD, models=[first, without])) == []
