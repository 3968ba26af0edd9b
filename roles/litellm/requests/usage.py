"""Counts requests by day, client, route and deployment, in memory, and adds that to a file every few seconds."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from roles.contract.usage import EARLIER, KEPT_DAYS, NAMES, NO_NAME, NUMBERS, TABLE
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


class Names(NamedTuple):
    """Whose requests: see the contract."""

    client: str
    route: str
    deployment: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Numbers:
    """What one request adds: see the contract."""

    requests: int = 1
    refused: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


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
        tokens_in=int(logged.get("prompt_tokens") or 0), tokens_out=int(logged.get("completion_tokens") or 0)
    )


def of_failure(request: Mapping[str, Any], status: int, routes: Routes) -> tuple[Names, Numbers]:
    """What a request adds that a client got an error for.

    Args:
        request: what LiteLLM knows of it.
        status: that of the answer.
    """
    names = Names(_client(request), _route(request.get("model"), routes))
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


class Usage:
    """What is counted in this process and not yet in the file. Neither a locked file nor a full disk delays or fails a
    request: the numbers wait in memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Names], list[int]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._writes = threading.Lock()
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
        key = ((day or datetime.now(UTC).date()).isoformat(), names)
        with self._lock:
            counts = self._counts.setdefault(key, [0] * len(NUMBERS))
            for place, name in enumerate(NUMBERS):
                counts[place] += getattr(numbers, name)

    def flush(self) -> None:
        """Add to the file what was counted; it waits in memory if that fails."""
        with self._writes:
            with self._lock:
                taken, self._counts = self._counts, {}
            if not taken:
                return
            try:
                _add(self._file, taken)
            except (sqlite3.Error, OSError) as error:
                self._take_back(taken)
                if not self._fails:
                    _LOGGER.error("usage is not written to %s, and waits in memory: %s", self._file, error)
                self._fails = True
            else:
                self._fails = False

    def _take_back(self, taken: Mapping[tuple[str, Names], Sequence[int]]) -> None:
        with self._lock:
            for key, numbers in taken.items():
                counts = self._counts.setdefault(key, [0] * len(NUMBERS))
                for place, number in enumerate(numbers):
                    counts[place] += number

    def _run(self) -> None:
        while not self._ends.wait(_PERIOD):
            self.flush()


_ADD = (
    f"INSERT INTO usage VALUES (?, {', '.join('?' * (len(NAMES) + len(NUMBERS)))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in NUMBERS)}"
)
_ADD_EARLIER = (
    f"INSERT INTO usage SELECT '{EARLIER}', {', '.join(NAMES)}, {', '.join(f'sum({name})' for name in NUMBERS)} "
    f"FROM usage WHERE day != '{EARLIER}' AND day < ? GROUP BY {', '.join(NAMES)} "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in NUMBERS)}"
)


def _add(file: Path, counted: Mapping[tuple[str, Names], Sequence[int]]) -> None:
    """Adds to the file, all or nothing. A damaged one is put aside, and a new one begun.

    Raises:
        sqlite3.Error, OSError: nothing was added.
    """
    file.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        _add_to(file, counted)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        _LOGGER.error("usage in %s is damaged, and begins anew: %s", file, error)
        file.replace(file.with_name(f"{file.name}.damaged"))
        file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
        _add_to(file, counted)


def _add_to(file: Path, counted: Mapping[tuple[str, Names], Sequence[int]]) -> None:
    oldest = (datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)).isoformat()
    # No write-ahead log: whoever may only read could not read it.
    with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        base.execute(TABLE)
        base.executemany(_ADD, [(day, *names, *numbers) for (day, names), numbers in counted.items()])
        base.execute(_ADD_EARLIER, (oldest,))
        base.execute("DELETE FROM usage WHERE day != ? AND day < ?", (EARLIER, oldest))
        base.execute("COMMIT")
