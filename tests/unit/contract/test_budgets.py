"""The periods of a budget."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from roles.contract.budgets import Budget, Period, first_day, next_day, seconds_left


@pytest.mark.parametrize(
    ("per", "today", "first", "following"),
    [
        pytest.param("day", date(2026, 12, 31), date(2026, 12, 31), date(2027, 1, 1), id="last day of a year"),
        pytest.param("month", date(2026, 12, 31), date(2026, 12, 1), date(2027, 1, 1), id="last month of a year"),
        pytest.param("month", date(2028, 2, 1), date(2028, 2, 1), date(2028, 3, 1), id="month of 29 days"),
    ],
)
def test_a_period_begins_and_ends_at_midnight(per: Period, today: date, first: date, following: date) -> None:
    assert (first_day(per, today), next_day(per, today)) == (first, following)


def test_a_client_is_told_when_it_begins_anew() -> None:
    assert seconds_left("day", datetime(2026, 11, 28, 23, 59, 58, tzinfo=UTC)) == 3
    assert seconds_left("month", datetime(2026, 11, 30, 0, 0, 0, tzinfo=UTC)) == 24 * 3600 + 1


def test_a_budget_is_counted_exactly() -> None:
    assert Budget(per="day", usd=0.1).nanodollars == 100_000_000
