"""The driver and the cards of a host, compared with what a build needs."""

from __future__ import annotations

from typing import Any

import pytest

from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.pending import unmet_needs
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Gpus, HubFile, HubModel, Stack, TextFile
from roles.plan import KnownFacts, not_known, resolve
from roles.rooms import plan_of
from roles.vllm import VllmPackage
from tests.llama_cpp_plans import build_for
from tests.planned_models import published
from tests.stacks import CUDA_BUILD, PLATFORM, converged_state, native, route, small_stack, vllm

CARD = "GPU-11111111-1111-1111-1111-111111111111"
OTHER = "GPU-22222222-2222-2222-2222-222222222222"
SMALL_MODEL = HubFile(repository="org/m", revision="0" * 40, file="qwen2.5-1.5b-instruct-q4_k_m.gguf")


def needs(driver: str | None, capability: str | None, name: str = "Tesla V100", **options: Any) -> list[str]:
    """What a vLLM with those options lacks on a host with that driver and card."""
    stack = small_stack(providers=[vllm(**options)], routes=[route("v", "vllm")], aliases={})
    gpus = {
        "vendor": "nvidia",
        "cards": {CARD: name},
        "driver": driver,
        "capabilities": {CARD: capability} if capability else {},
    }
    return judged(stack, gpus)


def judged(stack: Stack, gpus: dict[str, Any], known: KnownFacts = not_known, **changes: Any) -> list[str]:
    plan = plan_of(stack, known=known)
    generation = resolve(plan, PLATFORM, reveal=lambda _: "x" * 20)
    found = converged_state(plan, generation) | changes
    found["gpus"] = gpus
    return unmet_needs(plan, generation, read(HostState, found))


def test_debian_12s_driver_and_a_v100_are_both_too_old_for_the_pinned_vllm() -> None:
    driver, card = needs("535.247.01", "7.0")
    assert driver == (
        "vLLM 0.32.0, which is built for CUDA 13, needs NVIDIA driver 580 or newer, and it has 535.247.01: install a "
        "newer driver and reboot (Debian 12 has 535 and Debian 13 has 550, NVIDIA's own repository has newer ones), or "
        "give `package` a build for an older CUDA"
    )
    assert card.startswith(
        "vLLM 0.32.0, which is built for CUDA 13, needs a card of compute capability 7.5 or newer, and Tesla V100 "
        f"({CARD}) has 7.0: "
    )


@pytest.mark.parametrize(
    ("driver", "capability", "options", "told"),
    [
        pytest.param("580.159.04", "7.5", {}, [], id="just new enough"),
        pytest.param("610.9", "12.0", {}, [], id="a later branch: 12.0 is above 7.5"),
        pytest.param("99.1", "8.9", {}, ["driver 580"], id="99 is below 580"),
        pytest.param("570.86.15", "9.0", {}, ["driver 580"], id="a good card, an old driver"),
        pytest.param("580.1", "6.1", {}, ["capability 7.5"], id="a P40"),
        pytest.param(None, None, {}, [], id="nothing is known"),
        pytest.param("580.1", "7.5", {"quantization": "awq_marlin"}, ["capability 8.0"], id="Marlin on a T4"),
        pytest.param("580.1", "8.0", {"quantization": "awq_marlin"}, [], id="Marlin on an A100"),
        pytest.param("580.1", "7.5", {"quantization": "awq"}, [], id="plain AWQ on a T4"),
        pytest.param("580.1", "7.5", {"dtype": "bfloat16"}, ["capability 8.0"], id="bfloat16 on a T4"),
        pytest.param("535.1", "7.0", {"gpus": None, "kv_cache_memory_bytes": "1G"}, [], id="on the processor"),
        pytest.param(
            "535.1", "7.0", {"package": VllmPackage(requirements=TextFile("x.txt"))}, [], id="a package of one's own"
        ),
    ],
)
def test_what_is_needed_follows_from_the_build_and_its_options(
    driver: str | None,
    capability: str | None,
    options: dict[str, Any],
    told: list[str],
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "x.txt").write_text("vllm==0.32.0\n")
    monkeypatch.chdir(tmp_path)
    found = needs(driver, capability, **options)
    assert [each in need for each, need in zip(told, found, strict=True)] == [True] * len(told), found


