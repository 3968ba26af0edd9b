"""The GPU facts and the wait: the real program on what real hosts said (`gpu_recordings/README.md`)."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roles.host.programs.gpu.cards import Facts, cuda_architectures
from roles.host.programs.gpu.facts import facts
from roles.host.programs.gpu.wait import LAST_LOOK_SECONDS, GpuError, wait
from roles.options import Gpus, UserScope
from roles.options.stack import SystemScope
from roles.plan.gpu_unit import gpu_files
from roles.rooms import plan_of
from tests.gpu_program import write_gpu_program
from tests.labhost.paths import REPOSITORY
from tests.stacks import CUDA_BUILD, native, python, route, small_stack, user_scope, vllm

RECORDINGS = REPOSITORY / "tests/unit/gpu_recordings"
CARD = "GPU-00000000-0000-0000-0000-000000000000"
OTHER = "GPU-00000000-0000-0000-0000-000000000001"
MIB = 1 << 20

_NVIDIA_SMI = """#!/bin/sh
# Prints what was recorded; each `--query-gpu` goes on to the next case, and the last one stays.
cases={cases}
case "$*" in
--query-gpu=*)
    name=query-gpu
    [ -e "$cases/$(($(cat "$cases/now") + 1))" ] && echo $(($(cat "$cases/now") + 1)) >"$cases/now"
    ;;
