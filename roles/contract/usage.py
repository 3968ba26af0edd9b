"""The gateway's count of its clients' requests, in an SQLite file: names and numbers, nothing of a request's content.

Each process of the gateway adds to it, the verifier reads it.
"""

from __future__ import annotations

USAGE_FOLDER = "usage"
"""Below the state folder. Only the gateway's user and root may read it."""
USAGE_FILE = f"{USAGE_FOLDER}/usage.sqlite"

NO_NAME = "-"
"""The client of a request that came without one, and the route of a request for an unknown name."""
EARLIER = ""
"""The day of the sums over the days that are no longer kept: counters of it all must not fall."""
KEPT_DAYS = 400

NAMES = ("client", "route", "deployment", "reason")
"""Whose requests: the client, the route that was asked, the deployment that answered (empty = none did), and why it is
one of another route (empty = it is not)."""
NUMBERS = ("requests", "refused", "failed", "tokens_in", "tokens_out")
"""How many, and of them those that were answered with a status of 4xx, and with another error; tokens of the requests
and of their answers."""

COST_NAMES = NAMES[:3]


def is_at(provider: str, deployment: str) -> bool:
    """Whether a deployment, by its id, is one of that provider: `MODEL@PROVIDER` or `MODEL@PROVIDER/ROUTE`. Also one of
    a route that is no longer declared: what was spent there is spent."""
    return deployment.endswith(f"@{provider}") or f"@{provider}/" in deployment


TABLE = (
    f"CREATE TABLE IF NOT EXISTS usage (day TEXT, {', '.join(f'{name} TEXT' for name in NAMES)}, "
    f"{', '.join(f'{name} INTEGER' for name in NUMBERS)}, PRIMARY KEY (day, {', '.join(NAMES)})) WITHOUT ROWID"
)
"""A row for each day (UTC, ISO 8601) and these names."""

COSTS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS costs (day TEXT, {', '.join(f'{name} TEXT' for name in COST_NAMES)}, "
    f"nanodollars INTEGER, PRIMARY KEY (day, {', '.join(COST_NAMES)})) WITHOUT ROWID"
)
"""What answers cost, likewise, in billionths of a US dollar. A table of its own: instances of a generation before add
whole rows to the other one."""

HAS_COSTS = "SELECT 1 FROM sqlite_master WHERE name = 'costs'"
"""A row if there is that table: a gateway of a version before made none."""
