"""Prometheus, Alertmanager and node exporter on a real host: what they read, who may read them, whom they tell, and
what they cost."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from roles.contract.graphs import WINDOW
from roles.monitoring.card_panels import CARDS
from roles.monitoring.panels import SECTIONS
from roles.monitoring.rules import alerts
from tests.lab.alert_cases import EVERY, cases_file
from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, ask, deploy, failures, inventory_file, verdict
from tests.lab.inventory import says
from tests.lab.webhook import webhook
from tests.labhost import Lab, LabError, LabHost

UNITS = ("ai-backend-prometheus.service", "ai-backend-alertmanager.service", "ai-backend-node-exporter.service")
_INVENTORY = """
from roles.monitoring import Monitoring, Webhook
from roles.options import FileSecret, Journal
stack = lab_stack(gateway={"instances": 2, "cooldown": 1})
monitoring = Monitoring(interval=5, receivers=[Webhook(url=FileSecret("%s"))])
journal = Journal(max_size="300M", keep_days=7)
hosts = [lab_host(stack.model_copy(update={"monitoring": monitoring, "journal": journal}))]
"""
_WITHOUT = """
hosts = [lab_host(lab_stack(gateway={"instances": 2, "cooldown": 1}))]
"""
_PROMETHEUS = "http://127.0.0.1:9090"
_READ_WITHIN = 40
"""Seconds within which each page must have been read, at a busy lab host."""
_TOLD_WITHIN = 60
"""Seconds from an alert to its message: Alertmanager waits for 30 of them."""


@pytest.fixture(scope="module")
def booted(new_module_host: NewHost) -> LabHost:
    return new_module_host(prepared=True)


@pytest.fixture(scope="module")
def hook(lab: Lab, booted: LabHost) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where the host sends its alerts, and what it has sent. The lab has an address once it has a host."""
    with webhook(lab) as told:
        yield told


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory, hook: tuple[str, list[dict[str, Any]]]) -> Path:
    folder = tmp_path_factory.mktemp("with")
    (folder / "hook").write_text(hook[0])
    return inventory_file(folder, _INVENTORY % (folder / "hook"))


@pytest.fixture(scope="module")
def host(booted: LabHost, inventory: Path) -> LabHost:
    """A host with the small stack, two instances, and monitoring, that has had some traffic: answers, and one of a
    fallback."""
    host = booted
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


def value_of(host: LabHost, query: str) -> list[tuple[dict[str, str], float]]:
    """What a query gives: labels and value of each series."""
    result = asked(host, f"/api/v1/query?query={quote(query)}")["result"]
    return [(each["metric"], float(each["value"][1])) for each in result]


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


@pytest.mark.parametrize("port", [9090, 9093, 9100, 9101])
def test_no_other_user_reads_them(host: LabHost, port: int) -> None:
    reading = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{port}/metrics"
    assert host.run(reading).stdout == "200"
    assert host.run(f"runuser -u nobody -- {reading}", check=False).stdout == "000"


def test_the_units_are_hardened_and_their_keys_in_no_command_line(host: LabHost) -> None:
    for unit in UNITS:
        exposure = host.run(f"systemd-analyze security --no-pager '{unit}' | tail -1").stdout
        assert exposure.split()[-2] in ("OK", "SAFE"), exposure
    key = host.run("cut -d'\"' -f2 /var/lib/ai-backend/secrets/instance-key.env").stdout.strip()
    assert key.startswith("sk-")
    assert host.run("stat -c %a:%U /run/ai-backend-prometheus/INSTANCE_KEY").stdout == "600:ai-backend-prometheus\n"
    assert key not in host.run("cat /proc/*/cmdline | tr '\\0' ' '", check=False).stdout
    assert key not in host.run("cat /etc/ai-backend/monitoring/*").stdout


def test_it_knows_units_disks_and_the_last_verdict(host: LabHost) -> None:
    active = value_of(host, 'node_systemd_unit_state{state="active"} == 1')
    assert {"litellm@a.service", "llama-server@native.service", *UNITS} <= {labels["name"] for labels, _ in active}
    assert not [labels for labels, _ in active if "ssh" in labels["name"]]
    # A lab host has no sensors.
    assert value_of(host, 'node_scrape_collector_success{collector!="hwmon"} == 0') == []
    # The disk of a lab host is an overlay, which node exporter leaves out.
    assert value_of(host, 'node_filesystem_avail_bytes{mountpoint="/run"} > 0')
    assert value_of(host, "node_textfile_scrape_error") == [
        ({"__name__": "node_textfile_scrape_error", "instance": "node", "job": "node"}, 0)
    ]
    assert [value for _, value in value_of(host, "ai_backend_verdict")] == [1]


