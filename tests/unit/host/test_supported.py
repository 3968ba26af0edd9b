"""Hosts that this is not made for are refused by name, before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from roles.contract.state import HostState
from roles.contract.wire import read
from roles.host.pending import unmet_needs
from roles.plan import resolve
from roles.rooms import plan_of
from tests.stacks import PLATFORM, converged_state, small_stack


def needs(platform: dict[str, str] | None = None, **changes: Any) -> list[str]:
    plan = plan_of(small_stack())
    generation = resolve(plan, PLATFORM)
    found = converged_state(plan, generation)
    found.update(changes)
    found["platform"] |= platform or {}
    return unmet_needs(plan, generation, read(HostState, found))


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("fedora-43", "Fedora Linux 43 (Server Edition)"),
        ("rhel-9.4", "Red Hat Enterprise Linux 9.4 (Plow)"),
        ("arch-rolling", "Arch Linux"),
        ("alpine-3.22.1", "Alpine Linux v3.22"),
        ("opensuse-leap-15.6", "openSUSE Leap 15.6"),
        ("debian-11", "Debian GNU/Linux 11 (bullseye)"),
        ("debian-rolling", "Debian GNU/Linux forky/sid"),
        ("ubuntu-22.04", "Ubuntu 22.04.5 LTS"),
        ("linuxmint-22", "Linux Mint 22"),
    ],
)
def test_another_distribution_or_version_is_refused_by_name(system: str, name: str) -> None:
    (need,) = needs({"os": system}, system={"name": name})
    assert need.startswith(f"it runs {name}, and this needs Debian 12 or 13, or Ubuntu 24.04")


@pytest.mark.parametrize("system", ["debian-12", "debian-13", "ubuntu-24.04"])
def test_those_that_it_is_made_for_are_not(system: str) -> None:
    assert needs({"os": system}) == []


def test_one_without_a_name_is_named_by_its_id() -> None:
    (need,) = needs({"os": "void-rolling"})
    assert "it runs void rolling, " in need


@pytest.mark.parametrize("machine", ["armv7l", "riscv64", "ppc64le", "i686"])
def test_another_processor_is_refused_by_name(machine: str) -> None:
    (need,) = needs({"machine": machine})
    assert need.startswith(f"its processor is {machine}, and this needs x86_64 or aarch64")


@pytest.mark.parametrize(
    ("system", "told"),
    [
        pytest.param(
            {"init": "openrc-init"}, "its init system is OpenRC, and all services are units of systemd", id="OpenRC"
        ),
        pytest.param({"init": "runit"}, "its init system is runit", id="runit"),
        pytest.param({"init": "init"}, "its init system is a System V or BusyBox init", id="init"),
        pytest.param(
            {"init": "bash", "container": "docker"},
            "it is a container (Docker) whose first process is `bash`",
            id="a container that runs a shell",
        ),
        pytest.param(
            {"init": "init", "container": "wsl"},
            "Boot it with systemd (`systemd=true` in its /etc/wsl.conf)",
            id="WSL",
        ),
        pytest.param(
            {"init": "systemd"}, "systemd does not answer on this host: see `systemctl status`", id="a broken systemd"
        ),
    ],
)
def test_a_host_without_systemd_is_refused_with_what_it_has(system: dict[str, str], told: str) -> None:
    (need,) = needs(systemd=None, system=system)
    assert told in need
