"""What is counted of a request, and that every count reaches the file once, whatever happens to the file."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from roles.contract.usage import EARLIER, KEPT_DAYS, TABLE, USAGE_FILE
from roles.litellm.requests import usage as module
from roles.litellm.requests.routes import Routes
from roles.litellm.requests.usage import Names, Numbers, Spender, Usage, of_answer, of_failure
from roles.rooms import plan_of
from tests.stacks import small_stack

ADA = Spender(client="ada")
TODAY = date(2028, 2, 29)
"""No test may hold on some days only, or break when it runs over midnight."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / USAGE_FILE


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Routes:
    """Of the small stack: `n`, with the alias `gpt-4o`, falls back to `p`."""
    path = tmp_path_factory.mktemp("routes") / "model-mappings.yaml"
    path.write_text(plan_of(small_stack()).files["model-mappings.yaml"])
    return Routes(path)


def counter(file: Path, today: date = TODAY) -> Usage:
    return Usage(file, lambda: today)


def rows(file: Path) -> list[tuple[Any, ...]]:
    base = sqlite3.connect(file)
    try:
        return sorted(base.execute("SELECT * FROM usage"))
    finally:
        base.close()


def sent(client: str | None = "ada", **more: Any) -> dict[str, Any]:
    headers = {"host": "x", **({"x-ai-backend-client": client} if client is not None else {})}
    return {"proxy_server_request": {"headers": headers, "body": {"messages": "secret"}}, **more}


def answered(place: str = "metadata", client: str | None = "ada", **metadata: Any) -> dict[str, Any]:
    """As LiteLLM logs it."""
    return {
        "litellm_params": sent(client, **{place: metadata}),
        "standard_logging_object": {"model_id": "n@native", "prompt_tokens": 22, "completion_tokens": 7},
    }


# --- What is counted


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
def test_an_answer_counts_for_its_client_route_and_deployment(place: str, routes: Routes) -> None:
    counted = of_answer(answered(place, model_group="n", original_model_group="n"), routes)
    assert counted == (Names("ada", "n", "n@native"), Numbers(tokens_in=22, tokens_out=7))


def test_an_answer_costs_what_litellm_says(routes: Routes) -> None:
    details = answered(model_group="n", original_model_group="n")
    details["standard_logging_object"]["response_cost"] = 22 * 0.15e-6 + 7 * 0.6e-6
    counted = of_answer(details, routes)
    assert counted is not None
    assert counted[1].nanodollars == 22 * 150 + 7 * 600


@pytest.mark.parametrize("name", ["gpt-4o", "n@native"])
def test_an_alias_and_a_deployment_count_for_their_route(name: str, routes: Routes) -> None:
    counted = of_answer(answered(model_group=name), routes)
    assert counted is not None
    assert counted[0] == Names("ada", "n", "n@native")


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        pytest.param(["Timeout", "InternalServerError"], "timeout", id="the-first"),
        pytest.param(["InternalServerError"], "server_error", id="server"),
        pytest.param(["RouterRateLimitError"], "cooldown", id="cooldown"),
        pytest.param(["ContextWindowExceededError"], "too_long", id="too-long"),
        pytest.param(["SomethingNew"], "other", id="unknown"),
        pytest.param([], "other", id="not-said"),
    ],
)
def test_a_fallback_counts_for_the_route_that_was_asked_with_its_reason(
    errors: list[str], reason: str, routes: Routes
) -> None:
    attempts = tuple({"exception_type": error, "exception_string": "secret"} for error in errors)
    counted = of_answer(answered(model_group="p", original_model_group="gpt-4o", previous_models=attempts), routes)
    assert counted is not None
    assert counted[0] == Names("ada", "n", "n@native", reason)


def test_another_deployment_of_the_same_route_is_no_fallback(routes: Routes) -> None:
    attempts = ({"exception_type": "Timeout"},)
    counted = of_answer(answered(model_group="n", original_model_group="n", previous_models=attempts), routes)
    assert counted is not None
    assert counted[0].reason == ""


def test_the_canary_is_not_counted(routes: Routes) -> None:
    assert of_answer(answered(model_group="p", original_model_group="ai-backend-canary"), routes) is None


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("a b", id="space"),
        pytest.param("x" * 100, id="long"),
        pytest.param('ada"}', id="quote"),
        pytest.param("ada\n", id="line"),
    ],
)
def test_a_request_without_a_usable_name_of_a_client_is_nobodys(name: str | None, routes: Routes) -> None:
    counted = of_answer(answered(client=name, model_group="n"), routes)
    assert counted is not None
    assert counted[0].client == "-"