_FUNCTIONS = frozenset(
    (
        "absent",
        "and",
        "avg_over_time",
        "by",
        "increase",
        "label_replace",
        "max",
        "min",
        "offset",
        "or",
        "predict_linear",
        "rate",
        "round",
        "sum",
        "time",
        "unless",
    )
)


def names_in(expression: str) -> set[str]:
    """The metrics that an expression of PromQL names."""
    outside = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^]]*\]|\b(?:by|on) \([^)]*\)|\boffset \w+", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", outside)) - _FUNCTIONS


_ABSENT = ("_card_", "_budget_", "_remote_storage_")
"""In names of metrics of what this host lacks: cards, whose metrics `test_gpu_metrics.py` has; budgets, of which the
verifier's own tests have them; and another Prometheus to write to."""


def test_each_metric_that_an_alert_names_is_there(host: LabHost) -> None:
    names = {name for alert in alerts(EVERY) for name in names_in(alert.expression)}
    names = {name for name in names if not any(part in name for part in _ABSENT)}
    assert {"up", "ai_backend_check", "litellm_deployment_successful_fallbacks_total"} <= names
    deadline = time.monotonic() + _READ_WITHIN
    while missing := names - {*asked(host, "/api/v1/label/__name__/values")}:
        assert time.monotonic() < deadline, missing
        time.sleep(1)
    # A series with another label's value would be as silent.
    for query in (
        'ai_backend_check{group="route"}',
        'ai_backend_check{check=~"unit/.+/memory"}',
        'haproxy_frontend_http_responses_total{proxy="endpoint",code="5xx"}',
        'haproxy_backend_current_queue{proxy="gateways"}',
        'node_systemd_unit_state{state="failed"}',
        'litellm_deployment_successful_fallbacks_total{requested_model="tiny-python",fallback_model="tiny-native"} > 0',
        'litellm_deployment_failure_responses_total{model_id="tiny-python@python",exception_status="500"} > 0',
    ):
        assert value_of(host, query), query


_HAS_NONE = {"vLLM", "a cache", "a price", "a budget", "a disk", "a check that fails", "a measured speed"} | {
    panel.needs for panel in CARDS.panels
}
"""What panels need, and this host lacks."""
_ASKING = f"""while read -r query; do
curl -sS -G --data-urlencode "query=$query" {_PROMETHEUS}/api/v1/query; echo
done"""


def test_each_panel_shows_something(host: LabHost) -> None:
    panels = [panel for section in SECTIONS for panel in section.panels]
    assert {panel.needs for panel in panels} > _HAS_NONE
    wanted = {
        curve.query.replace(WINDOW, "5m"): panel.needs not in _HAS_NONE for panel in panels for curve in panel.curves
    }
    with pytest.raises(LabError, match="404"):
        ask(host, "no-such-name")
    deadline = time.monotonic() + _READ_WITHIN
    while True:
        answers = map(json.loads, host.run(_ASKING, input="\n".join((*wanted, ""))).stdout.splitlines())
        found = dict(zip(wanted, answers, strict=True))
        assert [query for query, answer in found.items() if answer["status"] != "success"] == []
        empty = {query for query, answer in found.items() if not answer["data"]["result"]}
        if not (missing := {query for query in empty if wanted[query]}):
            break
        assert time.monotonic() < deadline, missing
        time.sleep(1)


def test_the_status_page_has_graphs_of_the_last_day(host: LabHost) -> None:
    page = host.run("/etc/ai-backend/bin/verify --html").stdout
    for title in ("Requests by status", "First token", "llama-server: tokens", "Main memory"):
        assert f"<strong>{title}</strong>" in page
    assert "Prometheus has no graphs" not in page


def test_promtool_takes_the_rules_and_each_is_raised_by_its_own_fault(host: LabHost) -> None:
    told = host.run("promtool check config /etc/ai-backend/monitoring/prometheus.yml").stdout
    assert f"{len(alerts(EVERY))} rules found" in told
    cases = cases_file("/etc/ai-backend/monitoring/rules.yml")
    host.run("cat > /root/cases.yml && promtool test rules /root/cases.yml", input=cases)


