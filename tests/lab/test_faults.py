"""Every fault turns the verdict red, at the right check, with the right first cause; and the host tells of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from roles.options import SystemScope
from roles.plan import layout_of
from roles.verify.doctor import SIGNS
from tests.golden.doctor_reference import PLACE
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, main_pids, verdict
from tests.lab.faults import AFTER_A_REBOOT, FAULTS, UNIT, UNTIL_ACTIVE, Fault
from tests.lab.openai_client import answers_by_the_report
from tests.lab.routes_host import Deployed, routes_host
from tests.lab.routes_stack import WEBHOOK_VARIABLE
from tests.lab.webhook import webhook
from tests.labhost import Lab, LabHost

GATEWAY: dict[str, Any] = {"instances": 2, "limits": False}
FIX_SECONDS = 60
SELF_VERIFICATION_SECONDS = {"soak": 20, "beside other tests": 60}
"""Beyond what the units need to start. `make soak` measures it alone; beside a host that is being built it was 27 s."""
MEET_SECONDS = 15
"""In which a verification is made. Nothing on the host tells that one has ended which is to be made again."""
PROVOKED_ELSEWHERE = {
    "task": "test_ollama.py",
    "open": "test_host_checks.py",
    "thinking": "test_llama_cpp.py",
    "undone": "test_local_user.py",
    "keys": "test_client_keys.py",
    "route-slower": "test_speed.py",
    "external-unreachable": "test_external.py",
    "external-key": "verify_gateway",
    "external-limited": "verify_gateway",
    "external-refuses": "verify_gateway",
    "route-external-refuses": "verify_gateway",
    # Against doubles alone: a lab host has no card, its kernel does not count the memory of units, and its servers do
    # not break the rules of their interfaces.
    "card-memory": "test_verify_cards.py",
    "driver": "test_verify_cards.py",
    "memory": "test_verify_host.py",
    "card-missing": "test_verify_cards.py",
    "certificate-end": "test_tls.py",
    "certificate-stays": "test_tls.py",
    "certificate-name": "test_certificate.py",
    "certificate-early": "test_certificate.py",
    "tls": "test_certificate.py",
    "port-elsewhere": "test_verify_units.py",
    "task-outdated": "test_verify_tasks.py",
    "unit-version": "test_versions.py",
    "gateway-error": "verify_gateway",
    "empty": "verify_gateway",
    "limited": "verify_gateway",
    "stream": "verify_gateway",
    # Asked on demand only.
    "mistake-punished": "test_apis.py",
    "mistake": "test_apis.py",
    "ability": "test_apis.py",
    "hang-up": "test_apis.py",
    "open-route": "test_apis.py",
}


@pytest.fixture(scope="module")
def deployed(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("faults")
    with routes_host(lab, new_module_host, folder, "faults", **GATEWAY) as deployed:
        deployed.host.run(f"echo {deployed.mirror_url} > /root/mirror")
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
        unit = "ai-backend-redis.service" if pattern == "gateway/cache" else unit
        assert cause == SIGNS[sign].causes_at(PLACE, unit)[0].cause, seen


def is_green_again(host: LabHost) -> None:
    deadline = time.monotonic() + FIX_SECONDS
    while (found := verdict(host))["status"] != "pass":
        wrong = [f"{check['id']}: {check['seen']}" for check in found["checks"] if check["ok"] is not True]
        assert time.monotonic() < deadline, wrong
        time.sleep(1)


def kept(host: LabHost) -> dict[str, Any]:
    """The last verdict that the host keeps."""
    found: dict[str, Any] = json.loads(
        host.run("cat /var/lib/ai-backend/verdicts/$(ls /var/lib/ai-backend/verdicts | grep json | tail -1)").stdout
    )
    return found


def verdict_of_this_boot(host: LabHost, status: str) -> None:
    """Wait for it. Nobody asks for it: the host verifies itself."""
    deadline = time.monotonic() + 120
    while (found := kept(host))["boot_id"] != host.boot_id():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert found["status"] == status, found


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_explained(deployed: Deployed, name: str) -> None:
    fault, host = FAULTS[name], deployed.host
    host.run(fault.inject, timeout=120, check=False)
    try:
        found = verdict(host)
    finally:
        host.run(fault.fix, timeout=120)
    assert found["status"] != "pass"
    is_explained(found, fault)
    is_green_again(host)


@pytest.mark.parametrize("name", AFTER_A_REBOOT)
def test_a_fault_that_a_reboot_brings_to_light_is_found_and_explained(deployed: Deployed, name: str) -> None:
    fault, host = AFTER_A_REBOOT[name], deployed.host
    host.run(fault.inject)
    try:
        host.reboot()
        verdict_of_this_boot(host, "fail")
        found = kept(host)
    finally:
        host.run(fault.fix, timeout=120)
    assert found["boot_id"] == host.boot_id()
    assert found["status"] == "fail"
    is_explained(found, fault)
    is_green_again(host)


def test_an_upgrade_under_the_gateway_is_brought_in_by_the_next_deploy_and_restarts_nothing_else(
    deployed: Deployed,
) -> None:
    host = deployed.host
    gateways = ["litellm@a.service", "litellm@b.service"]
    before = main_pids(host, [*gateways, UNIT])
    # As dpkg does it: the new file takes the name of the old one.
    python = "$(readlink -f /usr/bin/python3)"
    host.run(f"cp -a {python} {python}.dpkg-new && mv {python}.dpkg-new {python}")
    for unit in gateways:
        assert told(verdict(host), f"unit/{unit}/binary")[1].startswith("needs restart: /usr/bin/python3")
    run = deployed.deploy(**GATEWAY).must_pass()
    assert "litellm@a.service runs from files that were replaced since" in run.output
    assert run.output.index("litellm@a.service: relieved") < run.output.index("litellm@b.service: relieved")
    after = main_pids(host, [*gateways, UNIT])
    assert {unit for unit in after if after[unit] != before[unit]} == set(gateways)
    is_green_again(host)
    assert deployed.deploy(**GATEWAY).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_openais_client_works_for_every_route_by_what_the_report_says(deployed: Deployed) -> None:
    answered = answers_by_the_report(deployed.host)
    # A rerank is none of its requests.
    assert set(answered) == {
        "one",
        "three",
        "wide",
        "pair",
        "weighted",
        "ordered",
        "hasty",
        "tagged",
        "plain",
        "gpt-4o",
    }
    assert all("This was said by" in answer for answer in answered.values())


def test_backends_are_stopped_and_fallbacks_answer(deployed: Deployed) -> None:
    run = deployed.deploy("verify.py", {"verify": "faults"}, **GATEWAY).must_pass()
    found = kept(deployed.host)
    drilled = {check["id"]: check["ok"] for check in found["checks"] if "/fault-injection-" in check["id"]}
    assert drilled == {
        "route/one/fault-injection-1": True,
        # The second of its fallbacks.
        "route/one/fault-injection-2": True,
        "route/hasty/fault-injection-1": True,
    }
    assert "llama-server@one.service is stopped" in run.output
    is_green_again(deployed.host)


def test_hosts_are_rebooted_verified_and_tell_how_soon_each_route_answers(deployed: Deployed) -> None:
    before = deployed.host.boot_id()
    run = deployed.deploy("reboot.py", **GATEWAY).must_pass()
    assert deployed.host.boot_id() != before
    assert f"rebooting (boot {before})" in run.output
    for route in ("one", "three", "wide", "pair", "ranker"):
        assert re.search(rf"\] {route}: first answer [0-9.]+ s after the boot", run.output), run.output


@pytest.mark.soak
def test_after_a_boot_the_host_verifies_itself_and_the_signals_agree(deployed: Deployed, soak: bool) -> None:
    host, longest = deployed.host, SELF_VERIFICATION_SECONDS["soak" if soak else "beside other tests"]
    host.reboot()
    began = time.monotonic()
    verdict_of_this_boot(host, "pass")
    took = time.monotonic() - began
    found = kept(host)
    units = [check for check in found["checks"] if check["id"].endswith("/ready")]
    assert took <= max(check["seconds"] for check in units) + longest
    metrics = host.run("cat /var/lib/ai-backend/verdicts/ai_backend.prom").stdout
    assert re.search(r"^ai_backend_verdict\S* 1(\.0)?$", metrics, re.MULTILINE), metrics
    assert f"{len(found['checks'])} checks pass" in host.run("journalctl -b -u ai-backend-verify -o cat").stdout
    assert host.run("systemctl is-failed ai-backend-verify", check=False).stdout == "inactive\n"


def test_a_reload_of_systemd_starts_no_verification(deployed: Deployed) -> None:
    started = "systemctl show ai-backend-verify.service -P ExecMainStartTimestampMonotonic"
    before = deployed.host.run(started).stdout
    assert deployed.host.run(f"systemctl daemon-reload; sleep 4; {started}").stdout == before


def test_a_verification_that_meets_a_deploy_is_made_again_when_that_has_ended(deployed: Deployed) -> None:
    """A step restarts services; until it has ended, what a verification finds red says nothing."""
    host, turn = deployed.host, f"{layout_of(SystemScope()).state}/turn"
    state = "systemctl show ai-backend-verify -P ActiveState"
    before = kept(host)["time"]
    host.run(f"systemd-run --quiet --unit step flock {turn} sleep infinity; until ! flock -n {turn} true; do :; done")
    host.run(f"systemctl stop {UNIT} && systemctl start --no-block ai-backend-verify")
    try:
        time.sleep(MEET_SECONDS)
        # The first is made, and red; it waits for the end, and tells nobody yet.
        assert kept(host)["time"] == before
        assert host.run(state).stdout == "active\n"
    finally:
        host.run(f"systemctl start {UNIT} && {UNTIL_ACTIVE}")
        ended = datetime.now(UTC).replace(microsecond=0)  # in seconds, as verdicts tell when they were begun
        host.run("systemctl stop step")
    host.run(f"timeout 60 sh -c 'while [ $({state}) = active ]; do sleep 0.2; done'", timeout=70)
    found = kept(host)
    assert datetime.fromisoformat(found["time"]) >= ended
    assert found["status"] == "pass"
    assert host.run("systemctl is-failed ai-backend-verify", check=False).stdout == "inactive\n"


def test_a_change_is_told_once_each_way(deployed: Deployed, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook(lab) as (url, told):
        monkeypatch.setenv(WEBHOOK_VARIABLE, url)
        deployed.deploy(**GATEWAY).must_pass()
        verify = "systemctl start --wait ai-backend-verify"
        deployed.host.run(f"{verify}; systemctl stop {UNIT}; {verify}; {verify}; systemctl start {UNIT}", timeout=200)
        assert [each["status"] for each in told] == ["fail"]
        assert host_says(told[0]) == {f"unit/{UNIT}/active"}
        assert deployed.host.run("systemctl is-failed ai-backend-verify").stdout == "failed\n"
        log = deployed.host.run("journalctl -b -u ai-backend-verify -p err -o cat").stdout
        assert f"unit/{UNIT}/active: inactive" in log
        deployed.host.run(f"sleep 3; {verify}; {verify}", timeout=200)
        assert [each["status"] for each in told] == ["fail", "pass"]
    assert url not in deployed.host.run("journalctl -b -o cat; cat /proc/[0-9]*/cmdline", check=False).stdout
    monkeypatch.delenv(WEBHOOK_VARIABLE)
    deployed.deploy(**GATEWAY).must_pass()


def host_says(told: dict[str, Any]) -> set[str]:
    return {check["id"] for check in told["checks"] if check["id"].endswith("/active")}


def test_every_sign_is_provoked_somewhere() -> None:
    faults = (*FAULTS.values(), *AFTER_A_REBOOT.values())
    provoked = {sign for fault in faults for sign in (fault.sign, *(sign for _, sign in fault.also))}
    assert provoked | set(PROVOKED_ELSEWHERE) == set(SIGNS)
