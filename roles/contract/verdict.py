"""The verdict: what the verifier found on one host, as plain data, one record per check.

`docs/verdict.schema.json` is generated from these types and their docstrings (`make golden`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal, TypeAlias

from roles.contract.budgets import PERIODS, WARNING_SHARE, Period
from roles.contract.deployed import Deployed
from roles.contract.graphs import LastDay
from roles.contract.measured import EngineMemory, RouteSpeed
from roles.contract.promise import Day, Dollars, Number, Promise, Seconds, Time

Status: TypeAlias = Literal["pass", "fail", "unknown"]

SCHEMA = 3
"""Version of the JSON form. A change that an older reader would misread gets the next number."""

SCHEMA_NAME = f"urn:ai-unified-backend:verdict:{SCHEMA}"
"""The `$id` of `docs/verdict.schema.json`, which describes that form."""

HOST = "host"
"""Group of the checks of the host itself, and not of the deployment."""

SHOWN_EVENTS = 10
"""Most events in a verdict."""

_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON leaves unescaped, but that control a terminal."""

_HALVES = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs, as Python reads names that are not UTF-8: most readers refuse them in JSON."""

_ASKS_APIS = re.compile("^route/.+/apis/[^/]+$")

_EXIT_STATUS: Mapping[Status, int] = {"pass": 0, "fail": 1, "unknown": 2}


@dataclass(frozen=True)
class Event:
    """An event of a generation, from the history that the host's deploys write."""

    time: Time
    """ISO 8601, UTC."""
    event: Annotated[str, Promise({"enum": ["refused", "activated", "failed", "verified", "rolled back"]})]
    """The kind of event."""
    generation: str
    who: str
    """Who ran it: user@machine."""
    detail: str
    """What was found, or the reason, for people."""


@dataclass(frozen=True)
class RouteUsage:
    """A client's requests to a route."""

    client: str
    """Its name; `-` = they came without one."""
    route: str
    """The public name; `-` = they named none that exists."""
    requests: Number
    """How many requests were answered, with an error or without."""
    refused: Number
    """How many of them with a status of 4xx."""
    failed: Number
    """How many of them with another error."""
    tokens_in: Number
    """Tokens of the requests."""
    tokens_out: Number
    """Tokens of the answers."""
    usd: Dollars = 0.0
    """What they cost, in US dollars, by the prices that are declared."""


@dataclass(frozen=True)
class DayUsage:
    """A client's requests to a route on one day."""

    day: Day
    """ISO 8601, UTC."""
    client: str
    """As in the sums."""
    route: str
    """Likewise."""
    requests: Number
    """How many requests were answered, with an error or without."""
    refused: Number
    """How many of them with a status of 4xx."""
    failed: Number
    """How many of them with another error."""
    tokens_in: Number
    """Tokens of the requests."""
    tokens_out: Number
    """Tokens of the answers."""
    usd: Dollars = 0.0
    """What they cost, in US dollars."""


@dataclass(frozen=True)
class Fallbacks:
    """Requests to a route that another one answered."""

    route: str
    """The public name that was asked."""
    deployment: str
    """The deployment that answered, as the gateway's answers name it."""
    reason: str
    """Why, in one word, e.g. `timeout`."""
    requests: Number
    """How many."""


@dataclass(frozen=True)
class BudgetUse:
    """What a client has spent of its budget."""

    client: str
    per: Period
    """The period, in UTC."""
    usd: Dollars
    """US dollars that it may spend in one."""
    spent: Dollars
    """US dollars that it has spent in this one."""

    @property
    def owner(self) -> str:
        return f"client {self.client}"

    @property
    def period(self) -> str:
        return PERIODS[self.per]

    @property
    def warning(self) -> str:
        """For people, once most of it is spent; empty before."""
        return _spent_warning(f"{self.owner} has spent", self, "its requests are refused")


