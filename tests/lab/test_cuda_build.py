"""llama.cpp for CUDA on a host without a card: compiled with the toolkit that the deploy brings, for one architecture.

The build is the lab's, less flash attention, which would take twice as long. ccache keeps it: without it this takes
40 minutes on two processors. Nothing is computed on a card.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from roles.host.programs.installers.ggml import BACKENDS_OF
from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, inventory_file
from tests.lab.test_gpu_host import install_driver
from tests.labhost import LabHost

pytestmark = pytest.mark.soak_only

STACK = """
build = LLAMA_CPP.model_copy(update={
    "name": "llama-cpp-cuda",
    "backend": "cuda",
    "cuda_architectures": ("86-real",),
    "cmake_options": {"GGML_CUDA_FA": "OFF"},
})
hosts = [lab_host(Stack(
    providers=[LlamaServer(
        name="native", port=8080, build=build, model=lab_model("native.gguf"), served_name="tiny-native"
    )],
    routes=[Route(name="tiny-native", deployments=[Deployment(provider="native")])],
    gateway=LiteLLM(instances=1),
))]
"""
BUILT = "/opt/ai-backend/source-build/*/bin"
LONGEST = 2 * 3600
"""Seconds of a build without ccache beside other work."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("cuda", prepared=True)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    return inventory_file(tmp_path, STACK)


def test_a_host_without_a_card_is_told_so_before_anything_is_built(host: LabHost, inventory: Path) -> None:
    run = deploy(host, "prepare.py", inventory=inventory)
    assert run.status == 1
    assert "the stack needs an NVIDIA GPU: no such card and driver is found" in run.output
    assert host.run("ls /opt/ai-backend/python-env/*/cuda", check=False).returncode != 0


def test_the_backend_is_compiled_and_finds_all_but_the_driver(host: LabHost, inventory: Path) -> None:
    install_driver(host, seconds=0)
    run = deploy(host, "prepare.py", inventory=inventory, timeout=LONGEST).must_pass()
    assert "CUDA toolkit 13.0: ready after" in run.output
    library = host.run(f"ls {BUILT}/libggml-cuda.so").stdout.strip()
    needed = host.run(f"ldd {library}").stdout
    assert re.findall(r"(\S+) => not found", needed) == ["libcuda.so.1"]
    for name in ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13"):
        assert re.search(
            rf"{re.escape(name)} => /opt/ai-backend/python-env/\w+/lib/python3\.\d+/site-packages/", needed
        )


def test_the_binary_lists_the_backend_and_no_card(host: LabHost) -> None:
    folder = host.run(f"dirname $(ls {BUILT}/libggml-cuda.so)").stdout.strip()
    stubs = "LD_LIBRARY_PATH=$(echo /opt/ai-backend/python-env/*/cuda/lib64/stubs)"
    asked = host.run(f"{stubs} python3 -c {shlex.quote(BACKENDS_OF)} {folder}").stdout.splitlines()
    assert {"has CUDA", "has CPU", "loads libggml-cuda.so"} <= {*asked}
    devices = host.run(f"{stubs} {folder}/llama-server --list-devices")
    assert "CUDA0" not in devices.stdout + devices.stderr


def test_a_second_run_makes_nothing(host: LabHost, inventory: Path) -> None:
    assert "Success" not in deploy(host, "prepare.py", inventory=inventory).must_pass().results().values()