def test_only_the_cards_that_it_uses_count() -> None:
    stack = small_stack(providers=[vllm(gpus=Gpus(uuids=[OTHER]))], routes=[route("v", "vllm")], aliases={})
    gpus = {
        "vendor": "nvidia",
        "cards": {CARD: "Tesla V100", OTHER: "NVIDIA L4"},
        "driver": "580.1",
        "capabilities": {CARD: "7.0", OTHER: "8.9"},
    }
    assert judged(stack, gpus) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"tensor_parallel_size": 2}, "split into 2 parts, needs 2 cards, and it has 1: lower", id="two"),
        pytest.param(
            {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, "needs 4 cards, and it has 1: lower", id="2 x 2"
        ),
        pytest.param({"tensor_parallel_size": 1}, None, id="one"),
    ],
)
def test_more_parts_than_the_host_has_cards_are_refused(options: dict[str, Any], told: str | None) -> None:
    found = needs("580.159.04", "9.0", **options)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_package_of_ones_own_needs_a_card_for_each_part_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").write_text("vllm==0.32.0\n")
    monkeypatch.chdir(tmp_path)
    package = VllmPackage(requirements=TextFile("x.txt"))
    (found,) = needs("535.1", "7.0", package=package, tensor_parallel_size=2)
    assert "needs 2 cards, and it has 1" in found


def test_an_amd_card_under_a_package_for_cuda_is_named_with_the_fix() -> None:
    stack = small_stack(providers=[vllm()], routes=[route("v", "vllm")], aliases={})
    (told,) = judged(stack, {"vendor": "amd", "cards": {"GPU-a1b2": "Radeon RX 7900 XTX"}})
    assert told == (
        "the stack needs an NVIDIA GPU: it has Radeon RX 7900 XTX instead: give the servers "
        '`gpus=Gpus(vendor="amd")` and builds for it: for llama.cpp `backend` "hip" or "vulkan", for vLLM a `package` '
        "that is locked for ROCm, for Ollama the release's `rocm` archive"
    )


_OLD = {"vendor": "nvidia", "cards": {CARD: "Tesla V100"}, "driver": "535.1", "capabilities": {CARD: "7.0"}}


def llama_cpp(**options: Any) -> Stack:
    return small_stack(providers=[native(**options)], routes=[route("n", "native")], aliases={})


@pytest.mark.parametrize(
    ("driver", "capability", "told"),
    [
        pytest.param("535.247.01", "6.1", [], id="a GTX 1080"),
        pytest.param("470.256.02", "6.1", ["driver 531 or newer, and it has 470.256.02"], id="an old driver"),
        pytest.param("535.1", "3.7", ["compute capability 5.0 or newer"], id="a K80"),
    ],
)
def test_what_ollama_would_do_without_in_silence_is_refused(driver: str, capability: str, told: list[str]) -> None:
    provider = Ollama(release=OllamaRelease(version="0.32.15"), models=[OllamaModel(name="m:1b")], gpus=Gpus())
    stack = small_stack(providers=[provider], routes=[route("m:1b", "ollama")], aliases={})
    gpus = {"vendor": "nvidia", "cards": {CARD: "A card"}, "driver": driver, "capabilities": {CARD: capability}}
    found = judged(stack, gpus)
    assert [each in need for each, need in zip(told, found, strict=True)] == [True] * len(told), found


def test_llama_cpp_on_the_processor_asks_for_no_driver() -> None:
    assert judged(llama_cpp(), _OLD) == []


def test_the_toolkit_that_is_installed_for_a_build_needs_a_newer_driver_and_card() -> None:
    driver, card = judged(llama_cpp(build=build_for("cuda")), _OLD)
    assert driver == (
        "llama.cpp, compiled with CUDA 13.0, needs NVIDIA driver 580 or newer, and it has 535.1: install a newer "
        "driver and reboot (Debian 12 has 535 and Debian 13 has 550, NVIDIA's own repository has newer ones), or name "
        "a toolkit for it that is installed as `cuda_toolkit`, or take a release"
    )
    assert "needs a card of compute capability 7.5 or newer, and Tesla V100" in card