@dataclass(frozen=True)
class ProviderBudgetUse:
    """What was spent of a provider's budget."""

    provider: str
    per: Period
    """The period, in UTC."""
    usd: Dollars
    """US dollars that all requests to it may cost in one."""
    spent: Dollars
    """US dollars that they have cost in this one."""

    @property
    def owner(self) -> str:
        return f"provider {self.provider}"

    @property
    def period(self) -> str:
        return PERIODS[self.per]

    @property
    def warning(self) -> str:
        """For people, once most of it is spent; empty before."""
        return _spent_warning(f"{self.owner} has cost", self, "it is not asked any more")


def _spent_warning(begins: str, use: BudgetUse | ProviderBudgetUse, end: str) -> str:
    if use.spent < use.usd * WARNING_SHARE:
        return ""
    share = f"{use.spent / use.usd:.0%} of the {use.usd:g} US dollars for {use.period}"
    return f"{begins} {share}{f': {end}' if use.spent >= use.usd else ''}"


@dataclass(frozen=True)
class Usage:
    """What the gateway counted."""

    last_days: tuple[RouteUsage, ...]
    """The last seven days (UTC), today included."""
    total: tuple[RouteUsage, ...]
    """Since the host counts."""
    fallbacks: tuple[Fallbacks, ...]
    """Since the host counts."""
    budgets: tuple[BudgetUse, ...] = ()
    """Of the clients that have one."""
    provider_budgets: tuple[ProviderBudgetUse, ...] = ()
    """Of the providers that have one."""
    by_day: tuple[DayUsage, ...] = ()
    """The last seven days (UTC), one by one, oldest first."""

    @property
    def all_budgets(self) -> tuple[BudgetUse | ProviderBudgetUse, ...]:
        return (*self.budgets, *self.provider_budgets)


