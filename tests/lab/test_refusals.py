"""What preflight refuses on hosts with cards: a real host that is made to look like each of them, and the message.

There is no card. The driver's program says what real ones were recorded to say, and /proc, /sys and /etc show what they
show on such hosts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hollow_models import Hollow, write_hollow
from tests.lab.card_hosts import CardHost, card_host
from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, inventory_file
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

CARD = "GPU-00000000-0000-0000-0000-000000000000"
RTX_4080 = "NVIDIA GeForce RTX 4080 SUPER"
NO_CARD = "the stack needs an NVIDIA GPU: "

REFERENCE = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("gpu_box", {str(REPOSITORY / "inventory/gpu-box.py")!r})
gpu_box = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gpu_box)
hosts = [lab_host(gpu_box.hosts[0][1]["stack"], **{{data!r}})]
"""
"""The reference stack: Ollama, vLLM and llama.cpp, the builds for CUDA 13."""

OWN = """
from roles.ollama import *
from roles.options import Gpus, HubModel, LocalFile
from roles.vllm import *

awq = HubModel(repository="Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", revision="8e8ed243bbe6f9a5aff549a0924562fc719b2b8a")
cuda = LLAMA_CPP.model_copy(update={{"name": "llama-cpp-cuda", "backend": "cuda"}})
common = {{"name": "own", "port": 8001}}
hosts = [lab_host(Stack(
    providers=[{provider}],
    routes=[Route(name="m", deployments=[Deployment(provider="own", model="m")])],
    gateway=LiteLLM(instances=1),
), **{data!r})]
"""
VLLM = 'Vllm(model=awq, served_model_name="m", {options}, **common)'
LLAMA = 'LlamaServer(served_name="m", model={model}, build=cuda, gpus=Gpus(), {options}, **common)'
OLLAMA_FOR_ARM = """Ollama(
    name="own", models=[OllamaModel(name="m", digest="0" * 64)],
    release=OllamaRelease(version="0.32.15", machine="aarch64", sha256="0" * 64),
)"""


@pytest.fixture(scope="module")
def bare(new_module_host: NewHost) -> LabHost:
    """A host on which nothing of ours is installed: preflight needs nothing."""
    return new_module_host("refusals")


@pytest.fixture
def host(bare: LabHost) -> Iterator[CardHost]:
    with card_host(bare) as made:
        yield made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-" + "a1b2c3d4e5" * 4)


def refusals(host: CardHost, folder: Path, provider: str | None = None) -> list[str]:
    """The lines by which preflight refuses the host; none = it would deploy.

    Args:
        provider: the only one of the stack; none = the reference stack.
    """
    text = REFERENCE.format(data=host.data) if provider is None else OWN.format(provider=provider, data=host.data)
    run = deploy(host.host, "preflight.py", inventory=inventory_file(folder, text))
    assert "Traceback" not in run.output
    _, refused, lines = run.output.partition("cannot be deployed to:")
    assert (run.status == 0) == ("would activate, as the host has generation none" in run.output) == (not refused)
    return [line.strip().replace("\n        ", "\n") for line in re.split(r"\n +- ", lines)[1:]]


def test_the_reference_stack_finds_nothing_wrong_with_a_good_host(host: CardHost, tmp_path: Path) -> None:
    host.says()
    assert refusals(host, tmp_path) == []


def test_a_driver_that_is_older_than_the_engines_need(host: CardHost, tmp_path: Path) -> None:
    host.says(replace={"595.71.05": "535.247.01", "595.71": "535.247", "13.2": "12.2"})
    newer = (
        "needs NVIDIA driver 580 or newer, and it has 535.247: install a newer driver and reboot (Debian 12 has 535 "
        "and Debian 13 has 550, NVIDIA's own repository has newer ones), or "
    )
    assert refusals(host, tmp_path) == [
        f"vLLM 0.32.0, which is built for CUDA 13, {newer}give `package` a build for an older CUDA",
        f"llama.cpp, compiled with CUDA 13.0, {newer}name a toolkit for it that is installed as `cuda_toolkit`, or "
        "take a release",
    ]


def test_a_card_that_is_too_old_for_the_wheel(host: CardHost, tmp_path: Path) -> None:
    host.says(replace={RTX_4080: "Tesla V100-SXM2-16GB", "8.9": "7.0"})
    newer = f"needs a card of compute capability 7.5 or newer, and Tesla V100-SXM2-16GB ({CARD}) has 7.0: "
    assert refusals(host, tmp_path) == [
        f"vLLM 0.32.0, which is built for CUDA 13, {newer}take another card, llama.cpp, or a `package` of your own",
        f"llama.cpp, compiled with CUDA 13.0, {newer}name a toolkit for it that is installed as `cuda_toolkit`, or "
        "take a release",
    ]