def with_toolkit(
    toolkit: str, version: str | None, capability: str, cuda: str | None = "12.2", **options: Any
) -> list[str]:
    """What a build lacks on a host with that version of that toolkit, a card, and a driver for that CUDA."""
    stack = llama_cpp(build=build_for("cuda", cuda_toolkit=toolkit, **options))
    gpus = {
        "vendor": "nvidia", "cards": {CARD: "A card"}, "driver": "535.1", "cuda": cuda,
        "capabilities": {CARD: capability},
    }  # fmt: skip
    return judged(stack, gpus, toolkits={toolkit.removeprefix("installed"): version} if version else {})


@pytest.mark.parametrize(
    ("toolkit", "place"),
    [("installed", "nvcc on PATH or in /usr/local/cuda/bin"), ("/opt/cuda", "bin/nvcc in /opt/cuda")],
)
def test_a_toolkit_of_the_hosts_has_to_be_there(toolkit: str, place: str) -> None:
    assert with_toolkit(toolkit, "12.2", "8.9") == []
    assert with_toolkit(toolkit, None, "8.9") == [
        f"llama.cpp needs a CUDA toolkit, and there is no {place}: install one, no newer than CUDA 12.2, which the "
        "driver runs; or leave `cuda_toolkit` out, and one is installed for it (driver 580 or newer)"
    ]


@pytest.mark.parametrize(
    ("version", "capability", "cuda", "told"),
    [
        pytest.param("12.8", "8.9", "12.2", None, id="newer, of the same CUDA"),
        pytest.param("11.8", "8.9", "12.2", None, id="older"),
        pytest.param("13.0", "8.9", "12.2", "its driver (535.1) runs CUDA 12 at most: ", id="too new for the driver"),
        pytest.param("13.0", "8.9", None, None, id="nothing is known of the driver"),
        pytest.param("11.8", "12.0", "13.0", "install CUDA 12.8 or newer", id="Debian's, for an RTX 5090"),
        pytest.param("12.8", "12.0", "13.0", None, id="an RTX 5090"),
        pytest.param("11.0", "8.6", "12.2", "install CUDA 11.1 or newer", id="an RTX 3090"),
        pytest.param("13.0", "6.1", "13.0", "no longer knows A card (", id="too new for a GTX 1080"),
        pytest.param("12.8", "6.1", "12.8", None, id="a GTX 1080"),
        pytest.param("12.0", "3.7", "12.2", "no longer knows A card (", id="too new for a K80"),
    ],
)
def test_a_toolkit_of_the_hosts_has_to_fit_its_driver_and_cards(
    version: str, capability: str, cuda: str | None, told: str | None
) -> None:
    found = with_toolkit("installed", version, capability, cuda)
    assert len(found) == (told is not None), found
    assert told is None or told in found[0]


def test_architectures_that_are_given_need_not_be_those_of_the_hosts_cards() -> None:
    assert with_toolkit("installed", "11.8", "12.0", cuda_architectures=["86"]) == []


def test_the_reference_driver_and_card_are_new_enough_for_it() -> None:
    good = {"vendor": "nvidia", "cards": {CARD: "T4"}, "driver": "580.65.06", "capabilities": {CARD: "7.5"}}
    assert judged(llama_cpp(build=build_for("cuda")), good) == []


def fitting(memory: int, foreign: int = 0, known: KnownFacts = published, **options: Any) -> list[str]:
    """What a server of Qwen2.5 1.5B lacks on a card of that many MiB."""
    server = native(build=CUDA_BUILD, model=SMALL_MODEL, context_size=8192, **options)
    stack = small_stack(providers=[server], routes=[route("n", "native")], aliases={})
    gpus = {
        "vendor": "nvidia", "cards": {CARD: "A card"}, "driver": "580.1", "capabilities": {CARD: "8.9"},
        "memory": {CARD: memory << 20}, "foreign": {CARD: foreign << 20},
    }  # fmt: skip
    return judged(stack, gpus, known)


