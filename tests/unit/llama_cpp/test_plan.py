"""What llama.cpp's options mean for a host: command lines, installs, packages, and the mistakes that are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles import rooms
from roles.llama_cpp import (
    LlamaCppBuild,
    LlamaCppPython,
    LlamaCppRelease,
    LlamaServer,
    PythonServerModel,
    PythonWheel,
)
from roles.options import (
    Deployment,
    EnvSecret,
    Gpus,
    OptionsError,
    Provider,
    PythonSdist,
    Route,
    TextFile,
    UrlFile,
)
from roles.plan import Generation, HostPlan, Install, Json, PlatformKey, Unit, resolve
from tests.stacks import BUILD, CUDA_BUILD, MODEL, PLATFORM, native, python, small_stack, vllm

CARD = "GPU-0a1b2c3d-0000"
RELEASE = LlamaCppRelease(url="http://198.18.0.1/llama-b1-bin-ubuntu-x64.tar.gz", sha256="c" * 64)


def other_model(name: str) -> UrlFile:
    return UrlFile(url=f"http://198.18.0.1:8900/{name}", sha256="d" * 64)


def build_for(backend: Any, **options: Any) -> LlamaCppBuild:
    return LlamaCppBuild(name=f"llama-cpp-{backend}", source=BUILD.source, backend=backend, **options)


def plan_of(provider: Provider) -> HostPlan:
    stack = small_stack(
        providers=[provider],
        routes=[
            Route(name=model, deployments=[Deployment(provider=provider.name, model=model)])
            for model in provider.served()
        ],
        aliases={},
    )
    return rooms.plan_of(stack)


def unit_of(provider: Provider) -> Unit:
    """The provider's unit."""
    (unit,) = [unit for unit in plan_of(provider).units if unit.name.startswith("llama")]
    return unit


def command_of(provider: Provider) -> str:
    """The unit's command on one line."""
    match = re.search(r"^ExecStart=((?:.*\\\n)*.*)", unit_of(provider).text, re.MULTILINE)
    assert match
    return re.sub(r" \\\n *", " ", match[1])


def install_of(provider: Provider, kind: str) -> Install:
    (install,) = [install for install in plan_of(provider).installs if install.kind == kind and "llama" in install.name]
    return install


def generation_of(provider: Provider, **platform: str) -> Generation:
    facts: dict[PlatformKey, str] = {**PLATFORM, **platform}  # type: ignore[dict-item]
    return resolve(plan_of(provider), facts, lambda secret: "sk-secret")


# The native server ---------------------------------------------------------------------------------------------------

NATIVE_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "threads": ({"threads": 4, "threads_batch": 8}, "--threads 4 --threads-batch 8"),
    "batches": ({"batch_size": 512, "ubatch_size": 256}, "--batch-size 512 --ubatch-size 256"),
    "flash attention": ({"flash_attention": "on"}, "--flash-attn on"),
    "a quantized cache": (
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        "--cache-type-k q8_0 --cache-type-v q8_0",
    ),
    "no bound on cached prompts": ({"cache_ram": -1}, "--cache-ram -1"),
    "one cache for all slots": ({"kv_unified": True}, "--kv-unified"),
    "a cache for each slot": ({"kv_unified": False}, "--no-kv-unified"),
    "a context that shifts": ({"context_shift": True}, "--context-shift"),
    "memory that is not swapped": ({"load_mode": "mmap+mlock"}, "--load-mode mmap+mlock"),
    "a NUMA host": ({"numa": "distribute"}, "--numa distribute"),
    "a stretched context": (
        {"rope_scaling": "yarn", "rope_scale": 4.0, "rope_freq_base": 1000001.0, "yarn_orig_ctx": 32768},
        "--rope-scaling yarn --rope-scale 4 --rope-freq-base 1000001 --yarn-orig-ctx 32768",
    ),
    "embeddings": ({"embeddings": True, "pooling": "mean"}, "--pooling mean --embeddings"),
    "reranking": ({"reranking": True}, "--reranking"),
    "no Jinja": ({"jinja": False}, "--no-jinja"),
    "values for the template": (
        {"chat_template_kwargs": {"enable_thinking": False}},
        r'--chat-template-kwargs "{\"enable_thinking\": false}"',
    ),
    "thoughts": ({"reasoning_format": "none", "reasoning_budget": 0}, "--reasoning-format none --reasoning-budget 0"),
    "figures, and no slots": ({"metrics": True, "slots": False}, "--metrics --no-slots"),
    "cards": (
        {"build": CUDA_BUILD, "gpu_layers": 20, "split_mode": "row", "tensor_split": [3.0, 1.0], "main_gpu": 1},
        "--n-gpu-layers 20 --split-mode row --tensor-split 3,1 --main-gpu 1",
    ),
    "experts in main memory": ({"build": CUDA_BUILD, "n_cpu_moe": 10}, "--n-cpu-moe 10"),
    "named devices": (
        {"build": build_for("vulkan"), "gpus": Gpus(vendor="amd"), "device": ["Vulkan0", "Vulkan1"]},
        "--device Vulkan0,Vulkan1",
    ),
    "drafts without a model": (
        {"spec_type": "ngram-simple", "draft_max": 8}, "--spec-type ngram-simple --spec-draft-n-max 8"
    ),
    "anything else": ({"extra_arguments": ["--prio", "2"]}, "--no-webui --prio 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", NATIVE_ARGUMENTS)