--query-compute-apps=*) name=query-compute-apps ;;
--version) name=version ;;
esac
now="$cases/$(cat "$cases/now")"
cat "$now/$name"
exit "$(cat "$now/status" 2>/dev/null || echo 0)"
"""


class Host:
    """A host that says what was recorded, one case after the other. `root` has a PCI card and CUDA's device file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._bin, self.cases = folder / "root", folder / "bin", folder / "cases"
        self._bin.mkdir()
        monkeypatch.setenv("PATH", f"{self._bin}:/usr/bin:/bin")

    def says(self, *cases: str) -> Host:
        self.cases.mkdir()
        (self.cases / "now").write_text("0\n")
        for number, case in enumerate(cases, start=1):
            (self.cases / str(number)).symlink_to(RECORDINGS / case)
        self.nvidia_smi(_NVIDIA_SMI.format(cases=self.cases))
        return self.is_like(cases[0])

    def is_like(self, case: str) -> Host:
        if (RECORDINGS / case / "root").exists():
            shutil.copytree(RECORDINGS / case / "root", self.root, dirs_exist_ok=True)
        return self

    def nvidia_smi(self, script: str) -> None:
        program = self._bin / "nvidia-smi"
        program.write_text(script)
        program.chmod(0o755)

    def has_card(self, vendor: str = "0x10de", driver: str = "nvidia") -> Host:
        device = self.root / "sys/bus/pci/devices/0000:01:00.0"
        device.mkdir(parents=True, exist_ok=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text("0x030000\n")
        if driver and not (device / "driver").is_symlink():
            (device / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        return self

    def has_device_file(self) -> Host:
        (self.root / "dev").mkdir(parents=True)
        (self.root / "dev/nvidia-uvm").touch()
        return self

    def facts(self) -> Facts:
        return facts(self.root)

    def wait(self, *uuids: str, free_share: float | None = None, timeout: float = 10, vendor: str = "nvidia") -> None:
        wait(vendor, list(uuids), free_share, timeout, root=self.root, poll=0.01, notice=0)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_host_without_a_gpu_has_none_and_no_problem(host: Host) -> None:
    assert host.facts() == {
        "vendor": None,
        "driver": {"kernel": None, "library": None, "cuda": None, "agree": True},
        "cards": [],
        "problem": None,
    }


def test_a_card_is_read_with_its_driver_and_who_uses_it(host: Host) -> None:
    assert host.says("one_card").facts() == {
        "vendor": "nvidia",
        "driver": {"kernel": "595.71.05", "library": "595.71", "cuda": "13.2", "agree": True},
        "cards": [
            {
                "index": 0,
                "uuid": CARD,
                "name": "NVIDIA GeForce RTX 4080 SUPER",
                "memory_total": (16376 - 434) * MIB,
                "memory_free": 15348 * MIB,
                "compute_capability": "8.9",
                "pci": "00000000:01:00.0",
                "problem": None,
                "exclusive": False,
                "processes": [{"pid": 2165, "name": "/usr/bin/kwin_wayland", "memory": 25 * MIB}],
            }
        ],
        "problem": None,
    }


def test_memory_is_counted_as_cuda_counts_it(host: Host) -> None:
    """The bytes are what CUDA said on the recorded machine at that moment; the driver's tool rounds to MiB."""
    found = host.says("h100_held").facts()
    (card,) = found["cards"]
    assert card["memory_total"] == 85017493504
    assert card["memory_free"] is not None
    assert abs(card["memory_free"] - 62990254080) < MIB
    assert card["processes"] == [{"pid": 491, "name": "python3", "memory": 20998 * MIB}]
    assert found["driver"] == {"kernel": "580.159.04", "library": "580.159", "cuda": "13.0", "agree": True}
    assert cuda_architectures(found) == "90"


@pytest.mark.parametrize("case", ["memory_freed", "h100_idle"])
def test_an_idle_card_counts_as_wholly_free_although_the_driver_keeps_some_of_it(host: Host, case: str) -> None:
    (card,) = host.says(case).facts()["cards"]
    assert card["memory_total"] is not None
    assert card["memory_free"] is not None
    assert abs(card["memory_total"] - card["memory_free"]) <= MIB


def test_the_labels_of_newer_drivers_are_understood(host: Host) -> None:
    driver = host.says("new_labels").facts()["driver"]
    assert (driver["library"], driver["cuda"]) == ("610.57", "13.3")


def test_different_cards_are_told_apart_and_compiled_for(host: Host) -> None:
    found = host.says("two_cards").facts()
    assert [(card["index"], card["compute_capability"]) for card in found["cards"]] == [(0, "12.0"), (1, "8.6")]
    assert cuda_architectures(found) == "86;120"


def test_processes_are_those_of_their_card(host: Host) -> None:
    found = host.says("lost").facts()
    assert [[process["name"] for process in card["processes"]] for card in found["cards"]] == [
        ["VLLM::Worker_TP1"],
        ["VLLM::Worker_TP0"],
        [],
    ]


def test_processes_of_others_have_no_name_unless_proc_tells_it(host: Host) -> None:
    (host.root / "proc/20037").mkdir(parents=True)
    (host.root / "proc/20037/comm").write_text("ffmpeg\n")
    (card,) = host.says("hidden_processes").facts()["cards"]
    assert card["processes"] == [
        {"pid": 20037, "name": "ffmpeg", "memory": 538 * MIB},
        {"pid": 20038, "name": None, "memory": None},
    ]


def test_a_card_that_shares_the_systems_memory_has_what_is_available_of_it(host: Host) -> None:
    (card,) = host.says("unified_memory").facts()["cards"]
    assert (card["memory_total"], card["memory_free"]) == (127600748 * 1024, 118566368 * 1024)
    assert (card["problem"], card["compute_capability"]) == (None, "12.1")


@pytest.mark.parametrize(
    ("case", "cause", "fix"),
    [
        ("mig", "divided by MIG", "nvidia-smi -i 0 -mig 0"),
        ("needs_reset", "[GPU requires reset]", "nvidia-smi -r -i 0"),
    ],
)
def test_a_card_that_can_not_be_used_says_why_and_how_to_fix_it(host: Host, case: str, cause: str, fix: str) -> None:
    found = host.says(case).facts()
    problem = found["cards"][0]["problem"] or ""
    assert cause in problem
    assert fix in problem
    assert found["problem"] is None


@pytest.mark.parametrize(
    ("case", "cause", "fix"),
    [
        pytest.param(
            "mismatch",
            "upgraded and not reloaded (the kernel runs 580.173.02, the library is 580.178)",
            "reboot",
            id="mismatch",
        ),
        pytest.param("no_driver", "`nvidia` is not loaded", "modprobe nvidia", id="no_driver"),
        pytest.param("no_devices", "no card answers", "journalctl -k -g NVRM", id="no_devices"),
        pytest.param("lost", "GPU1: 0000:34:00.0: Unknown Error", "Power the host off and on", id="lost"),
        pytest.param("not_permitted", "may not be opened", "start it again", id="not_permitted"),
        pytest.param("old_driver", 'Field "compute_cap" is not a valid field', "driver 525 or newer", id="old_driver"),
    ],
)
def test_a_host_whose_driver_fails_says_why_and_how_to_fix_it(host: Host, case: str, cause: str, fix: str) -> None:
    found = host.says(case).has_card().facts()
    assert found["vendor"] == "nvidia"
    assert cause in (found["problem"] or "")
    assert fix in (found["problem"] or "")


_KERNEL = "6.1.0-40-amd64"
_SIGNED = b"\x7fELF code~Module signature appended~\n"
_MODULE = "updates/dkms/nvidia-current.ko"


def _with_modules(host: Host, modules: dict[str, bytes], *, secure_boot: bool) -> str:
    """What is told of a card whose module is not loaded, on a kernel with these modules."""
    folder = host.root / "lib/modules" / _KERNEL
    variable = host.root / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    files = {host.root / "proc/sys/kernel/osrelease": f"{_KERNEL}\n".encode(), folder / "modules.dep": b""}
    files |= {folder / name: content for name, content in modules.items()}
    files[variable] = b"\x06\x00\x00\x00" + (b"\x01" if secure_boot else b"\x00")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return host.says("no_driver").has_card().facts()["problem"] or ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(_MODULE, b"\x7fELF code", id="plain"),
        pytest.param(f"{_MODULE}.xz", lzma.compress(b"\x7fELF code"), id="xz, as in Debian 13"),
        pytest.param(f"{_MODULE}.gz", gzip.compress(b"\x7fELF code"), id="gz"),
        pytest.param("updates/dkms/nvidia.ko", b"\x7fELF code", id="NVIDIA's own name"),
    ],
)
def test_secure_boot_with_an_unsigned_module_is_named_with_the_fix(host: Host, name: str, content: bytes) -> None:
    problem = _with_modules(host, {name: content}, secure_boot=True)
    assert f"/lib/modules/{_KERNEL}/{name} is not signed" in problem
    assert "mokutil --import /var/lib/dkms/mok.pub" in problem