@dataclass(frozen=True)
class Cause:
    """Why a check may fail."""

    cause: str
    """For people."""
    look: str
    """A command that shows more."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    id: Annotated[str, Promise({"pattern": "^[^/]+/."})]
    """Stable and unique in a verdict: two verdicts are compared by it. Its first part is the group, e.g.
    `unit/litellm@a.service/port`."""
    subject: str
    """What it is about, e.g. `litellm@a.service`."""
    claim: str
    """What should be true, e.g. `owns its port`."""
    expected: str
    """What was expected, for people."""
    seen: str
    """What was seen, specific enough to act on."""
    ok: bool | None
    """Whether the claim is true; null = it could not be checked, and `seen` says why."""
    seconds: Seconds
    """How long the check took."""
    causes: tuple[Cause, ...] = ()
    """For a check that does not pass, the likeliest first."""
    code: str | None = None
    """The kind of failure, e.g. `port-silent`; null = the check passes, or could not be made for a reason that has no
    code. Another version may have other codes."""

    @property
    def group(self) -> str:
        """The first part of the id: `host`, `unit`, `install`, `model`, `gateway` or `route`."""
        return self.id.partition("/")[0]

    @property
    def asks_apis(self) -> bool:
        """Whether it asks a route as client programs ask, or with their mistakes."""
        return bool(_ASKS_APIS.match(self.id))

    @property
    def status(self) -> Status:
        if self.ok is None:
            return "unknown"
        return "pass" if self.ok else "fail"


@dataclass(frozen=True)
class ExternalState:
    """A provider that others run, as it was last found."""

    name: str
    problem: str
    """What is wrong with it while others answer for it; empty = nothing, or a check fails for it."""
    asked: str
    """When its deployments were last asked for an answer, and each gave one: ISO 8601, UTC; empty = some did not."""

    @property
    def warning(self) -> str:
        """For people; empty = there is none."""
        return f"{self.name}: {self.problem}" if self.problem else ""


@dataclass(frozen=True)
class Verdict:
    """What the verifier of AI Unified Backend found on one host: `bin/verify --json`. Nothing in it is secret. A change
    that an older reader would misread gets the next number, in `schema` and in the name."""

    host: str
    """Its host name."""
    time: Time
    """When the run began: ISO 8601, UTC."""
    boot_id: str
    """The kernel's id of this boot, which differs after a reboot; `unknown` if it cannot be read."""
    generation: str
    """The deployed generation."""
    seconds: Seconds
    """How long the whole run took, including the wait for services."""
    checks: tuple[Check, ...]
    """One record per check. Their ids are unique, and the same from run to run."""
    deployment: Deployed | None = None
    """What the checks are about; null if it was not described."""
    events: Annotated[tuple[Event, ...], Promise({"maxItems": SHOWN_EVENTS})] = ()
    """The last events of the host's generations, oldest first."""
    usage: Usage | None = None
    """The requests of the gateway's clients; null = not known, as to an ordinary user, and in kept verdicts."""
    speeds: tuple[RouteSpeed, ...] = ()
    """Of the routes that were measured: a run by hand that is asked to, a deploy that changes a route, and one run a
    night measure any."""
    speeds_before: tuple[RouteSpeed, ...] = ()
    """What they are compared with: of the same routes, as they were measured before."""
    externals: tuple[ExternalState, ...] = ()
    """The providers of routes that others run."""
    memory: tuple[EngineMemory, ...] = ()
    """Of each model server: what it takes, as planned and as measured. A difference is no failure."""
    last_day: LastDay | None = None
    """What Prometheus has measured; null = there is none, or nobody asked for a page. Kept verdicts have none."""
    schema: Annotated[int, Promise({"const": SCHEMA})] = SCHEMA
    """Version of this form."""

    @property
    def status(self) -> Status:
        """`fail` beats `unknown` beats `pass`. A verdict without checks verifies nothing: `unknown`."""
        found = self.count
        if found["fail"]:
            return "fail"
        return "unknown" if found["unknown"] or not self.checks else "pass"

    def of_the_stack(self) -> Verdict:
        """The same without the checks of the host itself: an older configuration would not fix a full disk or a wrong
        clock."""
        return replace(self, checks=tuple(check for check in self.checks if check.group != HOST))

    @property
    def count(self) -> Counter[Status]:
        """How many checks have which status."""
        return Counter(check.status for check in self.checks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What fails no check, and is to be known: for people."""
        budgets = [budget.warning for budget in self.usage.all_budgets] if self.usage else []
        failed = {check.subject for check in self.checks if check.ok is False and check.id.endswith("/speed")}
        slower = [
            f"route {each.route} is slower{' (beside requests of others)' if each.others else ''}: {each.slower}"
            for each in self.speeds
            if each.slower and each.route not in failed
        ]
        return (
            *filter(
                None, [*budgets, *(each.warning for each in self.memory), *(each.warning for each in self.externals)]
            ),
            *slower,
        )

    @property
    def exit_status(self) -> int:
        return _EXIT_STATUS[self.status]

    @property
    def summary(self) -> str:
        """One line for people, e.g. `2 of 18 checks fail. host gpu-box, generation 1f0c…, boot 6e1b…`."""
        return f"{self.outcome}. host {self.host}, generation {self.generation}, boot {self.boot_id}"

    @property
    def outcome(self) -> str:
        """How many checks pass, e.g. `2 of 18 checks fail`."""
        found, total = self.count, len(self.checks)
        parts = [f"{found['fail']} of {total} checks fail"] if found["fail"] else []
        if found["unknown"]:
            parts.append(f"{found['unknown']} of {total} checks could not be made")
        return ", ".join(parts) or f"{found['pass']} of {total} checks pass"

    def to_json(self) -> str:
        """One JSON object on one line. It includes `status`, for readers that do not want to count."""
        document = {"$schema": SCHEMA_NAME, **asdict(self), "status": self.status}
        text = json.dumps(document, ensure_ascii=False)
        # Characters that control a terminal are escaped: the JSON stays the same. Half of a pair becomes its escape's
        # text.
        text = _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        return _HALVES.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)