def test_an_option_becomes_llama_servers_own(case: str) -> None:
    options, expected = NATIVE_ARGUMENTS[case]
    assert expected in command_of(native(**options))


def test_what_is_not_set_is_left_to_llama_server() -> None:
    assert command_of(native()) == (
        "/etc/ai-backend/install/llama-cpp/bin/llama-server --host 127.0.0.1 --port 8080 "
        "--model /etc/ai-backend/install/model-native.gguf-a0fab137/native.gguf "
        "--alias n --ctx-size 0 --parallel 1 --no-webui"
    )


def test_further_models_are_installed_and_named_by_their_paths() -> None:
    server = native(mmproj=other_model("eye.gguf"), lora=[other_model("a.gguf"), other_model("b.gguf")])
    command = command_of(server)
    assert re.search(r"--mmproj /etc/ai-backend/install/model-eye\.gguf-\w+/eye\.gguf", command)
    assert re.search(r"--lora /etc/\S+/a\.gguf,/etc/\S+/b\.gguf", command)
    assert sum("model-" in name for name in unit_of(server).installs) == 4


def test_a_draft_model_is_named_and_asked_for_by_its_type() -> None:
    command = command_of(native(draft_model=other_model("draft.gguf"), draft_max=8))
    assert re.search(r"--model-draft \S+/draft\.gguf --spec-type draft-simple --spec-draft-n-max 8", command)


def test_a_chat_template_becomes_part_of_the_generation_and_of_the_units_digest(tmp_path: Path) -> None:
    file = tmp_path / "chat.jinja"
    file.write_text("{{ messages }}")
    before = generation_of(native(chat_template=TextFile(str(file))))
    path = "chat-templates/llama-server@native.service.jinja"
    assert before.files[path].content == b"{{ messages }}"
    assert f"--chat-template-file /etc/ai-backend/{path}" in command_of(native(chat_template=TextFile(str(file))))
    file.write_text("{{ messages[0] }}")
    after = generation_of(native(chat_template=TextFile(str(file))))
    unit = "llama-server@native.service"
    assert before.unit_digests[unit] != after.unit_digests[unit]


def test_a_unit_that_locks_memory_may() -> None:
    assert "LimitMEMLOCK=infinity" in unit_of(native(load_mode="mlock")).text
    assert "LimitMEMLOCK" not in unit_of(native()).text


def test_a_key_is_in_the_environment_file_alone() -> None:
    provider = native(api_key=EnvSecret("NATIVE_KEY"))
    generation = generation_of(provider)
    holders = [path for path, file in generation.files.items() if b"sk-secret" in file.content]
    # The second is the gateway's, which sends it.
    assert sorted(holders) == ["env/litellm@a.service.env", "env/llama-server@native.service.env"]
    assert b'LLAMA_API_KEY="sk-secret"' in generation.files["env/llama-server@native.service.env"].content
    assert {generation.files[path].mode for path in holders} == {0o600}


@pytest.mark.parametrize(
    ("provider", "unit", "variable"),
    [
        pytest.param(native(), "llama-server@native", "LLAMA_API_KEY", id="native"),
        pytest.param(python(), "llama-cpp-python@python", "API_KEY", id="python"),
        pytest.param(vllm(name="qwen-coder"), "vllm@qwen-coder", "VLLM_API_KEY", id="vllm"),
    ],
)
def test_a_backend_asks_for_a_key_that_the_host_makes_unless_one_is_given(
    provider: Provider, unit: str, variable: str
) -> None:
    """One file, with the name by which the backend takes it and the one by which the gateway does."""
    plan = plan_of(provider)
    users = [each for each in plan.units if each.name == f"{unit}.service" or each.name.startswith("litellm")]
    sent_as = f"{provider.name.upper().replace('-', '_')}_API_KEY"
    (key,) = [secret for secret in plan.generated_secrets if secret.variable == variable]
    assert (key.path, key.also) == (f"/var/lib/ai-backend/secrets/{unit}.env", sent_as)
    assert len(users) == 2
    assert all(f"\nEnvironmentFile={key.path}\n" in each.text for each in users)
    assert f"api_key: os.environ/{sent_as}\n" in plan.files["litellm-unified.yaml"]
    assert f"{variable}=" not in "".join(each.text for each in plan.units)