def test_models_that_do_not_fit_the_real_card_are_refused_with_the_arithmetic() -> None:
    assert fitting(2176) == []
    (problem,) = fitting(1876)
    assert "the models do not fit on GPU-11111111" in problem
    assert 'LlamaServer "native" n' in problem
    assert "a context of at most " in problem


def test_what_others_use_of_the_card_counts() -> None:
    assert fitting(4096) == []
    (problem,) = fitting(4096, foreign=3000)
    assert "processes of others" in problem


def test_an_unknown_model_is_no_reason_to_refuse() -> None:
    assert fitting(16, known=not_known) == []


def test_nobody_knows_where_a_server_without_uuids_puts_its_model_on_several_cards() -> None:
    server = native(build=CUDA_BUILD, model=SMALL_MODEL)
    stack = small_stack(providers=[server], routes=[route("n", "native")], aliases={})
    two = {CARD: 1 << 20, OTHER: 1 << 20}
    gpus = {"vendor": "nvidia", "cards": dict.fromkeys(two, "A card"), "driver": "580.1", "memory": two}
    assert judged(stack, gpus, published) == []


TWO = {CARD: "An H100", OTHER: "An H100"}


def on_two(problems: dict[str, str], *, exclusive: tuple[str, ...] = (), **options: Any) -> list[str]:
    """What two servers of vLLM lack on a host with two cards."""
    each = {"model": HubModel(repository="org/m", revision="0" * 40), "kv_cache_memory_bytes": "1G", **options}
    providers = [vllm(**each), vllm(**{**each, "name": "second", "port": 8002})]
    stack = small_stack(providers=providers, routes=[route("v", "vllm"), route("w", "second")], aliases={})
    gpus = {
        "vendor": "nvidia", "cards": TWO, "driver": "580.1", "capabilities": dict.fromkeys(TWO, "9.0"),
        "problems": problems, "exclusive": exclusive,
    }  # fmt: skip
    return judged(stack, gpus)


MIG = {CARD: "it is divided by MIG"}


def test_a_card_that_cannot_be_used_counts_if_it_is_needed() -> None:
    assert on_two(MIG) == [], "there is another, and any will do"
    assert on_two(MIG, gpus=Gpus(uuids=[OTHER])) == []
    assert on_two(MIG, gpus=Gpus(uuids=[CARD])) == [f"An H100 ({CARD}) cannot be used: it is divided by MIG"]
    assert len(on_two({**MIG, OTHER: "it is divided by MIG"})) == 2, "there is no other"


def test_a_card_that_cannot_be_used_is_none_for_the_parts_of_a_model() -> None:
    first, second = on_two(MIG, tensor_parallel_size=2)
    assert "split into 2 parts, needs 2 cards, and it has 1 that can be used: lower" in first
    assert 'vLLM "second"' in second


def test_servers_do_not_share_a_card_that_lets_one_process_in() -> None:
    assert on_two({}, exclusive=(CARD,), gpus=Gpus(uuids=[OTHER])) == []
    assert on_two({}, exclusive=(CARD,), gpus=Gpus(uuids=[CARD])) == [
        f"An H100 ({CARD}) is in the compute mode Exclusive_Process, for one process alone, and 2 servers share it: "
        f"`nvidia-smi -i {CARD} -c 0` as root, also after boots"
    ]
    assert needs("580.1", "9.0") == []


@pytest.mark.parametrize(("free", "parts", "told"), [(64 << 20, 2, True), (10**9, 2, False), (64 << 20, 1, False)])
def test_the_parts_of_a_model_need_shared_memory(free: int, parts: int, told: bool) -> None:
    stack = small_stack(providers=[vllm(tensor_parallel_size=parts)], routes=[route("v", "vllm")], aliases={})
    gpus = {"vendor": "nvidia", "cards": TWO, "driver": "580.1", "capabilities": dict.fromkeys(TWO, "9.0")}
    plan = plan_of(stack)
    disks = converged_state(plan, resolve(plan, PLATFORM, reveal=lambda _: "x" * 20))["disks"]
    found = judged(stack, gpus, disks={**disks, "/dev/shm": {"device": 2, "free": free}})
    assert (
        any("needs 1000 MB in /dev/shm, through which they talk, and 67 MB are free: " in each for each in found)
        == told
    )
    assert len(found) == told


