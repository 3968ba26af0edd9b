"""The frame that systemd puts around each unit: what it leaves open, and on account of what."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from roles.litellm import LiteLLM
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import Gpus, Stack
from roles.rooms import plan_of
from tests.inventories import load_stack
from tests.stacks import CUDA_BUILD, native, python, route, small_stack, user_scope, vllm

LOCAL = {"IPAddressDeny=any", "IPAddressAllow=localhost"}
CLOSED_WITHOUT_CARDS = {"PrivateUsers=yes", "ProcSubset=pid", "MemoryDenyWriteExecute=yes", "PrivateDevices=yes"}


def ollama(**options: Any) -> Ollama:
    release = OllamaRelease(version="0.32.15")
    return Ollama(**{"release": release, "models": [OllamaModel(name="o:latest")], **options})


def frames(stack: Stack) -> dict[str, set[str]]:
    """Unit → the lines of its file."""
    return {unit.name: set(unit.text.splitlines()) for unit in plan_of(stack).units}


def local(stack: Stack) -> set[str]:
    """The units that reach their own host alone."""
    return {unit for unit, lines in frames(stack).items() if lines >= LOCAL}


def test_what_listens_on_loopback_reaches_nothing_but_its_own_host() -> None:
    servers = {"llama-server@native.service", "llama-cpp-python@python.service"}
    assert local(small_stack(gateway=LiteLLM())) >= {*servers, "litellm@a.service", "litellm@b.service"}


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        pytest.param(
            {"providers": [native(bind="0.0.0.0"), python()]},
            "llama-server@native.service",
            id="a provider at every address",
        ),
        pytest.param(
            {"providers": [native(bind="198.18.0.5"), python()]},
            "llama-server@native.service",
            id="a provider at one address",
        ),
        # A backend at another address than loopback is one that the gateway must reach.
        pytest.param(
            {"providers": [native(bind="198.18.0.5"), python()], "gateway": LiteLLM()},
            "litellm@a.service",
            id="the gateway of a provider at another address",
        ),
        pytest.param(
            {"gateway": LiteLLM(bind="0.0.0.0")}, "ai-backend-front.service", id="an endpoint at every address"
        ),
        pytest.param(
            {"providers": [native(), ollama()], "routes": [route("n", "native"), route("o", "ollama")], "aliases": {}},
            "ollama.service",
            id="a provider that fetches its models",
        ),
    ],
)
def test_what_others_reach_or_fetches_from_others_is_let(options: dict[str, Any], unit: str) -> None:
    stack = small_stack(**options)
    assert unit in frames(stack)
    assert unit not in local(stack)


def test_the_loader_of_a_local_ollama_asks_it_alone() -> None:
    stack = small_stack(providers=[native(), ollama()], routes=[route("n", "native"), route("o", "ollama")], aliases={})
    assert "ollama-models.service" in local(stack)


def test_cards_leave_open_what_their_drivers_need() -> None:
    cards = native(name="cards", port=8081, build=CUDA_BUILD, gpus=Gpus(vendor="nvidia"), served_name="c")
    found = frames(small_stack(providers=[native(), python(), cards]))
    assert found["llama-server@native.service"] >= CLOSED_WITHOUT_CARDS
    assert not found["llama-server@cards.service"] & CLOSED_WITHOUT_CARDS
    assert "DeviceAllow=char-nvidia* rw" in found["llama-server@cards.service"]
    assert "DeviceAllow=char-nvidia* rw" in found["ai-backend-verify.service"]
    assert "PrivateDevices=yes" not in found["ai-backend-verify.service"]
    assert "PrivateDevices=yes" in frames(small_stack())["ai-backend-verify.service"]


@pytest.mark.parametrize(
    ("provider", "unit", "open_"),
    [
        pytest.param(
            vllm(gpus=None, kv_cache_memory_bytes="4G"),
            "vllm@vllm.service",
            {"ProcSubset=pid", "MemoryDenyWriteExecute=yes"},
            id="vllm",
        ),
        pytest.param(ollama(), "ollama.service", {"ProcSubset=pid"}, id="ollama"),
    ],
)
def test_what_a_server_can_not_do_without_is_open_to_it(provider: Any, unit: str, open_: set[str]) -> None:
    stack = small_stack(
        providers=[native(), provider], routes=[route("n", "native"), route("x", provider.name)], aliases={}
    )
    assert frames(stack)[unit] & CLOSED_WITHOUT_CARDS == CLOSED_WITHOUT_CARDS - open_


@pytest.mark.parametrize(
    ("options", "filtered"),
    [
        pytest.param({}, "~@privileged @resources", id="by default"),
        pytest.param({"numa": "isolate"}, "~@privileged", id="numa"),
    ],
)
def test_threads_are_bound_to_processors_only_where_that_is_asked_for(options: dict[str, Any], filtered: str) -> None:
    unit = frames(small_stack(providers=[native(**options), python()]))["llama-server@native.service"]
    assert f"SystemCallFilter={filtered}" in unit


def test_with_cards_the_units_are_as_closed_as_the_documentation_says(tmp_path: Path) -> None:
    """No host with a card is at hand: systemd rates the files of the units themselves."""
    found = {}
    for unit in plan_of(load_stack("gpu-box.py", "gpu-box")).units:
        if unit.name.endswith(".service"):
            (tmp_path / unit.name).write_text(unit.text)
            rate = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / unit.name)]
            told = subprocess.run(rate, capture_output=True, text=True, check=True).stdout
            found[unit.name] = float(told.rpartition("exposure level for ")[2].split()[1])
    # Newer versions of systemd rate the former a little lower.
    assert found.pop("ai-backend-gpu.service") <= 7.5
    assert found.pop("ai-backend-verify.service") <= 2.4
    assert {name: exposure for name, exposure in found.items() if exposure > 1.5} == {}
    assert len(found) >= 8


def test_a_users_own_systemd_has_none_of_it() -> None:
    for lines in frames(small_stack(scope=user_scope())).values():
        assert not [line for line in lines if line.startswith(("Private", "Protect", "IPAddress", "SystemCall"))]
