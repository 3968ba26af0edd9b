"""Prometheus, Alertmanager and node exporter on a real host: what they read."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import says
from tests.labhost import LabHost

_INVENTORY = """
from roles.monitoring import Monitoring
stack = lab_stack(gateway={"instances": 2, "cooldown": 1})
hosts = [lab_host(stack.model_copy(update={"monitoring": Monitoring(interval=5)}))]
"""
_PROMETHEUS = "http://127.0.0.1:9090"
_READ_WITHIN = 40
"""Seconds within which each page must have been read, at a busy lab host."""


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inventory_file(tmp_path_factory.mktemp("with"), _INVENTORY)


@pytest.fixture(scope="module")
def host(inventory: Path, new_module_host: NewHost) -> LabHost:
    """A host with the small stack, two instances, and monitoring, that has had some traffic: answers, and one of a
    fallback."""
    host = new_module_host(prepared=True)
    deploy(host, inventory=inventory).must_pass()
    for model in ("tiny-native", "tiny-python"):
        ask(host, model)
    # The first verification of its own is not to see what follows.
    host.run("until [ -e /var/lib/ai-backend/verdicts/ai_backend.prom ]; do sleep 0.2; done")
    host.run("while systemctl -q is-active ai-backend-verify.service; do sleep 0.2; done")
    host.run("systemctl stop llama-cpp-python@python.service")
    assert ask(host, "tiny-python") == says("native.gguf")
    host.run("systemctl start llama-cpp-python@python.service")
    return host


def asked(host: LabHost, path: str) -> Any:
    """The `data` of an answer of Prometheus' API."""
    answer = json.loads(host.run(f"curl -sS --fail-with-body {shlex.quote(_PROMETHEUS + path)}").stdout)
    assert answer["status"] == "success", answer
    return answer["data"]


def test_it_is_verified_and_reads_every_page(host: LabHost) -> None:
    assert failures(verdict(host)) == []
    deadline = time.monotonic() + _READ_WITHIN
    while True:
        pages = {f"{each['labels']['job']}/{each['labels']['instance']}": each for each in targets(host)}
        if all(each["health"] == "up" for each in pages.values()) or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert {name: each["lastError"] for name, each in pages.items()} == dict.fromkeys(
        (
            "llama-server/native",
            "haproxy/front",
            "litellm/litellm@a",
            "litellm/litellm@b",
            "prometheus/prometheus",
            "alertmanager/alertmanager",
            "node/node",
        ),
        "",
    )
    assert {each["discoveredLabels"]["__address__"].split(":")[0] for each in pages.values()} == {"127.0.0.1"}


def targets(host: LabHost) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(host, "/api/v1/targets?state=active")["activeTargets"]
    return found


def test_debians_own_units_do_not_run(host: LabHost) -> None:
    for package in ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"):
        assert host.run(f"systemctl is-active {package}.service", check=False).stdout == "inactive\n"
        assert host.run(f"systemctl is-enabled {package}.service", check=False).stdout == "masked\n"
