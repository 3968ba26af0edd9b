"""The alerts: what a person must act on, how it is seen, and what to do. `docs/monitoring.md` has them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roles.contract.budgets import WARNING_SHARE
from roles.plan import Json

CANARY = "ai-backend-canary"
"""It fails by intent, each time that the host is verified."""
_OWN_FAILURES = "5..|408"
"""Statuses by which a server says that it has failed, not that a request was wrong."""
NO_DISKS = "tmpfs|ramfs|overlay|squashfs|erofs|iso9660|udf"
"""File systems that nobody's models are on, whose space is that of another, or that are always full, as images are.
Which can be written to node exporter does not know: to its sandbox all are read-only."""
_RUNS = 'unless on (subject) ai_backend_check{check=~"unit/.+/active"} == 0'
"""A unit without a process fails its checks of memory too: of that, other alerts speak."""

_LEFT = "ai_backend_card_temperature_left_celsius"
"""Where a card says it: for others stands a temperature near which all of them slow down."""


@dataclass(frozen=True)
class Alert:
    """An alert.

    Attributes:
        expression: what it is raised by, in PromQL; for each of its series there is one.
        lasts: how long that must go on first.
        severity: `critical` = clients are refused, or soon will be; `warning` = look at it within the day.
        summary: what is so, with the labels of the series.
        fix: what to do.
        checks: the verifier's checks whose rows of `docs/troubleshooting.md` say more, as there; empty = none.
    """

    name: str
    expression: str
    lasts: str
    severity: Literal["critical", "warning"]
    summary: str
    fix: str
    checks: str = ""

    @property
    def described(self) -> str:
        """What to do, and where more is said."""
        return f"{self.fix} docs/troubleshooting.md, Red checks: {self.checks}" if self.checks else self.fix


def _grown(series: str, window: str) -> str:
    """By how much a counter has grown, also one that did not exist before: `increase` alone misses the first of a kind.
    Its instances and their restarts make no difference."""
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def _spent_shares() -> str:
    """What is spent of each budget, as a part of it."""
    spent = [
        f'label_replace(ai_backend_{whose}_budget_spent_dollars / ai_backend_{whose}_budget_dollars, "owner", '
        f'"{whose} $1", "{whose}", "(.+)")'
        for whose in ("client", "provider")
    ]
    return f"max by (owner, per) ({' or '.join(spent)})"


def alerts(every: int) -> tuple[Alert, ...]:
    """All of them.

    Args:
        every: seconds from the end of one verification to the next.
    """
    # One may wait for services that start for minutes; two that are missing are no accident.
    stale = 3 * every + 1800
    fallbacks = _grown(f'litellm_deployment_successful_fallbacks_total{{requested_model!="{CANARY}"}}', "15m")
    failures = _grown(
        f'litellm_deployment_failure_responses_total{{model_id!~"|{CANARY}",exception_status=~"{_OWN_FAILURES}"}}',
        "5m",
    )
    answers = 'haproxy_frontend_http_responses_total{proxy="endpoint"}'
    errors = answers.replace("}", ',code="5xx"}')
    budgets = _spent_shares()
    space = f'{{fstype!~"{NO_DISKS}"}}'
    return (
        Alert(
            "RouteFails",
            'min by (subject) (ai_backend_check{group="route"}) == 0',
            "0s",
            "critical",
            "The route {{ $labels.subject }} fails its verification.",
            "Run /etc/ai-backend/bin/verify: it names the likely cause and the command that shows more.",
            "route/*",
        ),
        Alert(
            "VerdictFails",
            "ai_backend_verdict == 0",
            "1m",
            "warning",
            "The last verification of the host has failed checks.",
            "Run /etc/ai-backend/bin/verify, or open the newest page of /var/lib/ai-backend/verdicts.",
            "all",
        ),
        Alert(
            "VerdictStale",
            f"time() - ai_backend_verdict_timestamp_seconds > {stale} or absent(ai_backend_verdict_timestamp_seconds)",
            "15m",
            "warning",
            f"The host has not verified itself for more than {stale // 60} minutes.",
            "systemctl list-timers ai-backend-verify.timer; journalctl -u ai-backend-verify says why.",
        ),
        Alert(
            "Unreadable",
            "up == 0",
            "2m",
            "critical",
            "Prometheus cannot read the metrics of {{ $labels.instance }} ({{ $labels.job }}).",
            "It is down, or hangs: run /etc/ai-backend/bin/verify. If it is well, "
            "journalctl -u ai-backend-prometheus says why.",
            "unit/*/active",
        ),
        Alert(
            "UnitFailed",
            'node_systemd_unit_state{state="failed",name!="ai-backend-verify.service"} == 1',
            "1m",
            "critical",
            "{{ $labels.name }} has failed.",
            "journalctl -u {{ $labels.name }} -n 50 says why; systemctl restart {{ $labels.name }} tries it again.",
            "unit/*/active",
        ),
        Alert(
            "UnitRestarts",
            # `increase` makes a little more of two.
            "round(increase(node_systemd_service_restart_total[1h])) > 2",
            "0s",
            "warning",
            '{{ $labels.name }} was started again {{ $value | printf "%.0f" }} times within an hour.',
            "journalctl -u {{ $labels.name }} has what ended it each time.",
            "unit/*/restarts",
        ),
        Alert(
            "DeploymentFails",
            f"sum by (requested_model, model_id) ({failures}) > 3",
            "0s",
            "warning",
            "{{ $labels.model_id }} fails requests for {{ $labels.requested_model }}.",
            "journalctl of its unit; deploys/trace.py --data request=ID shows one request's way.",
            "route/*",
        ),
        Alert(
            "FallbacksTaken",
            f"sum by (requested_model, fallback_model) ({fallbacks}) > 0",
            "0s",
            "warning",
            # Of fallbacks within fallbacks LiteLLM counts each one, not only the last, which has answered.
            "Requests for {{ $labels.requested_model }} went on to its fallback {{ $labels.fallback_model }}.",
            "What should have answered has failed, or is in cooldown: its unit's journal says why.",
            "route/*",
        ),
        Alert(
            "RequestsFail",
            f"sum(rate({errors}[5m])) / sum(rate({answers}[5m])) > 0.05 and sum(increase({errors}[5m])) > 5",
            "2m",
            "critical",
            "{{ $value | humanizePercentage }} of all requests end with an error of the server.",
            "journalctl -u ai-backend-front shows each with its route and deployment.",
            "route/*",
        ),
        Alert(
            "RequestsWait",
            'haproxy_backend_current_queue{proxy="gateways"} > 0',
            "5m",
            "warning",
            "Requests wait for a gateway instance: {{ $value }} just now.",
            "Raise `instances` or `max_in_flight` of LiteLLM, or give its routes more deployments.",
        ),
        Alert(
            "UnitMemoryNearBound",
            f'ai_backend_check{{check=~"unit/.+/memory"}} == 0 {_RUNS}',
            "0s",
            "warning",
            "{{ $labels.subject }} is near the bound of its memory, or was killed for lack of it.",
            "Raise its `memory_max`, or let it take less: a smaller context, fewer parallel requests.",
            "unit/*/memory",
        ),
        Alert(
            "HostMemoryLow",
            "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.05",
            "10m",
            "warning",
            "{{ $value | humanizePercentage }} of the host's memory is available.",
            "systemd-cgtop -m shows who takes it; docs/memory.md says what models take.",
        ),
        Alert(
            "ProcessesKilled",
            "increase(node_vmstat_oom_kill[15m]) > 0",
            "0s",
            "critical",
            "The kernel has killed processes for lack of memory.",
            "journalctl -k -g oom names them.",
            "unit/*/memory",
        ),
        Alert(
            "DiskFillsUp",
            # By the last half hour too: one large download weighs on the six hours long after it has ended.
            f"predict_linear(node_filesystem_avail_bytes{space}[6h], 4 * 86400) < 0"
            f" and predict_linear(node_filesystem_avail_bytes{space}[30m], 4 * 86400) < 0"
            f" and node_filesystem_avail_bytes{space} / node_filesystem_size_bytes{space} < 0.4",
            "1h",
            "warning",
            "{{ $labels.mountpoint }} will be full within four days if it goes on like this.",
            "deploys/prune.py frees unused installs and models; du -xhd2 {{ $labels.mountpoint }} shows the rest.",
            "host/disk",
        ),
        Alert(
            "DiskFull",
            f"node_filesystem_avail_bytes{space} / node_filesystem_size_bytes{space} < 0.03",
            "5m",
            "critical",
            "{{ $labels.mountpoint }} has {{ $value | humanizePercentage }} of its space left.",
            "deploys/prune.py frees unused installs and models.",
            "host/disk",
        ),
        Alert(
            "CertificateEnds",
            'ai_backend_check{check="gateway/certificate"} == 0',
            "0s",
            "warning",
            "The endpoint's certificate ends soon, or is not what it should be.",
            "Renew it on the host; /etc/ai-backend/bin/verify says until when it is good.",
            "gateway/certificate",
        ),
        Alert(
            "CardUnusable",
            f'ai_backend_check{{check=~"host/driver|unit/.+/gpu-memory"}} == 0 {_RUNS}',
            "0s",
            "critical",
            "A graphics card or its driver is not as {{ $labels.subject }} needs it.",
            "/etc/ai-backend/bin/verify says which; after an upgrade of the driver the host must reboot.",
            "unit/*/gpu-memory",
        ),
        Alert(
            "CardHot",
            f"{_LEFT} <= 3 or (ai_backend_card_temperature_celsius >= 88 unless on (card, uuid) {_LEFT})",
            "5m",
            "warning",
            "Card {{ $labels.card }} is near the highest temperature at which it runs.",
            "nvidia-smi -q -d TEMPERATURE shows it. Clean its fans and filters, let cooler air in, or let it draw "
            "less: nvidia-smi -i {{ $labels.card }} -pl WATTS.",
        ),
        Alert(
            "CardThrottled",
            "max by (card, uuid) (avg_over_time(ai_backend_card_throttled"
            '{reason=~"hw_.+|sw_thermal_slowdown"}[10m])) > 0.5',
            "5m",
            "warning",
            "Card {{ $labels.card }} has been slowed down by its temperature or its power supply for most of ten "
            "minutes.",
            "nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER shows by which: cool it, or look at its power cables.",
        ),
        Alert(
            "CardMemoryErrors",
            "ai_backend_card_uncorrected_errors_total > 0",
            "0s",
            "critical",
            "Card {{ $labels.card }} has had errors of its memory that could not be corrected.",
            "Reboot the host, which takes what is broken out of use; if there are more, have the card replaced. "
            "nvidia-smi -q -d ECC,ROW_REMAPPER,PAGE_RETIREMENT says more.",
        ),
        Alert(
            "AlertsNotSent",
            # Not by what is dropped: in its first seconds Prometheus knows of no Alertmanager. And for longer than one
            # failure is looked back on: Alertmanager may start after it.
            "increase(prometheus_notifications_errors_total[5m]) > 0"
            " or increase(alertmanager_notifications_failed_total[15m]) > 0",
            "6m",
            "warning",
            "Alerts do not reach whom they should.",
            "journalctl -u ai-backend-alertmanager -u ai-backend-prometheus says why.",
        ),
        Alert(
            "BudgetNearEnd",
            f"{budgets} >= {WARNING_SHARE} < 1",
            "0s",
            "warning",
            "{{ $value | humanizePercentage }} of the budget per {{ $labels.per }} of {{ $labels.owner }} are spent.",
            "/etc/ai-backend/bin/verify says how much. Raise its `budget` in the inventory and deploy, or let it end.",
        ),
        Alert(
            "BudgetSpent",
            f"{budgets} >= 1",
            "0s",
            "warning",
            "The budget per {{ $labels.per }} of {{ $labels.owner }} is spent.",
            "A client is refused now; for a provider others answer, or nobody. It begins anew at midnight UTC; to "
            "change it, raise its `budget` in the inventory and deploy.",
        ),
        Alert(
            "RemoteWriteFails",
            "increase(prometheus_remote_storage_samples_failed_total[15m]) > 0"
            " or increase(prometheus_remote_storage_samples_retried_total[5m]) > 0",
            "10m",
            "warning",
            "Metrics do not reach {{ $labels.url }}.",
            "journalctl -u ai-backend-prometheus says why. What waits for longer than two hours is lost there; the "
            "host's own Prometheus has it.",
        ),
        Alert(
            "RulesFail",
            "increase(prometheus_rule_evaluation_failures_total[15m]) > 0",
            "0s",
            "warning",
            "Prometheus cannot evaluate its alerts.",
            "journalctl -u ai-backend-prometheus names the rule.",
        ),
    )


def rules_file(found: Sequence[Alert]) -> dict[str, Json]:
    """Prometheus' file of them."""
    return {"groups": [{"name": "ai-backend", "rules": [_rule(alert) for alert in found]}]}


def _rule(alert: Alert) -> Json:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.described,
            "runbook": f"docs/monitoring.md, Alerts: {alert.name}",
        },
    }