def test_a_card_that_is_too_old_for_marlin_and_too_few_of_them_and_no_shared_memory(
    host: CardHost, tmp_path: Path
) -> None:
    host.says(replace={RTX_4080: "Tesla T4", "8.9": "7.5"})
    host.does("mount -t tmpfs -o size=64M shown /dev/shm", "umount /dev/shm")
    provider = VLLM.format(options='quantization="awq_marlin", tensor_parallel_size=4')
    cards, shared, marlin = refusals(host, tmp_path, provider)
    assert cards == (
        'vLLM "own", split into 4 parts, needs 4 cards, and it has 1: lower `tensor_parallel_size` or '
        "`pipeline_parallel_size`"
    )
    assert shared.startswith('vLLM "own", split into 4 parts, needs 1000 MB in /dev/shm, through which they talk, and ')
    assert "`mount -o remount,size=8G /dev/shm` as root" in shared
    assert marlin == (
        f'quantization="awq_marlin" needs a card of compute capability 8.0 or newer, and Tesla T4 ({CARD}) has 7.5: '
        "leave `quantization` out, and vLLM picks a kernel that the card has"
    )


def test_a_card_of_another_maker(host: CardHost, tmp_path: Path) -> None:
    host.has_amd_card()
    assert refusals(host, tmp_path) == [
        f'{NO_CARD}it has AMD GPU (gfx1100) instead: give the servers `gpus=Gpus(vendor="amd")` and builds for it: for '
        'llama.cpp `backend` "hip" or "vulkan", for vLLM a `package` that is locked for ROCm, for Ollama the '
        "release's `rocm` archive"
    ]


def test_an_archive_for_another_processor(host: CardHost, tmp_path: Path) -> None:
    assert refusals(host, tmp_path, OLLAMA_FOR_ARM) == [
        "Ollama 0.32.15 is for aarch64, and its processor is x86_64: take the archive for that"
    ]


def test_another_processor_and_another_distribution(host: CardHost, tmp_path: Path) -> None:
    host.says()
    host.reads("/etc/os-release", 'ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n')
    host.is_of_32_bits()
    system, processor, archive = refusals(host, tmp_path)
    assert system == (
        "it runs Fedora Linux 43 (Server Edition), and this needs Debian 12 or 13, or Ubuntu 24.04, whose packages it "
        "installs: take a host with one of these, or a virtual machine or container with one that boots with systemd"
    )
    assert processor.startswith("its processor is i686, and this needs x86_64 or aarch64: ")
    assert archive.startswith("Ollama 0.32.15 is for x86_64, and its processor is i686: ")


def test_another_first_process(host: CardHost, tmp_path: Path) -> None:
    host.says()
    host.has_no_systemd()
    assert refusals(host, tmp_path) == [
        "systemd does not answer on this host: its init system is `sshd`, and all services are units of systemd. Take "
        "a host that boots with systemd"
    ]


def test_secure_boot_and_a_module_that_nobody_signed(host: CardHost, tmp_path: Path) -> None:
    host.says("no_driver")
    host.has_card(driver="none")
    host.has_module("updates/dkms/nvidia-current.ko", "code")
    host.boots_securely()
    (told,) = refusals(host, tmp_path)
    kernel = host.host.run("uname -r").stdout.strip()
    assert told == (
        f"{NO_CARD}Secure Boot is on and refuses the kernel module `nvidia`: /lib/modules/{kernel}/updates/dkms/"
        "nvidia-current.ko is not signed. Sign it with a key that is enrolled (dkms signs with its own: `mokutil "
        "--import /var/lib/dkms/mok.pub`, then `dkms install --force`, reboot, and confirm the key at the console), or "
        "turn Secure Boot off in the firmware"
    )


def test_a_toolkit_of_the_host_that_its_driver_or_card_does_not_support(host: CardHost, tmp_path: Path) -> None:
    host.says(replace={"595.71.05": "535.247.01", "595.71": "535.247", "13.2": "12.2", "8.9": "6.1"})
    said = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n"
    nvcc = f"#!/bin/sh\ncat <<E\n{said}E\n"
    host.does("mkdir -p /usr/local/cuda/bin", "rm -r /usr/local/cuda")
    host.host.run("cat > /usr/local/cuda/bin/nvcc; chmod 755 /usr/local/cuda/bin/nvcc", input=nvcc)
    provider = LLAMA.format(model='lab_model("native.gguf")', options="threads=1").replace(
        "build=cuda", 'build=cuda.model_copy(update={"cuda_toolkit": "installed"})'
    )
    compiled = "llama.cpp is to be compiled with CUDA 13.0 of the host, "
    assert refusals(host, tmp_path, provider) == [
        f"{compiled}and its driver (535.247) runs CUDA 12 at most: install a newer driver and reboot, or an older "
        "toolkit",
        f"{compiled}which no longer knows {RTX_4080} ({CARD}, compute capability 6.1): install an older toolkit, or "
        "take another card",
    ]


