"""What the gateway counted is read as it was written; a file that is not there or damaged is no usage known."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from roles.contract.budgets import Budget as Limit
from roles.contract.clients import CLIENTS_FILE, Clients, Limits
from roles.contract.manifest import MODELS_FILE
from roles.contract.usage import USAGE_FILE
from roles.contract.verdict import BudgetUse, DayUsage, Fallbacks, ProviderBudgetUse, RouteUsage
from roles.contract.wire import written
from roles.external import External
from roles.litellm import LiteLLM
from roles.litellm.requests.usage import Names, Numbers, Usage
from roles.options import Budget, Deployment, Price, Route, Stack
from roles.rooms import plan_of
from roles.verify.probe import usage as module
from roles.verify.probe.usage import read_usage

TODAY = date(2028, 2, 29)
"""No test may hold on some days only, or break when it runs over midnight."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of TODAY."""
    return counted(tmp_path, TODAY)


def counted(folder: Path, today: date) -> Path:
    """A state folder in which ada was counted today, a week ago and two years ago."""
    usage = Usage(folder / USAGE_FILE, lambda: today)
    for days in (0, 6, 7, 700):
        usage.count(Names("ada", "n", "n@native"), Numbers(tokens_in=3, tokens_out=4), today - timedelta(days=days))
    usage.count(Names("ada", "n", "p@python", "timeout"), Numbers(), today)
    usage.count(Names("bob", "p"), Numbers(refused=1), today)
    usage.close()
    return folder


@pytest.mark.parametrize("today", [TODAY, date(2027, 12, 31), date(2028, 1, 1), date(2028, 3, 8)], ids=str)
def test_usage_is_read_by_client_and_route(tmp_path: Path, today: date) -> None:
    state = counted(tmp_path, today)
    found = read_usage(state, state, today)
    assert found is not None
    assert found.last_days == (RouteUsage("ada", "n", 3, 0, 0, 6, 8), RouteUsage("bob", "p", 1, 1, 0, 0, 0))
    assert found.total == (RouteUsage("ada", "n", 5, 0, 0, 12, 16), RouteUsage("bob", "p", 1, 1, 0, 0, 0))
    assert found.fallbacks == (Fallbacks("n", "p@python", "timeout", 1),)
    assert found.by_day == (
        DayUsage((today - timedelta(days=6)).isoformat(), "ada", "n", 1, 0, 0, 3, 4, 0),
        DayUsage(today.isoformat(), "ada", "n", 2, 0, 0, 3, 4, 0),
        DayUsage(today.isoformat(), "bob", "p", 1, 1, 0, 0, 0, 0),
    )


@pytest.mark.parametrize(
    ("today", "of_the_day", "of_the_month", "of_last_days"),
    [
        pytest.param(date(2028, 2, 29), 0.4, 1.4, 0.4, id="29 February"),
        pytest.param(date(2027, 12, 31), 0.4, 1.4, 0.4, id="31 December"),
        pytest.param(date(2028, 3, 1), 1.4, 1.4, 6.4, id="the first of a month"),
        pytest.param(date(2028, 3, 7), 0.4, 1.4, 1.4, id="a week into a month"),
        pytest.param(date(2028, 3, 8), 0.4, 1.4, 0.4, id="a day more"),
    ],
)
def test_costs_are_told_in_dollars_and_budgets_with_what_is_spent_of_them(
    tmp_path: Path, today: date, of_the_day: float, of_the_month: float, of_last_days: float
) -> None:
    """0.4 dollars today, 1 on the first of the month, and 5 on the day before that."""
    state = counted(tmp_path, today)
    limits = (
        Limits(name="ada", budget=Limit(per="day", usd=0.5)),
        Limits(name="eve", budget=Limit(per="month", usd=20)),
        Limits(name="bob"),
    )
    (state / CLIENTS_FILE).write_text(json.dumps(written(Clients(clients=limits))))
    usage = Usage(state / USAGE_FILE, lambda: today)
    first = today.replace(day=1)
    for day, cost in ((today, 400_000_000), (first, 1_000_000_000), (first - timedelta(days=1), 5_000_000_000)):
        for client in ("ada", "eve"):
            usage.count(Names(client, "n", "n@native"), Numbers(nanodollars=cost), day)
    usage.close()
    found = read_usage(state, state, today)
    assert found is not None
    assert {row.client: row.usd for row in found.total} == {"ada": 6.4, "eve": 6.4, "bob": 0.0}
    assert {row.client: row.usd for row in found.last_days if row.client != "bob"} == {
        "ada": of_last_days,
        "eve": of_last_days,
    }
    (of_today,) = (row for row in found.by_day if (row.client, row.day) == ("ada", today.isoformat()))
    assert of_today.usd == pytest.approx(of_the_day)
    assert found.budgets == (BudgetUse("ada", "day", 0.5, of_the_day), BudgetUse("eve", "month", 20, of_the_month))
    of_ada, of_eve = (each.warning for each in found.budgets)
    assert of_ada.startswith(f"client ada has spent {200 * of_the_day:.0f}% of the 0.5 US dollars for today")
    assert of_eve == ""