@pytest.mark.parametrize(("status", "refused", "failed"), [(400, 1, 0), (429, 1, 0), (500, 0, 1)])
def test_an_error_is_refused_or_failed_by_its_status(status: int, refused: int, failed: int, routes: Routes) -> None:
    counted = of_failure(sent(model="n"), status, routes)
    assert counted == (Names("ada", "n"), Numbers(refused=refused, failed=failed))


def test_a_request_that_is_refused_before_litellm_knows_whose_it_is_counts_for_its_client(routes: Routes) -> None:
    assert of_failure({"model": "n"}, 429, routes, "ada")[0] == Names("ada", "n")


def test_a_made_up_model_is_not_kept_by_its_name(routes: Routes) -> None:
    assert of_failure(sent(model="what I asked for"), 404, routes)[0] == Names("ada", "-")
    assert of_failure({"model": None}, 400, routes)[0] == Names("-", "-")


# --- The file


def test_counts_are_added_to_what_is_there(file: Path, tmp_path: Path) -> None:
    usage = counter(file)
    for _ in range(3):
        usage.count(Names("ada", "n", "n@native"), Numbers(tokens_in=2, tokens_out=5), TODAY)
    usage.count(Names("ada", "n"), Numbers(refused=1), TODAY)
    usage.flush()
    usage.flush()
    assert rows(file) == [
        (TODAY.isoformat(), "ada", "n", "", "", 1, 1, 0, 0, 0),
        (TODAY.isoformat(), "ada", "n", "n@native", "", 3, 0, 0, 6, 15),
    ]
    usage.count(Names("ada", "n", "n@native"), Numbers(tokens_in=1), TODAY)
    usage.close()
    assert rows(file)[1][5:] == (4, 0, 0, 7, 15)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_is_written_every_few_seconds(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.05)
    usage = counter(file)
    usage.start()
    usage.count(Names("ada", "n"), Numbers())
    deadline = time.monotonic() + 10
    while not file.exists() or not rows(file):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    usage.close()
    assert [row[5] for row in rows(file)] == [1]


def _count(file: Path, times: int) -> None:
    usage = counter(file)
    for _ in range(times):
        usage.count(Names("ada", "n"), Numbers(tokens_in=1), TODAY)
        usage.flush()
    usage.close()


