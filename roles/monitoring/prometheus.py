"""`prometheus.yml`: what Prometheus reads, how often, whom it notifies of alerts, and to whom it writes."""

from __future__ import annotations

from collections.abc import Sequence

from roles.monitoring.options import Monitoring
from roles.monitoring.remote_write import remote_write_config
from roles.plan import Json, MetricsPage

HOST_VARIABLE = "HOST_NAME"
_MOST_SAMPLES = 50_000
"""Of one page: a page with more is not read at all, and an alert says so."""
_LONGEST_READING = 10
"""Seconds that one page may take."""


def prometheus_config(monitoring: Monitoring, pages: Sequence[MetricsPage], rules: str, keys: str) -> dict[str, Json]:
    """
    Args:
        rules: the file of the alerts.
        keys: the folder of the keys for the pages and of other secrets, each in a file with the name of its variable.
    """
    written = remote_write_config(monitoring.remote_write, keys)
    return {
        "global": {
            "scrape_interval": f"{monitoring.interval}s",
            "scrape_timeout": f"{min(_LONGEST_READING, monitoring.interval)}s",
            "evaluation_interval": f"{monitoring.interval}s",
            "external_labels": {"host": f"${{{HOST_VARIABLE}}}"},
        },
        "rule_files": [rules],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{monitoring.alertmanager_port}"]}]}]
        },
        "scrape_configs": [_reading(page, keys) for page in pages],
        **({"remote_write": written} if written else {}),
    }


def _reading(page: MetricsPage, keys: str) -> Json:
    """How one page is read. Each has a job of its own, as each has its own key; its label `job` says of what kind."""
    return {
        "job_name": f"{page.job}/{page.instance}",
        "metrics_path": page.path,
        **({"params": {name: [value] for name, value in page.parameters.items()}} if page.parameters else {}),
        "sample_limit": _MOST_SAMPLES,
        **({"authorization": {"credentials_file": f"{keys}/{page.login.client_variable}"}} if page.login else {}),
        "static_configs": [{"targets": [page.address], "labels": {"job": page.job, "instance": page.instance}}],
    }