# Builds and releases -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "cards", "others", "expected"),
    [
        pytest.param("cuda", "86;89", "90", {"GGML_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": "86;89"}, id="cuda"),
        pytest.param("hip", "gfx1100", "gfx90a", {"GGML_HIP": "ON", "GPU_TARGETS": "gfx1100"}, id="hip"),
    ],
)
def test_a_build_is_for_the_hosts_cards_and_made_anew_for_others(
    backend: Any, cards: str, others: str, expected: dict[str, str]
) -> None:
    builds = []
    for architectures in (cards, others):
        generation = generation_of(native(build=build_for(backend)), gpu=architectures)
        builds += [install for install in generation.installs if install.install.kind == "source-build"]
    first, second = builds
    options = first.recipe["cmake_options"]
    assert isinstance(options, dict)
    assert expected.items() <= options.items()
    assert first.folder != second.folder


def test_a_build_for_named_cards_does_not_depend_on_the_hosts() -> None:
    install = install_of(native(build=build_for("cuda", cuda_architectures=["80", "86-real"])), "source-build")
    options = install.recipe.document()["cmake_options"]
    assert isinstance(options, dict)
    assert options["CMAKE_CUDA_ARCHITECTURES"] == "80;86-real"
    assert "gpu" not in install.platform


def test_further_cmake_options_are_passed_on() -> None:
    install = install_of(native(build=build_for("cpu", cmake_options={"GGML_BLAS": "ON"})), "source-build")
    options = install.recipe.document()["cmake_options"]
    assert isinstance(options, dict)
    assert options["GGML_BLAS"] == "ON"


@pytest.mark.parametrize(("backend", "name"), [("cuda", "CUDA"), ("hip", "ROCm"), ("vulkan", "Vulkan")])
def test_a_build_for_cards_is_asked_for_its_backend(backend: Any, name: str) -> None:
    gpus = Gpus(vendor="amd") if backend == "vulkan" else None
    recipe = install_of(native(build=build_for(backend), gpus=gpus), "source-build").recipe.document()
    assert recipe["backend"] == {"name": name, "libraries": "bin"}
    assert recipe["toolkit"] == backend


def test_a_vulkan_build_takes_its_compiler_and_driver_from_debian() -> None:
    packages = plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="amd"))).packages
    assert {"glslc", "libvulkan-dev", "spirv-headers", "mesa-vulkan-drivers"} <= set(packages)


def test_a_unit_for_an_amd_card_brings_what_makes_its_groups() -> None:
    """Without udev there is no group `render`, and systemd refuses the unit with 216/GROUP."""
    plan = plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="amd")))
    assert any("SupplementaryGroups=video render" in unit.text for unit in plan.units)
    assert "udev" in plan.packages
    assert "udev" not in plan_of(native(build=build_for("vulkan"), gpus=Gpus(vendor="nvidia"))).packages


def test_a_release_needs_no_compiler() -> None:
    packages = plan_of(native(build=RELEASE)).packages
    assert not {"cmake", "g++", "ccache", "ninja-build"} & set(packages)


def test_a_release_is_unpacked_without_its_top_folder_and_run_from_there() -> None:
    install = install_of(native(build=RELEASE), "release")
    assert install.recipe.document()["archives"] == [{"url": RELEASE.url, "sha256": RELEASE.sha256, "strip": 1}]
    assert command_of(native(build=RELEASE)).startswith("/etc/ai-backend/install/llama-cpp/llama-server ")


def test_a_releases_runtime_lies_beside_its_programs() -> None:
    release = LlamaCppRelease(
        url=RELEASE.url,
        sha256=RELEASE.sha256,
        backend="cuda",
        subdirectory="build/bin",
        runtime=UrlFile(url="http://198.18.0.1/cudart.tar.gz", sha256="e" * 64),
    )
    recipe = install_of(native(build=release), "release").recipe.document()
    archives = recipe["archives"]
    assert isinstance(archives, list)
    assert archives[1] == {"url": release.runtime.url, "sha256": "e" * 64, "strip": 1, "into": "build/bin"}  # type: ignore[union-attr]
    assert recipe["backend"] == {"name": "CUDA", "libraries": "build/bin"}
    assert command_of(native(build=release)).startswith("/etc/ai-backend/install/llama-cpp/build/bin/llama-server ")