def test_two_instances_lose_nothing(file: Path) -> None:
    processes = [multiprocessing.get_context("spawn").Process(target=_count, args=(file, 50)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [row[5:] for row in rows(file)] == [(100, 0, 0, 100, 0)]


@pytest.fixture
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """Another process that does not stop writing."""
    file.parent.mkdir()
    base = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    base.execute("BEGIN EXCLUSIVE")
    yield base
    base.close()


def test_a_locked_file_delays_no_request_and_loses_none(
    file: Path, locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.3)
    usage = counter(file)
    usage.count(Names("ada", "n"), Numbers(), TODAY)
    writing = threading.Thread(target=usage.flush)
    writing.start()
    began = time.monotonic()
    for _ in range(1000):
        usage.count(Names("ada", "n"), Numbers(), TODAY)
    assert time.monotonic() - began < 0.25
    writing.join()
    usage.flush()
    assert len(caplog.records) == 1, "said once"
    locked.execute("ROLLBACK")
    usage.flush()
    assert [row[5] for row in rows(file)] == [1001]


def test_a_folder_that_cannot_be_written_loses_nothing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.write_text("no folder")
    usage = counter(file)
    usage.count(Names("ada", "n"), Numbers(), TODAY)
    usage.flush()
    assert str(file) in caplog.text
    file.parent.unlink()
    usage.close()
    assert [row[5] for row in rows(file)] == [1]


def test_a_damaged_file_is_put_aside(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("no database at all, " * 100)
    usage = counter(file)
    usage.count(Names("ada", "n"), Numbers(), TODAY)
    usage.close()
    assert [row[5] for row in rows(file)] == [1]
    assert file.with_name("usage.sqlite.damaged").read_text().startswith("no database")


def test_what_is_counted_after_midnight_is_the_next_days(file: Path) -> None:
    days = [date(2027, 12, 31), date(2028, 1, 1)]
    usage = Usage(file, lambda: days[0])
    for _ in range(2):
        cost(usage, 5, None)
        usage.flush()
        days.sort(reverse=True)
    assert [row[0] for row in rows(file)] == ["2027-12-31", "2028-01-01"]
    assert (usage.spent(ADA, date(2028, 1, 1)), usage.spent(ADA, date(2027, 12, 1))) == (5, 10)


@pytest.mark.parametrize("today", [date(2027, 12, 31), date(2028, 1, 1), date(2028, 2, 29), date(2028, 3, 1)], ids=str)
def test_days_go_after_a_year_and_more_but_stay_in_the_sums(file: Path, today: date) -> None:
    usage = counter(file, today)
    days = [today - timedelta(days=days) for days in (KEPT_DAYS + 300, KEPT_DAYS + 1, KEPT_DAYS, 0)]
    for day in days:
        usage.count(Names("ada", "n"), Numbers(tokens_in=10), day)
        usage.flush()
    assert [(row[0], row[5], row[8]) for row in rows(file)] == [
        (EARLIER, 2, 20),
        (days[2].isoformat(), 1, 10),
        (days[3].isoformat(), 1, 10),
    ]


# --- What is spent


def cost(usage: Usage, nanodollars: int, day: date | None = TODAY, client: str = "ada") -> None:
    usage.count(Names(client, "n", "n@native"), Numbers(nanodollars=nanodollars), day)


def test_what_a_client_has_spent_counts_at_once_and_only_once(file: Path) -> None:
    usage = counter(file)
    assert usage.spent(ADA, TODAY) == 0
    cost(usage, 5)
    cost(usage, 7, client="bob")
    cost(usage, 100, TODAY - timedelta(days=1))
    assert usage.spent(ADA, TODAY) == 5
    usage.flush()
    assert usage.spent(ADA, TODAY) == 5
    cost(usage, 2)
    assert usage.spent(ADA, TODAY) == 7
    assert usage.spent(ADA, TODAY - timedelta(days=1)) == 107


def test_it_is_kept_over_a_restart_and_seen_by_the_other_instance(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = counter(file), counter(file)
    cost(first, 5)
    first.close()
    assert second.spent(ADA, TODAY) == 5
    monkeypatch.setattr(module, "_FRESH", 0.0)
    cost(third := counter(file), 6)
    third.close()
    assert second.spent(ADA, TODAY) == 11


def test_what_was_read_before_counts_while_the_file_is_locked(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_FRESH", 0.0)
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    usage = counter(file)
    cost(usage, 5)
    usage.flush()
    assert usage.spent(ADA, TODAY) == 5
    base = sqlite3.connect(file, isolation_level=None)
    base.execute("BEGIN EXCLUSIVE")
    cost(usage, 1)
    assert usage.spent(ADA, TODAY) == 6
    assert str(file) in caplog.text
    base.close()


def test_costs_are_added_to_a_file_of_a_version_that_counted_none(file: Path) -> None:
    """And that version, started again, adds to it: it gives a value to each column."""
    file.parent.mkdir()
    base = sqlite3.connect(file, isolation_level=None)
    base.execute(TABLE)
    base.execute("INSERT INTO usage VALUES (?, 'ada', 'n', 'n@native', '', 1, 0, 0, 2, 3)", (TODAY.isoformat(),))
    usage = counter(file)
    assert usage.spent(ADA, TODAY) == 0
    cost(usage, 5)
    usage.flush()
    assert rows(file) == [(TODAY.isoformat(), "ada", "n", "n@native", "", 2, 0, 0, 2, 3)]
    assert usage.spent(ADA, TODAY) == 5
    base.execute("INSERT INTO usage VALUES (?, 'bob', 'n', 'n@native', '', 1, 0, 0, 2, 3)", (TODAY.isoformat(),))
    base.close()


def test_costs_stay_in_the_sums(file: Path) -> None:
    usage = counter(file)
    for days in (KEPT_DAYS + 300, KEPT_DAYS + 1, 0):
        cost(usage, 10, TODAY - timedelta(days=days))
        usage.flush()
    base = sqlite3.connect(file)
    found = sorted(base.execute("SELECT day, nanodollars FROM costs"))
    base.close()
    assert found == [(EARLIER, 20), (TODAY.isoformat(), 10)]


def test_what_was_spent_at_a_provider_is_that_of_all_its_deployments(file: Path) -> None:
    usage, cloud = counter(file), Spender(provider="cloud")
    for deployment in ("small@cloud", "big@cloud/other/route", "cloud@native", "small@cloud2", "small@a-cloud"):
        for client in ("ada", "eve"):
            usage.count(Names(client, "n", deployment), Numbers(nanodollars=1))
    usage.count(Names("ada", "n", "small@cloud"), Numbers(nanodollars=10), TODAY - timedelta(days=1))
    assert usage.spent(cloud, TODAY) == 4
    usage.flush()
    assert usage.spent(cloud, TODAY) == 4
    usage.count(Names("ada", "n", "small@cloud"), Numbers(nanodollars=3))
    assert usage.spent(cloud, TODAY) == 7
    assert usage.spent(cloud, TODAY - timedelta(days=1)) == 17
