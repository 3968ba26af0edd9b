"""Counts requests and their costs by day, client, route and deployment, in memory, and adds that to a file every few
seconds."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from roles.contract.budgets import NANO
from roles.contract.usage import (
    COST_NAMES,
    COSTS_TABLE,
    EARLIER,
    HAS_COSTS,
    KEPT_DAYS,
    NAMES,
    NO_NAME,
    NUMBERS,
    TABLE,
    is_at,
)
from roles.litellm.requests.names import CLIENT_HEADER
from roles.litellm.requests.routes import Routes

_LOGGER = logging.getLogger("LiteLLM Proxy")

_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_REASONS: Mapping[str, str] = {
    "Timeout": "timeout",
    "RouterRateLimitError": "cooldown",
    "RouterRateLimitErrorBasic": "cooldown",
    "RateLimitError": "busy",
    "ContextWindowExceededError": "too_long",
    "ContentPolicyViolationError": "content_policy",
    "MidStreamFallbackError": "broken_stream",
    "InternalServerError": "server_error",
    "ServiceUnavailableError": "server_error",
    "BadGatewayError": "server_error",
    "APIConnectionError": "server_error",
    "APIError": "server_error",
    "NotFoundError": "not_found",
}
"""LiteLLM's names of errors → why a fallback was taken. Any other is `other`."""

_PERIOD = 5.0
"""Seconds between two additions to the file."""
_PATIENCE = 1.0
"""Seconds to wait for another process that is writing."""
_FRESH = 1.0
"""Seconds for which what was read of a client's spending counts: others may have added to it."""


class Names(NamedTuple):
    """Whose requests: see the contract."""

    client: str
    route: str
    deployment: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Numbers:
    """What one request adds, in numbers and in cost: see the contract."""

    requests: int = 1
    refused: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    nanodollars: int = 0


@dataclass(frozen=True)
class Spender:
    """Whose spending: a client's, or that at a provider."""

    client: str = ""
    provider: str = ""

    def has(self, client: str, deployment: str) -> bool:
        return client == self.client if self.client else is_at(self.provider, deployment)

    def __str__(self) -> str:
        return f"client {self.client}" if self.client else f"provider {self.provider}"


def of_answer(details: Mapping[str, Any], routes: Routes) -> tuple[Names, Numbers] | None:
    """What an answered request adds; none if it asked for no route, as for the canary.

    Args:
        details: what LiteLLM logs of it.
    """
    parameters = details.get("litellm_params") or {}
    logged = details.get("standard_logging_object") or {}
    metadata = _metadata(parameters)
    group = metadata.get("model_group")
    asked = _route(metadata.get("original_model_group") or group, routes)
    if asked == NO_NAME:
        return None
    deployment = str(logged.get("model_id") or "")
    reason = "" if _route(group, routes) == asked else _reason(metadata.get("previous_models"))
    names = Names(_client(parameters), asked, deployment, reason)
    return names, Numbers(
        tokens_in=int(logged.get("prompt_tokens") or 0),
        tokens_out=int(logged.get("completion_tokens") or 0),
        nanodollars=round(float(logged.get("response_cost") or 0) * NANO),
    )


def of_failure(
    request: Mapping[str, Any], status: int, routes: Routes, client: str | None = None
) -> tuple[Names, Numbers]:
    """What a request adds that a client got an error for.

    Args:
        request: what LiteLLM knows of it.
        status: that of the answer.
        client: whose it was; none = as the request says.
    """
    names = Names(client or _client(request), _route(request.get("model"), routes))
    refused = int(400 <= status < 500)
    return names, Numbers(refused=refused, failed=1 - refused)


