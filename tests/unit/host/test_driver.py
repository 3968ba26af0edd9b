"""What a deploy does about the driver, told from what is wanted and what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roles.contract.driver import DriverRecord, DriverState
from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.driver import DriverSteps, driver_problems, driver_request, driver_steps, not_loaded
from roles.host.pending import unmet_needs
from roles.options import Gpus, NvidiaDriver, Outbound, Stack, UrlFile
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import CUDA_BUILD, PLATFORM, converged_state, native, route, small_stack, vllm

KERNEL = "6.1.0-56-amd64"
VERSION = "535.309.01"
FRESH = DriverState(
    boot="b1",
    container=False,
    headers="linux-headers-amd64",
    installed={},
    held=(),
    builders=(),
    version=None,
    built=(),
    next_kernel=KERNEL,
    loaded=None,
    card=True,
    problem="there is an NVIDIA card and no nvidia-smi on PATH",
    key_refused=False,
    own_installer=None,
    record=None,
)
PACKAGES = ("libcuda1", "libnvidia-ml1", "nvidia-kernel-dkms", "nvidia-smi")
RUNS = replace(
    FRESH,
    installed={
        **dict.fromkeys(PACKAGES, f"{VERSION}-0+deb12u1"),
        "linux-headers-amd64": "6.1.192-2",
        "nvidia-kernel-common": "20220217+3~deb12u1",
        "nvidia-container-toolkit": "1.17.8-1",
    },
    held=PACKAGES,
    builders=("nvidia-kernel-dkms",),
    version=VERSION,
    built=(KERNEL,),
    loaded=VERSION,
    problem=None,
    record=DriverRecord(source="debian", boot="b0", held=PACKAGES),
)
"""Debian's, installed in the boot before, held, and loaded."""


def test_on_a_bare_host_the_driver_is_installed_with_headers_and_the_host_rebooted() -> None:
    steps = driver_steps(NvidiaDriver(), FRESH)
    assert steps.packages == ("nvidia-kernel-dkms", "nvidia-smi", "libcuda1", "linux-headers-amd64")
    assert steps.lines == (
        "install the NVIDIA driver, as nvidia-kernel-dkms nvidia-smi libcuda1 linux-headers-amd64 are not installed",
        "reboot, for the NVIDIA driver to be loaded, and go on afterwards",
    )


def test_nothing_is_to_be_done_on_a_host_that_runs_it() -> None:
    assert driver_steps(NvidiaDriver(), RUNS) == DriverSteps()
    assert driver_steps(None, replace(RUNS, record=None)) == DriverSteps()


def test_what_was_installed_in_this_boot_is_not_loaded_yet_whoever_was_killed_since() -> None:
    record = DriverRecord(source="debian", boot="b1", held=PACKAGES)
    steps = driver_steps(NvidiaDriver(), replace(RUNS, loaded=None, record=record))
    assert steps == DriverSteps(reboot=True)
    assert steps.comes


@pytest.mark.parametrize(
    ("driver", "found", "reason"),
    [
        pytest.param(
            NvidiaDriver(version="535.261"), RUNS, "it is 535.309.01, and 535.261 is wanted", id="another version"
        ),
        pytest.param(
            NvidiaDriver(version="535.30"), RUNS, "it is 535.309.01, and 535.30 is wanted", id="one that begins alike"
        ),
        pytest.param(
            NvidiaDriver(),
            replace(RUNS, next_kernel="6.1.0-60-amd64"),
            "it has no module for 6.1.0-60-amd64, the kernel that the next boot starts",
            id="a kernel without headers came",
        ),
        pytest.param(
            NvidiaDriver(),
            replace(RUNS, container=True, next_kernel=None, built=()),
            "its module is not built",
            id="a container, and the build was killed",
        ),
    ],
)
def test_a_deviation_is_a_reason_to_install(driver: NvidiaDriver, found: DriverState, reason: str) -> None:
    assert driver_steps(driver, found).install == (reason,)


def test_a_branch_is_enough_of_a_version() -> None:
    record = DriverRecord(source="debian", version="535", boot="b0", held=PACKAGES)
    assert driver_steps(NvidiaDriver(version="535"), replace(RUNS, record=record)) == DriverSteps()


def test_the_driver_alone_is_held_and_not_what_only_has_its_name() -> None:
    steps = driver_steps(NvidiaDriver(), replace(RUNS, held=(), record=None))
    assert steps.settle == (f"hold {' '.join(PACKAGES)}",)
    assert not steps.comes


def test_what_we_held_is_let_go_and_what_others_held_stays() -> None:
    found = replace(RUNS, record=DriverRecord(source="debian", boot="b0", held=("nvidia-smi",)))
    assert driver_steps(NvidiaDriver(hold=False), found).settle == ("no longer hold nvidia-smi",)
    assert driver_steps(NvidiaDriver(hold=False), replace(found, record=None)) == DriverSteps()


def test_without_the_option_our_traces_go_and_nothing_else() -> None:
    steps = driver_steps(None, RUNS)
    assert steps == DriverSteps(leave=True)
    assert steps.lines == ("let go of the NVIDIA driver: hold it no longer; its packages stay",)