@pytest.mark.parametrize("provider", [native(build=CUDA_BUILD), python(build=CUDA_BUILD)], ids=["native", "python"])
def test_a_build_for_cards_implies_them(provider: LlamaServer | LlamaCppPython) -> None:
    assert plan_of(provider).gpus == (Gpus(vendor="nvidia"),)
    assert "DeviceAllow=char-nvidia* rw" in unit_of(provider).text


def test_a_build_for_amd_cards_implies_those() -> None:
    assert plan_of(native(build=build_for("hip"))).gpus == (Gpus(vendor="amd"),)


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
        "-ngl 20",
        "--n-gpu-layers=20",
        "--override-tensor exps=CPU",
        "--cpu-moe",
        "--device none",
        "--fit off",
        "--rpc 198.18.0.1:50052",
        "--sleep-idle-seconds 60",
    ],
)
def test_what_further_arguments_may_have_moved_is_not_asked_for(arguments: str) -> None:
    assert weights_of(native(build=CUDA_BUILD, extra_arguments=arguments.split())) == []


def test_a_cpu_server_is_not_asked_for_cards() -> None:
    assert "ExecStartPre" not in unit_of(native()).text
    assert "ExecStartPre" not in unit_of(python()).text


# The Python server ---------------------------------------------------------------------------------------------------

TWO_MODELS = [
    PythonServerModel(model=MODEL, served_name="first"),
    PythonServerModel(
        model=other_model("second.gguf"),
        served_name="second",
        context_size=512,
        flash_attention=True,
        cache_type_k="q8_0",
        cache_type_v="q4_0",
        chat_format="chatml",
        embedding=True,
    ),
]
PYTHON_FILE = "llama-cpp-python/python.json"


def several(**options: Any) -> LlamaCppPython:
    defaults = {"name": "python", "port": 8000, "build": BUILD, "models": TWO_MODELS}
    return LlamaCppPython(**{**defaults, **options})


def test_a_single_model_is_on_the_command_line() -> None:
    assert command_of(python(threads=2)) == (
        "/etc/ai-backend/install/llama-cpp-python/bin/python -I -u -X faulthandler "
        "-m llama_cpp.server --host 127.0.0.1 --port 8000 "
        "--interrupt_requests false --model /etc/ai-backend/install/model-native.gguf-a0fab137/native.gguf "
        "--model_alias p --n_ctx 2048 --n_gpu_layers 0 --use_mlock false --n_threads 2"
    )


def test_several_models_are_in_a_file_that_the_unit_reads() -> None:
    server = several()
    assert command_of(server).endswith(f"-m llama_cpp.server --config_file /etc/ai-backend/{PYTHON_FILE}")
    assert unit_of(server).reads == (PYTHON_FILE,)
    config = json.loads(plan_of(server).files[PYTHON_FILE])
    assert (config["host"], config["port"], config["interrupt_requests"]) == ("127.0.0.1", 8000, False)
    first, second = config["models"]
    assert (first["model_alias"], first["n_ctx"], second["model_alias"]) == ("first", 2048, "second")
    assert {
        "n_ctx": 512,
        "flash_attn": True,
        "type_k": 8,
        "type_v": 2,
        "chat_format": "chatml",
        "embedding": True,
    }.items() <= second.items()
    assert second["model"].endswith("/second.gguf")


def test_a_file_of_models_holds_no_key() -> None:
    generation = generation_of(several(api_key=EnvSecret("PYTHON_KEY")))
    assert b"sk-secret" not in generation.files[PYTHON_FILE].content
    assert b'API_KEY="sk-secret"' in generation.files["env/llama-cpp-python@python.service.env"].content


def test_a_build_for_cards_keeps_all_layers_there_unless_told_otherwise() -> None:
    assert "--n_gpu_layers -1 " in command_of(python(build=CUDA_BUILD))
    assert "--n_gpu_layers 7 " in command_of(python(build=CUDA_BUILD, gpu_layers=7))


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