@pytest.mark.parametrize(
    ("modules", "secure_boot", "told"),
    [
        pytest.param({_MODULE: _SIGNED}, True, "`nvidia` is not loaded", id="signed"),
        pytest.param({_MODULE: b"\x7fELF code"}, False, "`nvidia` is not loaded", id="Secure Boot is off"),
        pytest.param({f"{_MODULE}.zst": b"(\xb5/\xfd"}, True, "`nvidia` is not loaded", id="not to be read here"),
        pytest.param({}, True, f"no kernel module `nvidia` for the running kernel {_KERNEL}", id="none was built"),
    ],
)
def test_other_causes_are_not_blamed_on_secure_boot(
    host: Host, modules: dict[str, bytes], secure_boot: bool, told: str
) -> None:
    problem = _with_modules(host, modules, secure_boot=secure_boot)
    assert told in problem
    assert "is not signed" not in problem


def test_versions_that_differ_do_not_agree(host: Host) -> None:
    driver = host.says("mismatch").facts()["driver"]
    assert driver == {"kernel": "580.173.02", "library": "580.178", "cuda": None, "agree": False}


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        pytest.param("", "an NVIDIA card (0000:01:00.0) and no driver of NVIDIA: install the driver", id="none"),
        pytest.param("nouveau", "only nouveau, with which nothing can compute: install the driver", id="nouveau"),
    ],
)
def test_a_card_without_its_driver_is_noticed(host: Host, driver: str, told: str) -> None:
    found = host.has_card(driver=driver).facts()
    assert found["vendor"] == "nvidia"
    assert told in (found["problem"] or "")


