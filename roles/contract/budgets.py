"""What a client may spend, or what may be spent at a provider: the periods of a budget, in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, TypeAlias

Period: TypeAlias = Literal["day", "month"]

PERIODS: Mapping[Period, str] = {"day": "today", "month": "this month"}
"""The period that it is now, for people."""

NANO = 1_000_000_000
"""Costs are counted in whole billionths of a US dollar: sums are exact, and a token of a small model costs some."""

WARNING_SHARE = 0.8
"""Of a budget, from which on reports warn."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most so many US dollars in a day or in a calendar month."""

    per: Period
    usd: float

    @property
    def nanodollars(self) -> int:
        return round(self.usd * NANO)


def first_day(per: Period, today: date) -> date:
    """The day on which the period began that a day belongs to."""
    return today if per == "day" else today.replace(day=1)


def next_day(per: Period, today: date) -> date:
    """The day on which the next one begins."""
    first = first_day(per, today)
    return first + timedelta(days=1) if per == "day" else (first + timedelta(days=32)).replace(day=1)


def seconds_left(per: Period, now: datetime) -> int:
    """Until then, at least one; `now` is in UTC."""
    begins = datetime.combine(next_day(per, now.date()), time(), UTC)
    return max(1, int((begins - now).total_seconds()) + 1)