def _metadata(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("litellm_metadata", "metadata"):
        found = parameters.get(name)
        if isinstance(found, Mapping) and "model_group" in found:
            return found
    return {}


def _client(parameters: Mapping[str, Any]) -> str:
    request = parameters.get("proxy_server_request") or {}
    name = (request.get("headers") or {}).get(CLIENT_HEADER.lower())
    return name if isinstance(name, str) and _CLIENT.fullmatch(name) else NO_NAME


def _route(name: object, routes: Routes) -> str:
    """The route of a name, an alias or a deployment's id. A name that somebody made up is not kept."""
    route = routes.get(name) if isinstance(name, str) else None
    return route.name if route else NO_NAME


def _reason(attempts: object) -> str:
    """Why the first of LiteLLM's attempts failed."""
    if not isinstance(attempts, Sequence) or not attempts or not isinstance(attempts[0], Mapping):
        return "other"
    return _REASONS.get(str(attempts[0].get("exception_type")), "other")


@dataclass
class _Counted:
    """What is counted, by the day and the names of a row."""

    numbers: dict[tuple[str, Names], list[int]] = field(default_factory=dict)
    costs: dict[tuple[str, Names], int] = field(default_factory=dict)

    def add(self, day: str, names: Names, numbers: Sequence[int], cost: int) -> None:
        counts = self.numbers.setdefault((day, names), [0] * len(NUMBERS))
        for place, number in enumerate(numbers):
            counts[place] += number
        if cost:
            self.costs[day, names] = self.costs.get((day, names), 0) + cost

    def add_all(self, other: _Counted) -> None:
        for (day, names), numbers in other.numbers.items():
            self.add(day, names, numbers, other.costs.get((day, names), 0))

    def spent(self, spender: Spender, since: str) -> int:
        return sum(
            cost
            for (day, names), cost in self.costs.items()
            if day >= since and spender.has(names.client, names.deployment)
        )


class Usage:
    """What is counted in this process and not yet in the file. Neither a locked file nor a full disk fails a request,
    or delays one but where there is a budget, for a second: the numbers wait in memory."""

    def __init__(self, file: Path, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        """Args: today: in UTC: the day that is counted for, and from which on days are kept apart."""
        self._file = file
        self._today = today
        self._lock = threading.Lock()
        self._counted = _Counted()
        self._spent: dict[tuple[Spender, str], tuple[float, int]] = {}
        """Who, and first day → when it was read, and what the file said."""
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._writes = threading.Lock()
        """Held while what is counted goes over into the file."""
        self._fails = False

    def start(self) -> None:
        """Add to the file from now on, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Add what is left. Takes as long as another process writes, but not much more than a second."""
        self._ends.set()
        self.flush()

    def count(self, names: Names, numbers: Numbers, day: date | None = None) -> None:
        """Args: day: UTC; none = today."""
        counts = [getattr(numbers, name) for name in NUMBERS]
        with self._lock:
            self._counted.add((day or self._today()).isoformat(), names, counts, numbers.nanodollars)

    def spent(self, spender: Spender, since: date) -> int:
        """What was spent from a day on, in billionths of a US dollar: all that this process has counted, and what
        others had added to the file a second ago. While it cannot be read, what was read before counts."""
        key = (spender, since.isoformat())
        with self._writes:
            read_at, in_file = self._spent.get(key, (-_FRESH, 0))
            if time.monotonic() - read_at >= _FRESH:
                try:
                    in_file = _spent_by(self._file, *key)
                except (sqlite3.Error, OSError) as error:
                    _LOGGER.error("what was spent (%s) is not read from %s: %s", spender, self._file, error)
                self._spent[key] = (time.monotonic(), in_file)
            with self._lock:
                return in_file + self._counted.spent(*key)

    def flush(self) -> None:
        """Add to the file what was counted; it waits in memory if that fails."""
        with self._writes:
            with self._lock:
                taken, self._counted = self._counted, _Counted()
            if not taken.numbers:
                return
            try:
                _add(self._file, taken, self._today())
            except (sqlite3.Error, OSError) as error:
                with self._lock:
                    self._counted.add_all(taken)
                if not self._fails:
                    _LOGGER.error("usage is not written to %s, and waits in memory: %s", self._file, error)
                self._fails = True
            else:
                self._fails = False
                self._spent.clear()

    def _run(self) -> None:
        while not self._ends.wait(_PERIOD):
            self.flush()


def _statements(table: str, names: Sequence[str], numbers: Sequence[str]) -> tuple[str, str, str]:
    """What adds a row to a table, what adds the days before one to the sum of earlier ones, and what removes those."""
    sums = f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in numbers)}"
    own, earlier = ", ".join(names), f"day != '{EARLIER}' AND day < ?"
    return (
        f"INSERT INTO {table} VALUES ({', '.join('?' * (1 + len(names) + len(numbers)))}) {sums}",
        f"INSERT INTO {table} SELECT '{EARLIER}', {own}, {', '.join(f'sum({name})' for name in numbers)} "
        f"FROM {table} WHERE {earlier} GROUP BY {own} {sums}",
        f"DELETE FROM {table} WHERE {earlier}",
    )


_ADD, *_GO = _statements("usage", NAMES, NUMBERS)
_ADD_COST, *_COSTS_GO = _statements("costs", COST_NAMES, ["nanodollars"])


def _add(file: Path, counted: _Counted, today: date) -> None:
    """Adds to the file, all or nothing. A damaged one is put aside, and a new one begun.

    Raises:
        sqlite3.Error, OSError: nothing was added.
    """
    file.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        _add_to(file, counted, today)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        _LOGGER.error("usage in %s is damaged, and begins anew: %s", file, error)
        file.replace(file.with_name(f"{file.name}.damaged"))
        file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
        _add_to(file, counted, today)


def _add_to(file: Path, counted: _Counted, today: date) -> None:
    oldest = (today - timedelta(days=KEPT_DAYS)).isoformat()
    # No write-ahead log: whoever may only read could not read it.
    with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        base.execute(TABLE)
        base.execute(COSTS_TABLE)
        base.executemany(_ADD, [(day, *names, *numbers) for (day, names), numbers in counted.numbers.items()])
        costs = [(day, *names[: len(COST_NAMES)], cost) for (day, names), cost in counted.costs.items()]
        base.executemany(_ADD_COST, costs)
        for statement in (*_GO, *_COSTS_GO):
            base.execute(statement, (oldest,))
        base.execute("COMMIT")


def _spent_by(file: Path, spender: Spender, since: str) -> int:
    """Raises sqlite3.Error, OSError: it cannot be read."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_PATIENCE)) as base:
        if not base.execute(HAS_COSTS).fetchone():
            return 0
        query = "SELECT client, deployment, sum(nanodollars) FROM costs WHERE day >= ? GROUP BY client, deployment"
        return sum(
            int(cost) for client, deployment, cost in base.execute(query, (since,)) if spender.has(client, deployment)
        )