def test_a_driver_without_its_tools_is_noticed(host: Host) -> None:
    found = host.has_card().is_like("one_card").facts()
    assert found["vendor"] == "nvidia"
    assert "the NVIDIA driver 595.71.05 runs, and there is no nvidia-smi on PATH" in (found["problem"] or "")
    assert "nvidia-utils-<branch>" in (found["problem"] or "")


@pytest.mark.parametrize(("vendor", "name"), [("0x10de", "NVIDIA"), ("0x1002", "AMD")])
def test_a_card_that_was_set_aside_for_a_virtual_machine_is_none_of_the_hosts(
    host: Host, vendor: str, name: str
) -> None:
    found = host.has_card(vendor, driver="vfio-pci").facts()
    assert found["vendor"] is None
    told = f"its {name} card (0000:01:00.0) is set aside for virtual machines (vfio-pci): deploy to the machine that"
    assert (found["problem"] or "").startswith(told)


@pytest.mark.parametrize("driver", ["amdgpu", ""])
def test_an_amd_card_that_the_kernel_does_not_offer_for_computing_is_told(host: Host, driver: str) -> None:
    found = host.has_card("0x1002", driver=driver).facts()
    assert found["vendor"] == "amd"
    assert f"(0000:01:00.0, driver: {driver or 'none'}) for computing (/sys/class/kfd)" in (found["problem"] or "")


def test_a_card_of_no_vendor_that_is_known_is_none(host: Host) -> None:
    found = host.has_card("0x8086", driver="i915").facts()
    assert (found["vendor"], found["problem"]) == (None, None)


def test_a_jetson_is_told(host: Host) -> None:
    compatible = host.root / "proc/device-tree/compatible"
    compatible.parent.mkdir(parents=True)
    compatible.write_bytes(b"nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0")
    assert "it is a Jetson" in (host.facts()["problem"] or "")


def test_a_driver_that_is_installed_and_not_rebooted_into_is_told(host: Host) -> None:
    host.has_card(driver="nouveau")
    problem = _with_modules(host, {_MODULE: _SIGNED}, secure_boot=False)
    assert "the NVIDIA driver is installed, and nouveau still has the card: reboot" in problem
    assert "echo blacklist nouveau > /etc/modprobe.d/no-nouveau.conf" in problem


@pytest.mark.parametrize(
    ("line", "bars"),
    [
        ("blacklist nvidia", True),
        ("alias nvidia off", True),
        ("install nvidia /bin/false", True),
        ("  blacklist   nvidia  ", True),
        ("# blacklist nvidia", False),
        ("blacklist nvidiafb", False),
        ("blacklist nouveau", False),
        ("alias nvidia nvidia-current", False),
        pytest.param("install nvidia modprobe -i nvidia-current $CMDLINE_OPTS", False, id="as Debian loads it"),
    ],
)
def test_a_module_that_is_barred_is_told_with_the_file(host: Host, line: str, bars: bool) -> None:
    folder = host.root / "lib/modprobe.d"
    folder.mkdir(parents=True)
    (folder / "blacklist-nvidia.conf").write_text(f"# written by prime-select\n{line}\n")
    problem = _with_modules(host, {_MODULE: _SIGNED}, secure_boot=False)
    assert ("/lib/modprobe.d/blacklist-nvidia.conf keeps the kernel from loading" in problem) == bars


def test_a_container_without_the_device_files_is_told(host: Host) -> None:
    """The kernel, which all containers share, runs the driver; the recording of `no_driver` is what they read too."""
    host.has_card().is_like("one_card")
    problem = host.says("no_driver").is_like("one_card").facts()["problem"] or ""
    assert "its device files /dev/nvidia* cannot be used here (there is no /dev/nvidiactl). In a container" in problem