@pytest.mark.parametrize(
    ("container", "told"),
    [
        pytest.param("", "no such card and driver is found: `lspci -nn -d 10de:` shows whether it has one", id="bare"),
        pytest.param("lxc", "is found. It is a container (LXC): its host has to have the driver", id="LXC"),
        pytest.param("wsl", "it runs in WSL, which hands out cards by /dev/dxg", id="WSL"),
    ],
)
def test_what_to_look_at_depends_on_what_the_host_is(container: str, told: str) -> None:
    stack = small_stack(providers=[vllm()], routes=[route("v", "vllm")], aliases={})
    (found,) = judged(stack, {"cards": {}}, system={"container": container})
    assert told in found
    assert judged(llama_cpp(), {"cards": {}}, system={"container": container}) == []


def test_a_fault_of_the_other_vendors_card_is_not_given_as_the_cause() -> None:
    stack = small_stack(providers=[vllm()], routes=[route("v", "vllm")], aliases={})
    (found,) = judged(stack, {"vendor": "amd", "cards": {}, "problem": "the kernel does not offer its AMD card"})
    assert found.startswith("the stack needs an NVIDIA GPU: no such card and driver is found: ")


@pytest.mark.parametrize(
    ("missing", "gpus", "told"),
    [
        pytest.param(["avx2"], None, True, id="without it"),
        pytest.param([], None, False, id="with it"),
        pytest.param(["avx2"], Gpus(), False, id="on a card"),
    ],
)
def test_vllm_on_the_processor_needs_avx2(missing: list[str], gpus: Gpus | None, told: bool) -> None:
    stack = small_stack(
        providers=[vllm(gpus=gpus, kv_cache_memory_bytes="1G")], routes=[route("v", "vllm")], aliases={}
    )
    cards = {"vendor": "nvidia", "cards": {CARD: "An H100"}}
    found = judged(stack, cards, missing_cpu_flags=missing)
    lacks = (
        "vllm 0.32.0+cpu needs AVX2, which its processor does not have (`flags` in /proc/cpuinfo): take another host, "
        "or, if it is a virtual machine, give it the type of the processor itself "
        '("host" in Proxmox, "host-passthrough" in libvirt)'
    )
    assert found == ([lacks] if told else [])


NO_CARDS: dict[str, Any] = {"cards": {}}


@pytest.mark.parametrize("known", [published, not_known])
def test_models_that_do_not_fit_into_main_memory_are_refused_with_the_arithmetic(known: KnownFacts) -> None:
    server = native(model=SMALL_MODEL, context_size=32_768)
    stack = small_stack(providers=[server], routes=[route("n", "native")], aliases={}, memory="64G")
    assert judged(stack, NO_CARDS, known, main_memory=4 << 30) == []
    assert judged(stack, NO_CARDS, known) == []
    problems = judged(stack, NO_CARDS, known, main_memory=3 << 30)
    assert len(problems) == (known is published)
    for problem in problems:
        assert "the models do not fit into main memory:\n        MiB of main memory" in problem
        assert 'and the host has 3072: give LlamaServer "native" a context of at most ' in problem


def test_a_person_who_knows_better_is_told_no_more_than_that() -> None:
    stack = small_stack(
        providers=[native(model=SMALL_MODEL, context_size=32_768)], routes=[route("n", "native")], aliases={}
    )
    plan = plan_of(stack, known=published)
    generation = resolve(plan, PLATFORM, reveal=lambda _: "x" * 20)
    state = read(HostState, {**converged_state(plan, generation), "main_memory": 1 << 30})
    assert len(unmet_needs(plan, generation, state)) == 1
    assert unmet_needs(plan, generation, state, oversized=True) == []
