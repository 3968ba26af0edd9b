"""A service from outside of `roles/`, a folder and one line, is deployed and verified on a real host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, main_pids, verdict
from tests.labhost import LabHost

UNIT = "toy@status-page.service"
_INVENTORY = """
from tests.toy_service import StatusPage
from tests.toy_service.options import Look
page = StatusPage(look=Look(text={text!r}))
hosts = [lab_host(lab_stack().model_copy(update={{"services": (page,)}}))]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inventories")


@pytest.fixture(scope="module")
def host(folder: Path, new_module_host: NewHost) -> LabHost:
    """A host that the small stack and the page were deployed to."""
    host = new_module_host(prepared=True)
    deploy(host, inventory=with_page(folder)).must_pass()
    return host


def with_page(folder: Path, text: str = "All is well.") -> Path:
    return inventory_file(folder, _INVENTORY.format(text=text))


def test_it_is_verified_and_in_the_report(host: LabHost, folder: Path) -> None:
    found = verdict(host)
    assert failures(found) == []
    ids = {check["id"] for check in found["checks"]}
    claims = ("active", "enabled", "ready", "digest", "port", "restarts", "memory")
    assert {f"unit/{UNIT}/{claim}" for claim in claims} <= ids
    report = folder / "report"
    deploy(host, "verify.py", inventory=with_page(folder), data={"report": str(report)}).must_pass()
    for form in ("status.html", "metrics.prom"):
        assert UNIT in (report / host.name / form).read_text()


def test_it_answers_as_a_user_of_its_own_in_the_frame(host: LabHost) -> None:
    assert "<p>All is well.</p>" in host.run("curl -sf http://127.0.0.1:8090/").stdout
    assert host.run(f"systemctl show -P DynamicUser '{UNIT}'").stdout == "yes\n"
    exposure = host.run(f"systemd-analyze security --no-pager '{UNIT}' | tail -1").stdout
    assert exposure.split()[-2] in ("OK", "SAFE"), exposure


def test_a_change_of_it_restarts_it_alone_and_a_second_run_changes_nothing(host: LabHost, folder: Path) -> None:
    units = [UNIT, "llama-server@native.service", "litellm@a.service"]
    before = main_pids(host, units)
    changed = with_page(folder, "It was changed.")
    deploy(host, inventory=changed).must_pass()
    after = main_pids(host, units)
    assert {unit for unit in units if before[unit] != after[unit]} == {UNIT}
    assert "It was changed." in host.run("curl -sf http://127.0.0.1:8090/").stdout
    assert deploy(host, inventory=changed).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_it_is_red_when_it_dies_and_gone_when_nobody_declares_it(host: LabHost) -> None:
    host.run(f"systemctl stop '{UNIT}'")
    assert any(failure.startswith(f"unit/{UNIT}/active") for failure in failures(verdict(host)))
    deploy(host).must_pass()
    assert host.run(f"systemctl is-active '{UNIT}'", check=False).stdout == "inactive\n"
    assert failures(verdict(host)) == []