def test_one_that_is_there_is_only_held() -> None:
    found = replace(RUNS, builders=("nvidia-open-kernel-dkms",), held=(), record=None)
    steps = driver_steps(NvidiaDriver(source="installed"), found)
    assert steps == DriverSteps(settle=(f"hold {' '.join(PACKAGES)}",))


def test_another_version_in_the_inventory_that_fits_changes_only_what_apt_prefers() -> None:
    steps = driver_steps(NvidiaDriver(version="535"), RUNS)
    assert steps == DriverSteps(settle=("change where apt has the NVIDIA driver from, and in which version",))


def test_nvidias_own_packages_come_from_its_repository() -> None:
    key = UrlFile(url="https://nvidia.example.com/d/key.pub", sha256="a" * 64)
    driver = NvidiaDriver(source="nvidia", repository="https://nvidia.example.com/d", key=key, version="580")
    plan = plan_of(small_stack(driver=driver, providers=[vllm()], routes=[route("v", "vllm")], aliases={}))
    request = driver_request(plan, driver_steps(driver, FRESH))
    assert request.packages == ("nvidia-open", "linux-headers-amd64")
    assert request.key
    assert (request.repository, request.key.sha256) == ("https://nvidia.example.com/d", "a" * 64)
    assert (request.oldest, request.oldest_for) == ("580", "vLLM 0.32.0, which is built for CUDA 13,")
    assert request.way_out is None


def test_its_packages_are_fetched_as_all_else_is() -> None:
    stack = small_stack(driver=NvidiaDriver(), outbound=Outbound(proxy="http://proxy.example.com:3128"))
    request = driver_request(plan_of(stack), driver_steps(NvidiaDriver(), FRESH))
    assert request.way_out
    assert request.way_out.proxy == "http://proxy.example.com:3128"


def problems(found: DriverState, driver: NvidiaDriver | None = None, **options: Any) -> list[str]:
    plan = plan_of(small_stack(driver=driver or NvidiaDriver(), **options))
    state = read(HostState, converged_state(plan, resolve(plan, PLATFORM, reveal=lambda _: "x" * 20)))
    return driver_problems(plan, state, found, driver_steps(plan.driver, found))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(
            replace(FRESH, key_refused=True), "Secure Boot is on, and the firmware knows no key", id="Secure Boot"
        ),
        pytest.param(
            replace(FRESH, own_installer="/usr/bin/nvidia-uninstall"),
            "run /usr/bin/nvidia-uninstall as root",
            id="NVIDIA's own installer was used",
        ),
        pytest.param(
            replace(FRESH, container=True, loaded="570.86.15"),
            "the machine around it runs driver 570.86.15",
            id="a container with a card",
        ),
        pytest.param(
            replace(
                FRESH,
                builders=("nvidia-open-kernel-dkms",),
                installed={"nvidia-open-kernel-dkms": "535.261.03-1"},
                version="535.261.03",
            ),
            'another driver already, nvidia-open-kernel-dkms 535.261.03: take source="installed" to keep it',
            id="another driver is there",
        ),
    ],
)
def test_what_packages_cannot_replace_is_refused_before_anything_changes(found: DriverState, told: str) -> None:
    (problem,) = problems(found)
    assert told in problem


def test_nothing_is_refused_where_nothing_is_to_be_installed() -> None:
    assert problems(replace(RUNS, key_refused=True, container=True)) == []


def test_a_container_without_a_card_may_have_it() -> None:
    assert problems(replace(FRESH, container=True, card=False, next_kernel=None, problem=None)) == []


def test_one_that_is_not_there_cannot_be_held() -> None:
    (problem,) = problems(FRESH, NvidiaDriver(source="installed"))
    assert 'source="installed"), and no package of a driver is there' in problem


@pytest.mark.parametrize(("version", "refused"), [("535", True), ("580", False), ("580.95.05", False)])
def test_a_version_that_is_too_old_for_the_stack_is_refused(version: str, refused: bool) -> None:
    providers: dict[str, Any] = {"providers": [vllm()], "routes": [route("v", "vllm")], "aliases": {}}
    found = problems(FRESH, NvidiaDriver(version=version), **providers)
    assert bool(found) == refused
    assert all("needs NVIDIA driver 580 or newer, and the stack's `driver` has version 535" in each for each in found)


def test_cards_are_judged_with_the_driver_that_comes_and_not_without() -> None:
    stack: Stack = small_stack(
        driver=NvidiaDriver(), providers=[native(build=CUDA_BUILD, gpus=Gpus())], routes=[route("n", "native")]
    )
    plan = plan_of(stack)
    generation = resolve(plan, PLATFORM)
    state = read(HostState, converged_state(plan, generation))
    assert "the stack needs an NVIDIA GPU" in unmet_needs(plan, generation, state)[0]
    assert unmet_needs(plan, generation, state, new_driver=True) == []


def test_after_the_reboot_a_card_needs_a_driver_and_no_card_needs_none() -> None:
    assert not_loaded(replace(RUNS, problem="the kernel module `nvidia` is not loaded")) == [
        "the kernel module `nvidia` is not loaded"
    ]
    assert not_loaded(RUNS) == []
    assert not_loaded(replace(RUNS, card=False, loaded=None, problem=None)) == []
