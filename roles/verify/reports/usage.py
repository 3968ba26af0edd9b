"""Tables of what clients used, for every format of the status page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from roles.contract.verdict import DayUsage, RouteUsage, Usage

_Used = TypeVar("_Used", RouteUsage, DayUsage)

_MOST_ROWS = 20
"""Of the table by client, route and day."""


@dataclass(frozen=True)
class UsageRow:
    """The requests of a client, to a route, or of a day."""

    name: str
    requests: int
    refused: int
    failed: int
    tokens_in: int
    tokens_out: int
    usd: float


@dataclass(frozen=True)
class SpendingRow:
    """What a client's requests to a route cost, in US dollars.

    Attributes:
        days: on each of the days.
        usd: on all of them.
    """

    client: str
    route: str
    days: tuple[float, ...]
    usd: float


@dataclass(frozen=True)
class Spending:
    """Attributes:
    days: in ISO 8601, oldest first, but for those on which nothing was counted.
    rows: those that cost most first.
    more: further rows that are not shown, and what they cost together.
    """

    days: tuple[str, ...]
    rows: tuple[SpendingRow, ...]
    more: int
    more_usd: float


def usage_tables(usage: Usage) -> tuple[tuple[str, tuple[UsageRow, ...]], ...]:
    """By client and by route, the most requests first, and by day, the newest first."""
    by_day = _rows(usage.by_day, lambda each: each.day)
    return (
        ("Client", _most_first(_rows(usage.last_days, lambda each: each.client))),
        ("Route", _most_first(_rows(usage.last_days, lambda each: each.route))),
        ("Day", tuple(sorted(by_day, key=lambda row: row.name, reverse=True))),
    )


def spending(usage: Usage) -> Spending | None:
    """None = nothing of the last days cost anything."""
    costs: dict[tuple[str, str], dict[str, float]] = {}
    for each in usage.by_day:
        if each.usd:
            costs.setdefault((each.client, each.route), {})[each.day] = each.usd
    if not costs:
        return None
    days = tuple(sorted({each.day for each in usage.by_day}))
    rows = sorted(
        (
            SpendingRow(client, route, tuple(own.get(day, 0.0) for day in days), sum(own.values()))
            for (client, route), own in costs.items()
        ),
        key=lambda row: (-row.usd, row.client, row.route),
    )
    more = rows[_MOST_ROWS:]
    return Spending(days, tuple(rows[:_MOST_ROWS]), len(more), sum(row.usd for row in more))


def _most_first(rows: Sequence[UsageRow]) -> tuple[UsageRow, ...]:
    return tuple(sorted(rows, key=lambda row: (-row.requests, row.name)))


def _rows(found: Sequence[_Used], name_of: Callable[[_Used], str]) -> list[UsageRow]:
    of_names: dict[str, list[_Used]] = {}
    for each in found:
        of_names.setdefault(name_of(each), []).append(each)
    return [
        UsageRow(
            name=name,
            requests=sum(each.requests for each in own),
            refused=sum(each.refused for each in own),
            failed=sum(each.failed for each in own),
            tokens_in=sum(each.tokens_in for each in own),
            tokens_out=sum(each.tokens_out for each in own),
            usd=sum(each.usd for each in own),
        )
        for name, own in of_names.items()
    ]
