"""Panels name only what is shown, and what the status page asks is a part of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from roles.contract.graphs import GRAPHS_FILE, WINDOW, Questions
from roles.contract.wire import read
from roles.host.programs.gpu.metrics import CardReader
from roles.litellm.metrics import METRICS
from roles.monitoring import Monitoring
from roles.monitoring.card_panels import CARDS
from roles.monitoring.panel import Panel
from roles.monitoring.panels import SECTIONS
from roles.monitoring.rules import alerts
from roles.rooms import plan_of
from roles.verify.reports.prometheus import prometheus
from tests.labhost.paths import REPOSITORY
from tests.metrics_tool import write_metrics_tool
from tests.stacks import small_stack
from tests.verdicts import BAD, USED

PANELS = [panel for section in SECTIONS for panel in section.panels]
QUERIES = [curve.query for panel in PANELS for curve in panel.curves]


def named(prefix: str) -> set[str]:
    return {name for query in QUERIES for name in re.findall(rf"\b{prefix}_\w+", query)}


def test_each_metric_of_litellm_is_one_that_it_is_told_to_show() -> None:
    groups: Any = METRICS["prometheus_metrics_config"]
    shown = {metric: {*group["include_labels"]} for group in groups for metric in group["metrics"]}
    for name in named("litellm"):
        assert re.sub("_(total|bucket)$", "", name) in shown
    for query in QUERIES:
        for metric, labels in shown.items():
            if re.search(rf"\b{metric}(_total|_bucket)\b", query):
                asked = {label for found in re.findall(r"by \(([^)]*)\)", query) for label in found.split(", ")}
                assert asked <= labels | {"le"}, query


def test_each_metric_of_the_verifier_is_one_that_it_writes() -> None:
    written = {*re.findall(r"^# TYPE (\w+)", prometheus(USED) + prometheus(BAD), re.MULTILINE)}
    others = {name for name in named("ai_backend") if not name.startswith("ai_backend_card_")}
    assert others
    assert others <= written


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The metrics of a card that has all of them."""
    write_metrics_tool(tmp_path, REPOSITORY / "tests/unit/gpu_recordings/hidden_processes/query-metrics")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return CardReader().metrics(math.inf)


def test_each_metric_of_cards_that_a_panel_or_an_alert_names_is_one_that_they_have(page: str) -> None:
    shown = {
        name: {*re.findall(r'(\w+)="', labels)} for name, labels in re.findall(r"^(\w+)\{(.*)} ", page, re.MULTILINE)
    }
    curves = [curve for panel in CARDS.panels for curve in panel.curves]
    raised = [alert for alert in alerts(900) if "ai_backend_card_" in alert.expression]
    assert {alert.name for alert in raised} == {"CardHot", "CardThrottled", "CardMemoryErrors"}
    for query in [*(curve.query for curve in curves), *(alert.expression for alert in raised)]:
        assert {*re.findall(r"ai_backend_card_\w+", query)} <= shown.keys(), query
    for curve in curves:
        (metric,) = re.findall(r"ai_backend_card_\w+", curve.query)
        assert {*re.findall(r"\{\{(\w+)}}", curve.name)} <= shown[metric]
    (throttled,) = (
        re.findall(r'reason=~"([^"]+)"', alert.expression) for alert in raised if "reason" in alert.expression
    )
    reasons = re.findall(r'reason="(\w+)"', page)
    assert [reason for reason in reasons if not re.fullmatch(throttled[0], reason)] == ["sw_power_cap"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_rate_is_of_a_counter_over_the_time_that_the_asker_chooses(panel: Panel) -> None:
    for curve in panel.curves:
        for counter in re.findall(r"\brate\(([\w:]+)", curve.query):
            assert counter.endswith(("_total", "_bucket")), counter
        assert curve.query.count("rate(") == curve.query.count(f"[{WINDOW}]")
        assert "$" not in curve.query.replace(WINDOW, "")


def test_titles_and_the_names_of_curves_tell_them_apart() -> None:
    assert len({panel.title for panel in PANELS}) == len(PANELS)
    assert all(len({curve.name for curve in panel.curves}) == len(panel.curves) for panel in PANELS)


def test_the_verifier_is_told_to_ask_this_prometheus_for_the_essential_ones() -> None:
    plan = plan_of(small_stack(monitoring=Monitoring(port=9190)))
    questions = read(Questions, json.loads(plan.files[GRAPHS_FILE]))
    assert questions.url == "http://127.0.0.1:9190"
    assert [graph.title for graph in questions.graphs] == [panel.title for panel in PANELS if panel.essential]
    assert GRAPHS_FILE not in plan_of(small_stack()).files
