"""Every fault turns the verdict red, at the right check, with the right first cause; and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from roles.verify.doctor import SIGNS
from tests.lab.conftest import NewHost
from tests.lab.deploys import verdict
from tests.lab.faults import AFTER_A_REBOOT, FAULTS, Fault
from tests.lab.routes_host import Deployed, routes_host
from tests.labhost import Lab, LabHost

MEND_SECONDS = 60
GREEN_RUNS = 50
PROVOKED_ELSEWHERE = {
    "task": "test_ollama.py",
    "open": "test_host_checks.py",
    # Against doubles alone: a lab host has no card, no clock and no memory bound of its own; its models do not think,
    # promise nothing, and are quick; and no fault here gives the words of the others.
    "card-memory": "test_verify_cards.py",
    "driver": "test_verify_cards.py",
    "clock": "test_verify_host.py",
    "memory": "test_verify_host.py",
    "promise": "test_verify_gateway.py",
    "thinking": "test_verify_gateway.py",
    "slow": "test_verify_gateway.py",
    "models": "test_verify_gateway.py",
    "unshared": "test_verify_gateway.py",
    "refused": "test_verify_gateway.py",
}


@pytest.fixture(scope="module")
def deployed(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("faults")
    with routes_host(lab, new_module_host, folder, "faults", instances=2) as deployed:
        deployed.host.run("command -v nft >/dev/null || apt-get -qq install -y nftables", timeout=120)
        yield deployed


def told(found: dict[str, Any], pattern: str) -> tuple[str, str, str]:
    """Subject, what was seen, and the first cause that was told at that check; fails where it is not red."""
    wrong = [check for check in found["checks"] if check["ok"] is not True]
    here = [check for check in wrong if fnmatchcase(check["id"], pattern)]
    assert here, f"{pattern} is not red; these are: " + "; ".join(f"{each['id']}: {each['seen']}" for each in wrong)
    return here[0]["subject"], here[0]["seen"], here[0]["causes"][0]["cause"]


def is_explained(found: dict[str, Any], fault: Fault) -> None:
    for pattern, sign in ((fault.check, fault.sign), *fault.also):
        subject, seen, cause = told(found, pattern)
        print(f"{pattern}: {seen}: {cause}")
        # A route's cause names the unit of its backend.
        unit = f"llama-server@{subject.partition('@')[0]}.service" if pattern.startswith("route/") else subject
        assert cause == SIGNS[sign].causes[0].cause.format(unit=unit, config="/etc/ai-backend"), seen


def is_green_again(host: LabHost) -> None:
    deadline = time.monotonic() + MEND_SECONDS
    while (found := verdict(host))["status"] != "pass":
        wrong = [f"{check['id']}: {check['seen']}" for check in found["checks"] if check["ok"] is not True]
        assert time.monotonic() < deadline, wrong
        time.sleep(1)


def test_with_nothing_wrong_the_verdict_is_green_each_time(deployed: Deployed) -> None:
    for number in range(GREEN_RUNS):
        found = verdict(deployed.host)
        wrong = [f"{check['id']}: {check['seen']}" for check in found["checks"] if check["ok"] is not True]
        assert wrong == [], f"run {number}"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_explained(deployed: Deployed, name: str) -> None:
    fault, host = FAULTS[name], deployed.host
    host.run(fault.inject, timeout=120, check=False)
    try:
        found = verdict(host)
    finally:
        host.run(fault.mend, timeout=120)
    assert found["status"] != "pass"
    is_explained(found, fault)
    is_green_again(host)


@pytest.mark.parametrize("name", AFTER_A_REBOOT)
def test_a_fault_that_a_reboot_brings_to_light_is_found_and_explained(deployed: Deployed, name: str) -> None:
    fault, host = AFTER_A_REBOOT[name], deployed.host
    host.run(fault.inject)
    try:
        host.reboot()
        # Nobody asks: the host proves itself.
        log = "journalctl -b -u ai-backend-verify | grep -q checks"
        host.run(f"timeout 120 sh -c 'until {log}; do sleep 1; done'", timeout=130)
        found = json.loads(host.run("cat $(ls -t /var/lib/ai-backend/verdicts/*.json | head -1)").stdout)
    finally:
        host.run(fault.mend, timeout=120)
    assert found["boot_id"] == host.boot_id()
    assert found["status"] == "fail"
    is_explained(found, fault)
    is_green_again(host)


def test_every_sign_is_provoked_somewhere() -> None:
    faults = (*FAULTS.values(), *AFTER_A_REBOOT.values())
    provoked = {sign for fault in faults for sign in (fault.sign, *(sign for _, sign in fault.also))}
    assert provoked | set(PROVOKED_ELSEWHERE) == set(SIGNS)