@pytest.mark.parametrize(
    "error",
    ["Unknown Error", "GPU access blocked by the operating system"],
)
def test_device_files_that_may_not_be_used_are_told(host: Host, error: str) -> None:
    said = f"Failed to initialize NVML: {error}"
    host.has_card().nvidia_smi(f"#!/bin/sh\necho '{said}'\nexit 255\n")
    assert f"cannot be used here ({said})" in (host.facts()["problem"] or "")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        pytest.param(
            "NVIDIA UNIX Open Kernel Module for x86_64",
            "this is its open module, and cards before the RTX 20 series need",
            id="open",
        ),
        pytest.param(
            "NVIDIA UNIX x86_64 Kernel Module",
            "this is its closed module, and the RTX 50 series and later need the open",
            id="closed",
        ),
    ],
)
def test_a_module_of_the_other_kind_may_be_why_no_card_answers(host: Host, kind: str, told: str) -> None:
    host.says("no_devices")
    (host.root / "proc/driver/nvidia/version").write_text(f"NVRM version: {kind}  580.65.06  Release Build\n")
    assert told in (host.facts()["problem"] or "")


@pytest.mark.parametrize(
    ("mode", "problem", "exclusive"),
    [("Default", False, False), ("Exclusive_Process", False, True), ("Prohibited", True, False)],
)
def test_the_compute_mode_says_whom_a_card_lets_in(host: Host, mode: str, problem: bool, exclusive: bool) -> None:
    row = (RECORDINGS / "one_card/query-gpu").read_text().strip()
    host.has_card().nvidia_smi(f"#!/bin/sh\ncase $1 in --query-gpu=*) echo '{row}, {mode}' ;; esac\n")
    (card,) = host.facts()["cards"]
    assert ("`nvidia-smi -i 0 -c 0` as root" in (card["problem"] or "")) == problem
    assert card["exclusive"] == exclusive


def test_the_drivers_tools_without_a_card_are_no_problem(host: Host) -> None:
    assert host.says("no_driver").facts()["vendor"] is None


def test_a_driver_that_hangs_is_given_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.host.programs.gpu.nvidia_smi.SMI_SECONDS", 0.2)
    # The grandchild keeps the output open, as a process that hangs in the kernel would.
    host.has_card().nvidia_smi("#!/bin/sh\nsleep 20 &\nwait\n")
    started = time.monotonic()
    problem = host.facts()["problem"]
    assert time.monotonic() - started < 5
    assert "does not answer" in (problem or "")


def test_words_nobody_has_seen_before_are_passed_on(host: Host) -> None:
    host.has_card().nvidia_smi("#!/bin/sh\necho the moon is in the wrong phase\nexit 3\n")
    assert "the moon is in the wrong phase" in (host.facts()["problem"] or "")


def test_an_amd_card_is_read_from_the_kernel_alone(host: Host) -> None:
    found = host.is_like("amd_one_card").facts()
    assert found == {
        "vendor": "amd",
        "driver": {"kernel": "6.12.12", "library": None, "cuda": None, "agree": True},
        "cards": [
            {
                "index": 0,
                "uuid": "GPU-a1ffc9d1799c317f",
                "name": "AMD GPU (gfx1100)",
                "memory_total": 25753026560,
                "memory_free": 25753026560 - 18811453440,
                "compute_capability": "gfx1100",
                "pci": "0000:86:00.0",
                "problem": None,
                "exclusive": False,
                "processes": [{"pid": 1598749, "name": "VLLM::EngineCor", "memory": 18790481920}],
            }
        ],
        "problem": None,
    }
    assert cuda_architectures(found) == "gfx1100"


def test_an_amd_stepping_is_a_hexadecimal_digit(host: Host) -> None:
    assert cuda_architectures(host.is_like("amd_instinct").facts()) == "gfx90a"


