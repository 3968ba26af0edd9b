"""What the gateway counted of its clients' requests, from the file that its processes write."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from roles.contract.budgets import NANO, first_day
from roles.contract.clients import CLIENTS_FILE, Clients
from roles.contract.manifest import MODELS_FILE, Models
from roles.contract.usage import HAS_COSTS, NUMBERS, USAGE_FILE, is_at
from roles.contract.verdict import BudgetUse, DayUsage, Fallbacks, ProviderBudgetUse, RouteUsage, Usage
from roles.contract.wire import read

LAST_DAYS = 7

_PATIENCE = 1.0
"""Seconds to wait for a gateway that is writing."""
_LONGEST = 5.0
"""Seconds for all of it: the file belongs to a process that anybody may send requests to."""
_MOST = 10_000
"""Rows of a list that are read, likewise."""
_SUMS = ", ".join(f"sum({name})" for name in NUMBERS)


def read_usage(state: Path, generation: Path, today: date | None = None) -> Usage | None:
    """What is counted in the state folder; none if there is no such file, this user may not read it, or it is damaged.

    Args:
        generation: the folder that says who has a budget.
        today: in UTC; none = now.
    """
    today = today or datetime.now(UTC).date()
    since = today - timedelta(days=LAST_DAYS - 1)
    with (
        contextlib.suppress(sqlite3.Error, ValueError, TypeError, OSError, yaml.YAMLError),
        closing(_opened(state / USAGE_FILE)) as base,
    ):
        return Usage(
            last_days=tuple(_routes(base, "WHERE day >= ?", since.isoformat())),
            by_day=tuple(_days(base, since, today)),
            total=tuple(_routes(base)),
            fallbacks=tuple(
                Fallbacks(_text(route), _text(deployment), _text(reason), int(requests))
                for route, deployment, reason, requests in base.execute(
                    "SELECT route, deployment, reason, sum(requests) FROM usage WHERE reason != '' "
                    "GROUP BY route, deployment, reason LIMIT ?",
                    (_MOST,),
                )
            ),
            budgets=tuple(_budgets(base, generation, today)),
            provider_budgets=tuple(_provider_budgets(base, generation, today)),
        )
    return None


def _opened(file: Path) -> sqlite3.Connection:
    """Only for reading: nothing is made or changed in the gateway's folder.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
    """
    if file.is_symlink() or not file.is_file():
        # Opening a pipe may never end.
        raise FileNotFoundError(file)
    base = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_PATIENCE)
    base.execute("PRAGMA trusted_schema = OFF")
    deadline = time.monotonic() + _LONGEST
    base.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    return base


def _routes(base: sqlite3.Connection, where: str = "", *values: str) -> Iterator[RouteUsage]:
    for (client, route), numbers, usd in _counted(base, ("client", "route"), where, *values):
        yield replace(RouteUsage(client, route, *numbers), usd=usd)


def _days(base: sqlite3.Connection, first: date, last: date) -> Iterator[DayUsage]:
    """Raises ValueError: what is no day is between two that are."""
    period = (first.isoformat(), last.isoformat())
    names = ("day", "client", "route")
    for (day, client, route), numbers, usd in _counted(base, names, "WHERE day BETWEEN ? AND ?", *period):
        yield replace(DayUsage(date.fromisoformat(day).isoformat(), client, route, *numbers), usd=usd)


def _counted(
    base: sqlite3.Connection, names: Sequence[str], where: str, *values: str
) -> Iterator[tuple[list[str], list[int], float]]:
    """By these names: the names, the numbers of `NUMBERS` and the US dollars."""
    by = ", ".join(names)
    query = f"SELECT {by}, {_SUMS} FROM usage {where} GROUP BY {by} LIMIT ?"
    found = base.execute(query, (*values, _MOST)).fetchall()
    costs = _costs(base, names, where, *values)
    for row in found:
        texts = [_text(name) for name in row[: len(names)]]
        yield texts, [int(number) for number in row[len(names) :]], costs.get(tuple(texts), 0.0)


def _costs(
    base: sqlite3.Connection, names: Sequence[str], where: str = "", *values: str
) -> dict[tuple[str, ...], float]:
    """Names → US dollars; empty if a gateway of a version before has written the file."""
    if not base.execute(HAS_COSTS).fetchone():
        return {}
    by = ", ".join(names)
    query = f"SELECT {by}, sum(nanodollars) FROM costs {where} GROUP BY {by} LIMIT ?"
    found = base.execute(query, (*values, _MOST))
    return {tuple(_text(name) for name in row[:-1]): int(row[-1]) / NANO for row in found}


def _budgets(base: sqlite3.Connection, generation: Path, today: date) -> Iterator[BudgetUse]:
    """Raises ValueError, OSError: the generation's file of clients cannot be read."""
    file = generation / CLIENTS_FILE
    if not file.exists():
        # A version before had none.
        return
    for client in read(Clients, json.loads(file.read_text()), strict=False).clients:
        if budget := client.budget:
            since = first_day(budget.per, today).isoformat()
            costs = _costs(base, ("client",), "WHERE day >= ? AND client = ?", since, client.name)
            yield BudgetUse(client.name, budget.per, budget.usd, sum(costs.values()))


def _provider_budgets(base: sqlite3.Connection, generation: Path, today: date) -> Iterator[ProviderBudgetUse]:
    """Raises ValueError, OSError, yaml.YAMLError: the generation's file of public names cannot be read."""
    file = generation / MODELS_FILE
    if not file.exists():
        return
    models = read(Models, yaml.safe_load(file.read_text()), strict=False).models
    deployments = [each for model in models for each in model.deployments]
    for provider, budget in {each.provider: each.budget for each in deployments}.items():
        if budget:
            since = first_day(budget.per, today).isoformat()
            spent = sum(cost for deployment, cost in _deployment_costs(base, since) if is_at(provider, deployment))
            yield ProviderBudgetUse(provider, budget.per, budget.usd, spent / NANO)


def _deployment_costs(base: sqlite3.Connection, since: str) -> list[tuple[str, int]]:
    """What each deployment's answers cost from a day on, in billionths of a US dollar."""
    if not base.execute(HAS_COSTS).fetchone():
        return []
    query = "SELECT deployment, sum(nanodollars) FROM costs WHERE day >= ? GROUP BY deployment LIMIT ?"
    return [(_text(deployment), int(cost)) for deployment, cost in base.execute(query, (since, _MOST))]


def _text(value: Any) -> str:
    """Raises `TypeError` if it is none: the file is damaged."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value
