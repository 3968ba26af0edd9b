"""What raises each alert, and what does not, as series in time: cases for `promtool test rules`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from roles.monitoring.rules import Alert, alerts

EVERY = 900


@dataclass(frozen=True)
class Case:
    """An alert that is raised.

    Attributes:
        series: what is measured each minute, as promtool writes it: `1+2x30` begins with 1 and grows by 2, 30 times.
        at: when it is looked at, in minutes.
        labels: of the alert, besides its severity.
        summary: what it says.
        not_at: minutes at which it is not raised yet.
    """

    alert: str
    series: Mapping[str, str]
    at: int
    labels: Mapping[str, str]
    summary: str
    not_at: tuple[int, ...] = field(default=())


_CHECK = 'ai_backend_check{check="%s",group="%s",subject="%s"}'
_DEAD = {
    _CHECK % (f"unit/vllm@dead.service/{check}", "unit", "vllm@dead.service"): "0x9"
    for check in ("active", "memory", "gpu-memory")
}
"""A unit that does not run: other alerts say so."""
_DISK = '{device="/dev/sda1",fstype="ext4",mountpoint="/"}'
_DISK_LABELS = {"device": "/dev/sda1", "fstype": "ext4", "mountpoint": "/"}
_FRONT = 'haproxy_frontend_http_responses_total{proxy="endpoint",code="%s"}'
_FALLBACKS = (
    'litellm_deployment_successful_fallbacks_total{requested_model="%s",fallback_model="b",exception_status="500"}'
)
_FAILURES = 'litellm_deployment_failure_responses_total{requested_model="a",model_id="%s",exception_status="%s"}'
_BUDGET = 'ai_backend_%s_budget%s_dollars{%s="%s",per="%s",job="node",instance="node"}'
_REMOTE = (
    'prometheus_remote_storage_samples_%s_total{remote_name="remote-1",url="https://metrics.example.com/%s",'
    'job="prometheus"}'
)
_REMOTE_LABELS = {"remote_name": "remote-1", "url": "https://metrics.example.com/1", "job": "prometheus"}
_CARD = 'ai_backend_card_%s{card="0",uuid="GPU-0"}'
_CARD_LABELS = {"card": "0", "uuid": "GPU-0"}
_THROTTLED = 'ai_backend_card_throttled{card="0",uuid="GPU-0",reason="%s"}'

CASES = (
    Case(
        "RouteFails",
        {_CHECK % ("route/a/chat", "route", "a"): "1x4 0x5", _CHECK % ("route/a/stream", "route", "a"): "1x9"},
        6,
        {"subject": "a"},
        "The route a fails its verification.",
        not_at=(4,),
    ),
    Case(
        "VerdictFails",
        {"ai_backend_verdict": "1x4 0x5"},
        7,
        {},
        "The last verification of the host has failed checks.",
        not_at=(5,),
    ),
    Case(
        "VerdictStale",
        # The clock of these cases begins at 0.
        {"ai_backend_verdict_timestamp_seconds": "0x200"},
        100,
        {},
        "The host has not verified itself for more than 75 minutes.",
        not_at=(75, 89),
    ),
    Case("VerdictStale", {}, 20, {}, "The host has not verified itself for more than 75 minutes.", not_at=(10,)),
    Case(
        "Unreadable",
        {'up{job="litellm",instance="litellm@a"}': "1x4 0x5", 'up{job="node",instance="node"}': "1x9"},
        8,
        {"job": "litellm", "instance": "litellm@a"},
        "Prometheus cannot read the metrics of litellm@a (litellm).",
        not_at=(6,),
    ),
    Case(
        "UnitFailed",
        {
            'node_systemd_unit_state{state="failed",name="vllm@big.service"}': "0x4 1x5",
            # It fails whenever the host does not pass.
            'node_systemd_unit_state{state="failed",name="ai-backend-verify.service"}': "1x9",
        },
        7,
        {"state": "failed", "name": "vllm@big.service"},
        "vllm@big.service has failed.",
        not_at=(5,),
    ),
    Case(
        "UnitRestarts",
        {
            'node_systemd_service_restart_total{name="ollama.service"}': "0x59 1x9 3x60",
            'node_systemd_service_restart_total{name="litellm@a.service"}': "0x59 1x70",
        },
        80,
        {"name": "ollama.service"},
        "ollama.service was started again 3 times within an hour.",
        not_at=(65,),
    ),
    Case(
        "DeploymentFails",
        {
            _FAILURES % ("a@vllm", "500"): "_x4 1x3 5x9",
            # A mistake of a client, and the canary.
            _FAILURES % ("a@vllm", "400"): "0+9x20",
            _FAILURES % ("", "500"): "0+9x20",
            _FAILURES % ("ai-backend-canary", "500"): "0+9x20",
        },
        9,
        {"requested_model": "a", "model_id": "a@vllm"},
        "a@vllm fails requests for a.",
        not_at=(6,),
    ),
    Case(
        "FallbacksTaken",
        # The first one makes the series.
        {_FALLBACKS % "a": "_x4 1x40", _FALLBACKS % "ai-backend-canary": "0+1x40"},
        6,
        {"requested_model": "a", "fallback_model": "b"},
        "Requests for a went on to its fallback b.",
        not_at=(3, 25),
    ),
    Case(
        "RequestsFail",
        {_FRONT % "2xx": "0+90x20", _FRONT % "5xx": "0x5 0+10x20"},
        15,
        {},
        "10% of all requests end with an error of the server.",
        not_at=(5,),
    ),
    Case(
        "RequestsWait",
        {'haproxy_backend_current_queue{proxy="gateways"}': "0x4 3x9"},
        11,
        {"proxy": "gateways"},
        "Requests wait for a gateway instance: 3 just now.",
        not_at=(9,),
    ),
    Case(
        "UnitMemoryNearBound",
        {_CHECK % ("unit/ollama.service/memory", "unit", "ollama.service"): "1x4 0x5", **_DEAD},
        6,
        {"check": "unit/ollama.service/memory", "group": "unit", "subject": "ollama.service"},
        "ollama.service is near the bound of its memory, or was killed for lack of it.",
        not_at=(4,),
    ),
    Case(
        "HostMemoryLow",
        {"node_memory_MemAvailable_bytes": "50x4 4x20", "node_memory_MemTotal_bytes": "100x30"},
        16,
        {},
        "4% of the host's memory is available.",
        not_at=(14,),
    ),
    Case(
        "ProcessesKilled",
        {"node_vmstat_oom_kill": "0x19 1x40"},
        25,
        {},
        "The kernel has killed processes for lack of memory.",
        not_at=(19, 40),
    ),
    Case(
        "DiskFillsUp",
        {f"node_filesystem_avail_bytes{_DISK}": "30000-8x600", f"node_filesystem_size_bytes{_DISK}": "100000x600"},
        500,
        _DISK_LABELS,
        "/ will be full within four days if it goes on like this.",
        not_at=(59,),
    ),
    Case(
        "DiskFull",
        {f"node_filesystem_avail_bytes{_DISK}": "30x4 2x20", f"node_filesystem_size_bytes{_DISK}": "100x30"},
        11,
        _DISK_LABELS,
        "/ has 2% of its space left.",
        not_at=(9,),
    ),
    Case(
        "CertificateEnds",
        {_CHECK % ("gateway/certificate", "gateway", "gateway"): "1x4 0x5"},
        6,
        {"check": "gateway/certificate", "group": "gateway", "subject": "gateway"},
        "The endpoint's certificate ends soon, or is not what it should be.",
        not_at=(4,),
    ),
    Case(
        "CardUnusable",
        {_CHECK % ("unit/vllm@big.service/gpu-memory", "unit", "vllm@big.service"): "1x4 0x5", **_DEAD},
        6,
        {
            "check": "unit/vllm@big.service/gpu-memory",
            "group": "unit",
            "subject": "vllm@big.service",
        },
        "A graphics card or its driver is not as vllm@big.service needs it.",
        not_at=(4,),
    ),
    Case(
        "CardHot",
        # It says how much hotter it may be: how hot it is says less.
        {_CARD % "temperature_left_celsius": "30x4 3x20", _CARD % "temperature_celsius": "50x4 84x20"},
        11,
        _CARD_LABELS,
        "Card 0 is near the highest temperature at which it runs.",
        not_at=(9,),
    ),
    Case(
        "CardHot",
        {
            _CARD % "temperature_celsius": "87x4 88x20",
            'ai_backend_card_temperature_celsius{card="1",uuid="GPU-1"}': "93x24",
            'ai_backend_card_temperature_left_celsius{card="1",uuid="GPU-1"}': "4x24",
        },
        11,
        _CARD_LABELS,
        "Card 0 is near the highest temperature at which it runs.",
        not_at=(9,),
    ),
    Case(
        "CardThrottled",
        {
            # Not in each moment, and more than half of the time.
            _THROTTLED % "sw_thermal_slowdown": "0x9 1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1 1 0",
            _THROTTLED % "hw_slowdown": "0x30",
        },
        24,
        _CARD_LABELS,
        "Card 0 has been slowed down by its temperature or its power supply for most of ten minutes.",
        not_at=(12, 17),
    ),
    Case(
        "CardMemoryErrors",
        {_CARD % "uncorrected_errors_total": "0x4 1x9"},
        6,
        _CARD_LABELS,
        "Card 0 has had errors of its memory that could not be corrected.",
        not_at=(4,),
    ),
    Case(
        "AlertsNotSent",
        {'alertmanager_notifications_failed_total{integration="webhook"}': "0x9 2x30"},
        17,
        {"integration": "webhook"},
        "Alerts do not reach whom they should.",
        not_at=(14, 35),
    ),
    Case(
        "AlertsNotSent",
        {'prometheus_notifications_errors_total{alertmanager="a"}': "0x9 1+1x30"},
        17,
        {"alertmanager": "a"},
        "Alerts do not reach whom they should.",
        not_at=(14,),
    ),
    Case(
        "BudgetNearEnd",
        {
            _BUDGET % ("client", "", "client", "ada", "month"): "20x30",
            _BUDGET % ("client", "_spent", "client", "ada", "month"): "15x4 16x5 20x20",
            _BUDGET % ("provider", "", "provider", "cloud", "day"): "5x30",
            _BUDGET % ("provider", "_spent", "provider", "cloud", "day"): "3.9x30",
        },
        6,
        {"owner": "client ada", "per": "month"},
        "80% of the budget per month of client ada are spent.",
        not_at=(4, 11),
    ),
    Case(
        "BudgetSpent",
        {
            _BUDGET % ("client", "", "client", "ada", "month"): "20x30",
            _BUDGET % ("client", "_spent", "client", "ada", "month"): "19.9x30",
            _BUDGET % ("provider", "", "provider", "cloud", "day"): "5x30",
            _BUDGET % ("provider", "_spent", "provider", "cloud", "day"): "4.9x4 5.1x5 0x20",
        },
        6,
        {"owner": "provider cloud", "per": "day"},
        "The budget per day of provider cloud is spent.",
        not_at=(4, 11),
    ),
    Case(
        "RemoteWriteFails",
        # One that takes nothing of what it is sent, and one that was started again.
        {_REMOTE % ("failed", "1"): "0x4 0+500x40", _REMOTE % ("retried", "2"): "0x4 500+500x1 1000x40"},
        20,
        _REMOTE_LABELS,
        "Metrics do not reach https://metrics.example.com/1.",
        not_at=(5, 14),
    ),
    Case(
        "RemoteWriteFails",
        # One that is away.
        {_REMOTE % ("failed", "1"): "0x40", _REMOTE % ("retried", "1"): "0x4 0+6000x20 120000x20"},
        20,
        _REMOTE_LABELS,
        "Metrics do not reach https://metrics.example.com/1.",
        not_at=(5, 14, 32),
    ),
    Case(
        "RulesFail",
        {'prometheus_rule_evaluation_failures_total{rule_group="ai-backend"}': "0x9 2x30"},
        15,
        {"rule_group": "ai-backend"},
        "Prometheus cannot evaluate its alerts.",
        not_at=(9, 35),
    ),
)

HEALTHY = {
    _CHECK % ("route/a/chat", "route", "a"): "1x600",
    # One that could not be made.
    _CHECK % ("unit/ollama.service/memory", "unit", "ollama.service"): "_x600",
    "ai_backend_verdict": "1x600",
    "ai_backend_verdict_timestamp_seconds": "0+60x600",
    'up{job="node",instance="node"}': "1x600",
    'node_systemd_unit_state{state="failed",name="ollama.service"}': "0x600",
    'node_systemd_service_restart_total{name="ollama.service"}': "4x600",
    _FAILURES % ("a@vllm", "500"): "7x600",
    _FALLBACKS % "a": "7x600",
    _FRONT % "2xx": "0+90x600",
    _FRONT % "5xx": "3x600",
    'haproxy_backend_current_queue{proxy="gateways"}': "0x600",
    "node_memory_MemAvailable_bytes": "50x600",
    "node_memory_MemTotal_bytes": "100x600",
    "node_vmstat_oom_kill": "2x600",
    f"node_filesystem_avail_bytes{_DISK}": "30000-1x600",
    f"node_filesystem_size_bytes{_DISK}": "100000x600",
    'node_filesystem_avail_bytes{fstype="tmpfs",mountpoint="/run"}': "0x600",
    'node_filesystem_size_bytes{fstype="tmpfs",mountpoint="/run"}': "100x600",
    # A large model is fetched to it, in twenty minutes.
    'node_filesystem_avail_bytes{fstype="ext4",mountpoint="/models"}': "35000x60 35000-500x20 25000x600",
    'node_filesystem_size_bytes{fstype="ext4",mountpoint="/models"}': "100000x700",
    'node_filesystem_avail_bytes{fstype="iso9660",mountpoint="/media/cdrom"}': "0x600",
    'node_filesystem_size_bytes{fstype="iso9660",mountpoint="/media/cdrom"}': "100x600",
    # It draws what it may, as cards do under load, and was too hot for a moment.
    _THROTTLED % "sw_power_cap": "1x600",
    _THROTTLED % "hw_thermal_slowdown": "0x100 1 1 0x600",
    _CARD % "temperature_celsius": "85x600",
    _CARD % "uncorrected_errors_total": "0x600",
    "prometheus_notifications_dropped_total": "0x118 2x500",
    'prometheus_notifications_errors_total{alertmanager="a"}': "0x118 2x500",
    "alertmanager_notifications_failed_total": "2x600",
    "prometheus_rule_evaluation_failures_total": "2x600",
    _BUDGET % ("client", "", "client", "ada", "month"): "20x600",
    _BUDGET % ("client", "_spent", "client", "ada", "month"): "15x600",
    _REMOTE % ("failed", "1"): "500x600",
    _REMOTE % ("retried", "1"): "500x600",
    "prometheus_remote_storage_samples_pending": "452x600",
}
"""A host on which nothing is wrong that is not long past."""


def cases_file(rules: str) -> str:
    """The text of promtool's file: each case, and that a healthy host raises none.

    Args:
        rules: the rules' file.
    """
    known = {alert.name: alert for alert in alerts(EVERY)}
    quiet = [{"eval_time": f"{minutes}m", "alertname": name} for name in known for minutes in (120, 125, 150, 300, 600)]
    return yaml.safe_dump(
        {
            "rule_files": [rules],
            "evaluation_interval": "1m",
            "tests": [
                {"interval": "1m", "input_series": _input(HEALTHY), "alert_rule_test": quiet},
                *(_test(case, known[case.alert]) for case in CASES),
            ],
        },
        sort_keys=False,
    )


def _test(case: Case, alert: Alert) -> dict[str, Any]:
    raised = {
        "exp_labels": {**case.labels, "severity": alert.severity},
        "exp_annotations": {
            "summary": case.summary,
            "description": re.sub(r"\{\{ \$labels\.(\w+) }}", lambda found: case.labels[found[1]], alert.described),
            "runbook": f"docs/monitoring.md, Alerts: {alert.name}",
        },
    }
    looks = [{"eval_time": f"{minutes}m", "alertname": alert.name} for minutes in case.not_at]
    return {
        "interval": "1m",
        "input_series": _input(case.series),
        "alert_rule_test": [*looks, {"eval_time": f"{case.at}m", "alertname": alert.name, "exp_alerts": [raised]}],
    }


def _input(series: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]