def test_a_wheel_brings_its_own_libraries_and_is_asked_for_its_backend(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("llama-cpp-python==0.3.30 --hash=sha256:00\n")
    wheel = PythonWheel(
        version="0.3.30", backend="cuda", requirements=TextFile(str(lock)), index_url="http://198.18.0.1/whl/cu124"
    )
    server = python(build=wheel)
    (environment,) = [install for install in plan_of(server).installs if install.name == "llama-cpp-python"]
    recipe = environment.recipe.document()
    assert recipe["indexes"] == ["--default-index", "http://198.18.0.1/whl/cu124"]
    assert recipe["backend"] == {
        "name": "CUDA",
        "libraries": "lib/python3.*/site-packages/llama_cpp/lib",
    }
    assert "source-build" not in {install.kind for install in plan_of(server).installs}
    assert "LLAMA_CPP_LIB_PATH" not in unit_of(server).text


# Mistakes ------------------------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[], object], list[str]]] = {
    "cards for a CPU build": (
        lambda: native(gpus=Gpus()),
        ["`gpus` is given, and a CPU build cannot use them", 'give the build `backend="cuda"`', "or remove `gpus`"],
    ),
    "cards for a Python server of a CPU build": (lambda: python(gpus=Gpus()), ["a CPU build cannot use them"]),
    "layers on a card that a CPU build does not see": (
        lambda: native(gpu_layers=10),
        ["`gpu_layers` is for a GPU build, and this is a CPU build", 'give the build `backend="cuda"`'],
    ),
    "layers on a card, Python": (lambda: python(gpu_layers=-1), ["`gpu_layers` is for a GPU build"]),
    "AMD cards for CUDA": (
        lambda: native(build=CUDA_BUILD, gpus=Gpus(vendor="amd")),
        ['runs on cards of vendor "nvidia", not "amd"', "fix `gpus`"],
    ),
    "Vulkan on nobody's cards": (
        lambda: native(build=build_for("vulkan")),
        ["say which with `gpus=Gpus(vendor="],
    ),
    "Vulkan by UUID": (
        lambda: native(build=build_for("vulkan"), gpus=Gpus(uuids=[CARD])),
        ["Vulkan does not know cards by UUID", "name them with `device`"],
    ),
    "architectures of another backend": (
        lambda: build_for("hip", cuda_architectures=["86"]),
        ['`cuda_architectures` is for `backend="cuda"`', "remove it, or change `backend`"],
    ),
    "a backend by CMake": (
        lambda: build_for("cpu", cmake_options={"GGML_CUDA": "ON"}),
        ["`cmake_options` sets GGML_CUDA, which is `backend` here"],
    ),
    "no shared libraries": (
        lambda: build_for("cpu", cmake_options={"BUILD_SHARED_LIBS": "OFF"}),
        ["BUILD_SHARED_LIBS", "remove it"],
    ),
    "a release that is a zip": (
        lambda: LlamaCppRelease(url="http://x/llama-b1-bin-ubuntu-x64.zip", sha256="a" * 64),
        ["llama-b1-bin-ubuntu-x64.zip is no tar archive", "take a newer release"],
    ),
    "a key on the command line": (
        lambda: native(extra_arguments=["--api-key", "sk-1"]),
        ["`--api-key` is the option `api_key` here; use that"],
    ),
    "a port on the command line": (lambda: native(extra_arguments=["--port=1"]), ["`--port` is the option `port`"]),
    "a draft of nothing": (lambda: native(draft_max=3), ["`draft_max` is given, and nothing drafts"]),
    "embeddings and reranking": (lambda: native(embeddings=True, reranking=True), ["exclude each other"]),
    "a quantized cache without flash attention": (
        lambda: native(cache_type_v="q8_0", flash_attention="off"),
        ['`cache_type_v="q8_0"` needs flash attention', 'set `flash_attention="on"`'],
    ),
    "a quantized cache without flash attention, Python": (
        lambda: python(cache_type_v="q8_0"),
        ["set `flash_attention=True`"],
    ),
    "no model at all": (
        lambda: LlamaCppPython(name="python", port=8000, build=BUILD),
        ["`model` is missing; give `model` and `served_name`, or several `models`"],
    ),
    "one model and several": (
        lambda: several(context_size=4096),
        ["`context_size` is for a single model; give it in `models`"],
    ),
    "two models of one name": (
        lambda: several(models=[TWO_MODELS[0], TWO_MODELS[0]]),
        ['model "first" is there twice', "another `served_name`"],
    ),
    "bindings of another version": (
        lambda: python(
            build=LlamaCppBuild(source=PythonSdist(package="llama-cpp-python", version="0.3.1", sha256="a" * 64))
        ),
        ["its bindings are those of llama-cpp-python 0.3.36", "that of 0.3.1", "or a PythonWheel"],
    ),
    "a picture model without a format": (lambda: python(mmproj=MODEL), ["`mmproj` is used by a `chat_format` only"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_fix(case: str) -> None:
    make, words = MISTAKES[case]
    with pytest.raises(OptionsError) as error:
        make()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