def test_a_providers_budget_is_told_with_what_all_its_deployments_cost(tmp_path: Path) -> None:
    budget = Budget(per="day", usd=2)
    cloud = External(name="cloud", url="https://api.example.com/v1", models=["small", "big"], budget=budget)
    cheap = Price(input=1, output=1)
    routes = [
        Route(name=name, deployments=[Deployment(provider="cloud", model=name, price=cheap)]) for name in cloud.models
    ]
    plan = plan_of(Stack(providers=[cloud], gateway=LiteLLM(canary=False), routes=routes))
    (tmp_path / MODELS_FILE).write_text(plan.files[MODELS_FILE])
    usage = Usage(tmp_path / USAGE_FILE, lambda: TODAY)
    for deployment in ("small@cloud", "big@cloud", "n@native"):
        usage.count(Names("ada", "small", deployment), Numbers(nanodollars=900_000_000))
    usage.count(Names("ada", "small", "small@cloud"), Numbers(nanodollars=5), TODAY - timedelta(days=1))
    usage.close()
    found = read_usage(tmp_path, tmp_path, TODAY)
    assert found is not None
    assert found.provider_budgets == (ProviderBudgetUse("cloud", "day", 2, 1.8),)
    (use,) = found.all_budgets
    assert use.warning == "provider cloud has cost 90% of the 2 US dollars for today"


def test_a_file_of_a_gateway_that_counted_no_costs_is_read(state: Path) -> None:
    base = sqlite3.connect(state / USAGE_FILE)
    base.execute("DROP TABLE costs")
    base.close()
    found = read_usage(state, state, TODAY)
    assert found is not None
    assert {row.usd for row in found.total} == {0.0}


def test_reading_leaves_no_trace(state: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (state / USAGE_FILE).parent.iterdir()}
    read_usage(state, state)
    assert {file: file.stat().st_mtime_ns for file in (state / USAGE_FILE).parent.iterdir()} == before
    empty = state / "elsewhere"
    assert read_usage(empty, state) is None
    assert not empty.exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("no database", id="text"),
        pytest.param("SQLite format 3\0" + "x" * 5000, id="torn"),
    ],
)
def test_a_damaged_file_is_no_usage_known(text: str, state: Path) -> None:
    (state / USAGE_FILE).write_text(text)
    assert read_usage(state, state) is None


def test_values_of_other_types_are_no_usage_known(state: Path) -> None:
    base = sqlite3.connect(state / USAGE_FILE)
    base.execute("INSERT INTO usage VALUES (?, x'00ff', 'n', '', '', 'many', 0, 0, 0, 0)", (TODAY.isoformat(),))
    base.commit()
    base.close()
    assert read_usage(state, state) is None


def test_a_gateway_that_writes_for_long_is_not_waited_for(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    base = sqlite3.connect(state / USAGE_FILE, isolation_level=None)
    base.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    assert read_usage(state, state) is None
    assert time.monotonic() - began < 2
    base.close()


def test_a_file_that_would_be_read_for_ever_is_given_up(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file belongs to the gateway, the verifier is root."""
    monkeypatch.setattr(module, "_LONGEST", 0.2)
    file = state / USAGE_FILE
    file.unlink()
    base = sqlite3.connect(file)
    base.execute(
        "CREATE VIEW usage AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT '2026-01-01' AS day, 'a' AS client, 'n' AS route, '' AS deployment, '' AS reason, "
        "i AS requests, 0 AS refused, 0 AS failed, 0 AS tokens_in, 0 AS tokens_out FROM n"
    )
    base.commit()
    base.close()
    began = time.monotonic()
    assert read_usage(state, state) is None
    assert time.monotonic() - began < 5
    file.rename(state / "real.sqlite")
    file.symlink_to(state / "real.sqlite")
    assert read_usage(state, state) is None