def test_the_wait_ends_at_once_when_the_card_is_there(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.says("one_card").has_card().has_device_file().wait(CARD, free_share=0.9)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"the GPU is ready \(GPU 0 \(NVIDIA GeForce RTX 4080 SUPER, {CARD}\)\), after \d+ s", line)


def test_the_wait_goes_on_until_the_driver_is_loaded(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.says("no_driver", "no_driver", "no_devices", "one_card").has_card().has_device_file().wait()
    lines = capsys.readouterr().out.splitlines()
    assert ["not loaded" in line for line in lines] == [True, True, False, False]
    assert "ready" in lines[-1]


def test_the_wait_goes_on_until_the_memory_is_free(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.says("memory_held", "memory_held", "memory_freed").wait(CARD, free_share=0.9)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "108.2 GiB of 139.8 GiB are free and 125.8 GiB are wanted; held by " in lines[0]
    assert "./gpu_burn (pid 10309, 27.6 GiB)" in lines[0]


def test_the_wait_ends_once_a_process_has_given_its_memory_back(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.says("h100_held", "h100_held", "h100_idle").has_card().has_device_file().wait(CARD, free_share=0.95)
    lines = capsys.readouterr().out.splitlines()
    assert "58.7 GiB of 79.2 GiB are free and 75.2 GiB are wanted; held by python3 (pid 491, 20.5 GiB)" in lines[0]
    assert "ready" in lines[-1]


def test_memory_that_is_held_does_not_matter_to_who_asks_for_no_share(host: Host) -> None:
    host.says("memory_held").wait(CARD)


def test_each_wanted_card_must_have_its_memory_free(host: Host) -> None:
    with pytest.raises(GpuError, match=r"GPU 0 .*; GPU 1 "):
        host.says("two_cards").wait(CARD, OTHER, free_share=0.9, timeout=0)


def test_a_wait_that_takes_too_long_says_for_what(host: Host) -> None:
    started = time.monotonic()
    with pytest.raises(GpuError, match=r"waited \d+ s for the GPU: .*held by .*gpu_burn.*Stop what holds it"):
        host.says("memory_held").wait(CARD, free_share=0.9, timeout=0.2)
    assert time.monotonic() - started >= 0.2


def test_the_last_look_tells_who_holds_the_memory_on_a_slow_host_too(host: Host) -> None:
    slow = _NVIDIA_SMI.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 1.5\n")
    host.says("memory_held").nvidia_smi(slow.format(cases=host.cases))
    with pytest.raises(GpuError, match=r"held by .*gpu_burn \(pid 10309, 27.6 GiB\)"):
        host.wait(CARD, free_share=0.9, timeout=0.1)


@pytest.mark.parametrize("hangs", ["--query-gpu=*", "--query-compute-apps=*", "--version", "*"])
def test_a_wait_ends_soon_after_its_time_whatever_hangs(
    host: Host, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    monkeypatch.setattr("roles.host.programs.gpu.wait.LAST_LOOK_SECONDS", 2.0)
    script = _NVIDIA_SMI.replace('case "$*" in\n', f'case "$*" in {hangs}) sleep 60 ;; esac\ncase "$*" in\n', 1)
    host.says("memory_held").has_card().has_device_file().nvidia_smi(script.format(cases=host.cases))
    started = time.monotonic()
    with pytest.raises(GpuError, match="driver hangs" if hangs in ("*", "--query-gpu=*") else "are wanted"):
        host.wait(CARD, free_share=0.9, timeout=0.2)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("scope", [SystemScope(), user_scope()], ids=["system", "user"])
def test_units_leave_a_wait_the_time_for_its_last_look(scope: SystemScope | UserScope) -> None:
    """Beside it, two seconds for a process that does not die, and for Python's start."""
    providers = [
        native(build=CUDA_BUILD, gpus=Gpus(uuids=[CARD], wait=40)),
        python(build=CUDA_BUILD, gpus=Gpus(uuids=[OTHER])),
        vllm(name="v"),
    ]
    routes = [route(provider.name, provider.name) for provider in providers]
    units = plan_of(small_stack(providers=providers, routes=routes, aliases={}, scope=scope)).units
    waiting = 0
    for unit in units:
        waits = [int(seconds) for seconds in re.findall(r"/bin/gpu wait .*--timeout (\d+)", unit.text)]
        if waits:
            (limit,) = re.findall(r"^TimeoutStartSec=(\d+)$", unit.text, re.MULTILINE)
            assert int(limit) >= sum(waits) + len(waits) * (LAST_LOOK_SECONDS + 2)
            waiting += len(waits)
    assert waiting == {"system": 4, "user": 3}["system" if isinstance(scope, SystemScope) else "user"]


def test_a_card_that_was_changed_is_named_beside_those_that_are_there(host: Host) -> None:
    with pytest.raises(GpuError, match=rf"{OTHER} is not among the cards of this host \(GPU 0 .*{CARD}"):
        host.says("one_card").wait(OTHER, timeout=0)


def test_a_divided_card_is_not_given_out_as_a_whole(host: Host) -> None:
    with pytest.raises(GpuError, match="divided by MIG"):
        host.says("mig").wait(timeout=0)


@pytest.mark.parametrize(("case", "cause"), [("mismatch", "reboot the host"), ("not_permitted", "start it again")])
def test_what_no_wait_fixes_is_not_waited_for(host: Host, case: str, cause: str) -> None:
    started = time.monotonic()
    with pytest.raises(GpuError, match=cause):
        host.says(case, "one_card").has_card().has_device_file().wait(timeout=60)
    assert time.monotonic() - started < 5


def test_a_card_without_cudas_device_file_is_not_ready(host: Host) -> None:
    with pytest.raises(GpuError, match=r"dev/nvidia-uvm .*nvidia-modprobe -u -c 0"):
        host.says("one_card").has_card().wait(timeout=0)


def test_a_card_on_no_pci_bus_needs_no_such_device_file(host: Host) -> None:
    host.says("unified_memory").wait(timeout=0)


def test_the_wait_asks_for_the_vendor_that_is_wanted(host: Host) -> None:
    host.is_like("amd_one_card").wait("GPU-a1ffc9d1799c317f", vendor="amd", free_share=0.2)
    with pytest.raises(GpuError, match="no NVIDIA card"):
        host.wait(timeout=0)


def test_an_amd_card_that_is_not_there_is_explained(host: Host) -> None:
    with pytest.raises(GpuError, match="modprobe amdgpu"):
        host.wait(vendor="amd", timeout=0)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """As a unit runs it: through a link to the generation, by a Python that knows nothing of this project."""
    write_gpu_program(tmp_path / "generation")
    (tmp_path / "config").symlink_to("generation")
    return tmp_path / "config/bin/gpu"


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, cwd="/")


def test_the_program_alone_prints_facts_as_json(host: Host, program: Path) -> None:
    host.says("one_card")
    assert json.loads(_run(program, "facts").stdout)["cards"][0]["uuid"] == CARD


def test_a_run_leaves_no_file_in_the_generation(host: Host, program: Path, tmp_path: Path) -> None:
    host.says("one_card")
    assert _run(program, "facts").returncode == 0
    generation = tmp_path / "generation"
    files = {str(path.relative_to(generation)) for path in generation.rglob("*") if path.is_file()}
    assert files == gpu_files().keys()


def test_the_program_alone_ends_with_one_message_and_status_1(host: Host, program: Path) -> None:
    host.says("mig")
    done = _run(program, "wait", "--vendor", "nvidia", "--uuid", OTHER, "--timeout", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert OTHER in done.stderr


def test_the_program_alone_ends_with_status_0_when_the_card_is_free(host: Host, program: Path) -> None:
    host.says("memory_freed")
    done = _run(program, "wait", "--vendor", "nvidia", "--uuid", CARD, "--free-share", "0.9", "--timeout", "0")
    assert (done.returncode, done.stderr) == (0, "")