def test_models_that_do_not_fit_the_card(host: CardHost, tmp_path: Path) -> None:
    host.says()
    shape = Hollow(
        width=4096, layers=32, heads=32, key_value_heads=8, feed_forward=14336, vocabulary=128_256, trained=131_072
    )
    model = write_hollow(tmp_path / "model.gguf", shape)
    provider = LLAMA.format(model=f'LocalFile(path={str(model)!r}, sha256="0" * 64)', options="context_size=131072")
    (told,) = refusals(host, tmp_path, provider)
    assert told.startswith(f"the models do not fit on {CARD}:")
    assert 'LlamaServer "own" m' in told
    assert "a context of at most " in told


def test_a_disk_that_is_too_small(host: CardHost, tmp_path: Path) -> None:
    host.says()
    host.does(
        "mkdir -p /opt/ai-backend; mount -t tmpfs -o size=3G shown /opt/ai-backend",
        "umount /opt/ai-backend; rmdir /opt/ai-backend",
    )
    (told,) = refusals(host, tmp_path)
    assert re.fullmatch(
        r"/opt/ai-backend needs \d+ MB for what is to be installed, and 32\d\d MB are free: make room "
        r"\(deploys/prune.py frees what is no longer used\), or mount a larger disk there",
        told,
    )


def without_driver(host: CardHost) -> None:
    host.has_card(driver="nouveau")


def nouveau(host: CardHost) -> None:
    host.says("no_driver")
    host.has_card(driver="nouveau")
    host.has_module("updates/dkms/nvidia-current.ko", "code")


def set_aside(host: CardHost) -> None:
    host.has_card(driver="vfio-pci")


def not_reloaded(host: CardHost) -> None:
    host.says("mismatch")
    host.drives("mismatch")
    host.has_card()


def without_device_files(host: CardHost) -> None:
    host.says("no_driver")
    host.drives("one_card")
    host.has_card()


@pytest.mark.parametrize(
    ("made", "told"),
    [
        pytest.param(
            without_driver,
            f"{NO_CARD}there is an NVIDIA card (0000:01:00.0) and no driver of NVIDIA, only nouveau, with which "
            "nothing can compute: install the driver and its tools, and reboot",
            id="no driver",
        ),
        pytest.param(
            nouveau,
            f"{NO_CARD}the NVIDIA driver is installed, and nouveau still has the card: reboot",
            id="not rebooted",
        ),
        pytest.param(
            set_aside,
            f"{NO_CARD}its NVIDIA card (0000:01:00.0) is set aside for virtual machines (vfio-pci): deploy to the "
            "machine",
            id="set aside for virtual machines",
        ),
        pytest.param(
            not_reloaded,
            f"{NO_CARD}the NVIDIA driver was upgraded and not reloaded (the kernel runs 580.173.02, the library is "
            "580.178): reboot",
            id="upgraded and not rebooted",
        ),
        pytest.param(
            without_device_files,
            f"{NO_CARD}the NVIDIA driver runs, and its device files /dev/nvidia* cannot be used here (there is no "
            "/dev/nvidiactl). In a container its host has to pass them",
            id="a container without device files",
        ),
        pytest.param(
            lambda host: host.says("mig"),
            f"NVIDIA H100 80GB HBM3 ({CARD}) cannot be used: it is divided by MIG, and only whole cards are given out: "
            "`nvidia-smi -i 0 -mig 0` as root, then reboot",
            id="MIG",
        ),
        pytest.param(
            lambda host: host.says(replace={"P8, 43": "P8, 43, Exclusive_Process"}),
            f"{RTX_4080} ({CARD}) is in the compute mode Exclusive_Process, for one process alone, and 4 servers share "
            f"it: `nvidia-smi -i {CARD} -c 0` as root",
            id="for one process",
        ),
        pytest.param(
            lambda host: host.reads("/run/systemd/container", "wsl\n"),
            "it runs in WSL, which hands out cards by /dev/dxg",
            id="WSL",
        ),
    ],
)
@pytest.mark.soak_only
def test_other_hosts_whose_card_cannot_be_used(
    host: CardHost, tmp_path: Path, made: Callable[[CardHost], None], told: str
) -> None:
    made(host)
    (found,) = refusals(host, tmp_path)
    assert found.startswith(told)
