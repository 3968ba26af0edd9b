"""A host whose driver says what a real one was recorded to say: refused without it, waited for after boot.

There is no card, and nothing is computed on one: what is claimed is what units and deploys make of the driver's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, main_pids, verdict
from tests.lab.ollama import ollama_release
from tests.labhost import Lab, LabError, LabHost
from tests.labhost.paths import REPOSITORY

RECORDING = REPOSITORY / "tests/unit/gpu_recordings/one_card"
CARD = "GPU-00000000-0000-0000-0000-000000000000"
GPU_UNIT, SERVER = "ai-backend-gpu.service", "ollama.service"

STACK = """
from roles.ollama import *
from roles.options import Gpus

provider = Ollama(
    release=OllamaRelease(**{release!r}),
    models=[OllamaModel(name="made:latest", gguf=lab_model("ollama.gguf"))],
    gpus=Gpus(uuids=[{card!r}], wait=30),
)
hosts = [lab_host(Stack(
    providers=[provider],
    routes=[Route(name="made:latest", deployments=[Deployment(provider="ollama")])],
    gateway=LiteLLM(bind="0.0.0.0"),
))]
"""

NVIDIA_SMI = """#!/bin/sh
# Prints what was recorded, but in the first seconds after boot what a driver says that is not there yet.
[ -e /run/driver-begins ] || touch /run/driver-begins
if [ $(( $(date +%s) - $(stat -c %Y /run/driver-begins) )) -lt {seconds} ]; then
    echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    exit 9
fi
case "$*" in
--query-gpu=*utilization.gpu*) tail -n +2 /opt/recording/query-metrics ;;
--query-gpu=*) cat /opt/recording/query-gpu ;;
--query-compute-apps=*)
    cat /opt/recording/query-compute-apps
    echo
    # What the server would hold of its card, had it any: all of its processes do, or none.
    [ -e /opt/recording/on-the-processor ] ||
        sed "s/.*/{card}, &, 300, ollama/" /sys/fs/cgroup/systemd/system.slice/ollama.service/cgroup.procs 2>/dev/null
    ;;
--version) cat /opt/recording/version ;;
esac
exit "$(cat /opt/recording/status 2>/dev/null || echo 0)"
"""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    """A host that the stack was not deployed to yet."""
    return new_module_host("gpu", prepared=True)


@pytest.fixture
def inventory(lab: Lab, tmp_path: Path) -> Path:
    release = ollama_release(lab).model_dump(exclude_none=True)
    return inventory_file(tmp_path, STACK.format(release=release, card=CARD))


def install_driver(
    host: LabHost, seconds: int, *, recording: Path = RECORDING, replace: Mapping[str, str] | None = None
) -> None:
    """A driver's program that works from so many seconds after boot on.

    Args:
        replace: words of the recording → others.
    """
    host.run("rm -rf /opt/recording; mkdir -p /opt/recording")
    for path in recording.iterdir():
        if path.is_file():
            text = path.read_text()
            for old, new in (replace or {}).items():
                text = text.replace(old, new)
            host.run(f"cat > /opt/recording/{path.name}", input=text)
    script = NVIDIA_SMI.format(seconds=seconds, card=CARD)
    # /run is made anew at boot, and units may not write there: the time counts from the first question of root.
    host.run("cat > /usr/local/bin/nvidia-smi && chmod 755 /usr/local/bin/nvidia-smi", input=script)


def test_a_host_without_a_driver_is_refused(host: LabHost, inventory: Path) -> None:
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert "the stack needs an NVIDIA GPU: no such card and driver is found" in run.output
    assert host.run("ls /etc/ai-backend", check=False).returncode != 0


def test_the_service_gets_its_card_by_uuid_and_its_device_files(host: LabHost, inventory: Path) -> None:
    install_driver(host, seconds=0)
    deploy(host, inventory=inventory).must_pass()
    assert failures(verdict(host)) == []
    pid = main_pids(host, [SERVER])[SERVER]
    assert f"CUDA_VISIBLE_DEVICES={CARD}" in host.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").stdout
    policy = host.run(f"systemctl show -p DevicePolicy -p DeviceAllow -p PrivateDevices {SERVER}").stdout
    assert "DevicePolicy=closed" in policy
    assert "DeviceAllow=char-nvidia* rw" in policy
    assert "PrivateDevices=no" in policy
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_a_server_that_holds_nothing_of_its_card_is_red(host: LabHost) -> None:
    host.run("touch /opt/recording/on-the-processor")
    found = failures(verdict(host))
    host.run("rm /opt/recording/on-the-processor")
    card = "GPU 0 (NVIDIA GeForce RTX 4080 SUPER)"
    told = f"no memory of {card}: it computes on the processor, or nothing is loaded"
    assert found == [f"unit/{SERVER}/gpu-memory: {told}"]
    assert failures(verdict(host)) == []


def test_after_boot_services_wait_for_the_card_and_say_so(host: LabHost) -> None:
    install_driver(host, seconds=6)
    host.reboot()
    assert failures(verdict(host)) == []
    said = host.run(f"journalctl -b -u {GPU_UNIT} -o cat --no-pager").stdout
    assert "waiting for the GPU, 0 of at most 30 s: " in said
    assert f"the GPU is ready (GPU 0 (NVIDIA GeForce RTX 4080 SUPER, {CARD}))" in said
    times = "for unit in {} {}; do systemctl show -P ActiveEnterTimestampMonotonic $unit; done"
    ready, started = host.run(times.format(GPU_UNIT, SERVER)).stdout.split()
    assert int(ready) <= int(started)


def test_the_wait_ends_and_the_verdict_names_it(host: LabHost, inventory: Path) -> None:
    install_driver(host, seconds=10_000)
    with pytest.raises(LabError, match=f"boots, but with failed units: {GPU_UNIT}"):
        host.reboot()
    found = verdict(host)
    assert any(failure.startswith(f"unit/{GPU_UNIT}/done: failed") for failure in failures(found))
    said = host.run(f"journalctl -b -u {GPU_UNIT} -o cat --no-pager").stdout
    assert "waited 30 s for the GPU: " in said
    run = deploy(host, inventory=inventory)
    assert run.status == 1
    assert "the stack needs an NVIDIA GPU: " in run.output
    install_driver(host, seconds=0)
    deploy(host, inventory=inventory).must_pass()
    assert failures(verdict(host)) == []