def test_a_fallback_is_told_to_alertmanager(host: LabHost) -> None:
    deadline = time.monotonic() + _READ_WITHIN
    while True:
        told = json.loads(host.run("curl -sS --fail http://127.0.0.1:9093/api/v2/alerts").stdout)
        found = {alert["labels"]["alertname"]: alert for alert in told}
        if "FallbacksTaken" in found or time.monotonic() > deadline:
            break
        time.sleep(1)
    labels = found["FallbacksTaken"]["labels"]
    assert (labels["requested_model"], labels["host"]) == ("tiny-python", host.run("hostname").stdout.strip())
    assert found["FallbacksTaken"]["annotations"]["summary"].startswith(
        "Requests for tiny-python went on to its fallback tiny-"
    )
    # Nothing else is wrong with it.
    assert set(found) <= {"FallbacksTaken", "VerdictStale"}


def test_a_receiver_is_told_which_host_what_is_so_and_what_to_do(
    host: LabHost, hook: tuple[str, list[dict[str, Any]]]
) -> None:
    url, told = hook
    deadline = time.monotonic() + _TOLD_WITHIN
    while not (found := [each for message in told for each in message["alerts"] if about_fallbacks(each)]):
        assert time.monotonic() < deadline, told
        time.sleep(1)
    assert found[0]["labels"]["host"] == host.run("hostname").stdout.strip()
    assert found[0]["annotations"]["summary"].startswith("Requests for tiny-python went on to its fallback tiny-")
    assert (
        "its unit's journal says why. docs/troubleshooting.md, Red checks: route/*"
        in (found[0]["annotations"]["description"])
    )
    copy = "/run/ai-backend-alertmanager/alertmanager.yml"
    assert host.run(f"stat -Lc %a {copy}").stdout == "600\n"
    assert "SUCCESS" in host.run(f"amtool check-config {copy}").stdout
    assert url in host.run(f"cat {copy}").stdout
    shown = host.run("journalctl -b -o cat --no-pager; cat /proc/[0-9]*/cmdline /etc/ai-backend/monitoring/*").stdout
    assert "Listening on" in shown
    assert url not in shown


def about_fallbacks(alert: dict[str, Any]) -> bool:
    return bool(alert["labels"]["alertname"] == "FallbacksTaken")


def test_the_journal_has_its_bounds(host: LabHost) -> None:
    assert "max 300.0M" in host.run("journalctl -b -u systemd-journald -o cat --no-pager").stdout
    assert "\nMaxRetentionSec=7day\n" in host.run("systemd-analyze cat-config systemd/journald.conf").stdout
    # Units that run since before journald's restart are still heard.
    host.run("systemctl restart systemd-journald")
    ask(host, "tiny-native")
    host.run("sleep 1; journalctl -u ai-backend-front --since -20s -o cat --no-pager | grep -q tiny-native")


_COST = "ps -o rss=,cputimes=,etimes=,comm= -C prometheus,prometheus-aler,prometheus-node"
"""Kibibytes, seconds of processors, seconds since the start."""


def test_all_of_it_takes_less_than_250_megabytes(host: LabHost) -> None:
    shown = host.run(_COST).stdout
    series = value_of(host, "prometheus_tsdb_head_series")[0][1]
    print(f"\n{shown}{series:.0f} series")
    taken = [int(line.split()[0]) for line in shown.splitlines()]
    assert len(taken) == len(UNITS)
    assert sum(taken) < 250 << 10
    assert series < 5000


def test_a_second_run_changes_nothing(host: LabHost, inventory: Path) -> None:
    assert deploy(host, inventory=inventory).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


@pytest.mark.soak_only
def test_it_goes_with_its_option_and_comes_back_with_its_generation(host: LabHost, tmp_path: Path) -> None:
    deploy(host, inventory=inventory_file(tmp_path, _WITHOUT)).must_pass()
    for unit in UNITS:
        assert host.run(f"systemctl is-active '{unit}'", check=False).stdout == "inactive\n"
    assert not re.search(r":(9090|9093|9100|9101)\b", host.run("ss -Hltn").stdout)
    assert host.run("ls /var/lib/ai-backend/prometheus").stdout
    assert host.run("ls /run/systemd/journald.conf.d/50-ai-backend.conf", check=False).stdout == ""
    assert failures(verdict(host)) == []
    deploy(host, "rollback.py", inventory=inventory_file(tmp_path, _WITHOUT)).must_pass()
    for unit in UNITS:
        assert host.run(f"systemctl is-active '{unit}'", check=False).stdout == "active\n"
    assert value_of(host, "count(up) > 0")
