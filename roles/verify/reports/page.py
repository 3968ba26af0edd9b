"""The content of the status pages, for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from roles.contract.deployed import Deployed, DeployedProvider, DeployedRoute, Endpoint
from roles.contract.verdict import BudgetUse, Check, Event, ProviderBudgetUse, Status, Verdict
from roles.verify.reports.asking import clients_curl, clients_openai_client, curl, key_export, openai_client
from roles.verify.reports.drawing import Drawing, drawings
from roles.verify.reports.grouping import groups, subjects, worst
from roles.verify.reports.usage import Spending, UsageRow, spending, usage_tables
from roles.verify.verdict.changes import Changes, changes

WORDS: dict[Status, str] = {"pass": "passes", "fail": "fails", "unknown": "unknown"}
MARKS: dict[Status, str] = {"pass": "✓", "fail": "✗", "unknown": "?"}


@dataclass(frozen=True)
class ServiceRow:
    """A unit: its status, and the details worth showing."""

    unit: str
    role: str
    status: Status
    seen: str


@dataclass(frozen=True)
class ProviderRow:
    provider: DeployedProvider
    status: Status | None


@dataclass(frozen=True)
class RouteRow:
    """Attributes:
    status: the worst of the checks by its name and its aliases; None = it was not asked.
    seconds: how long the first of those took; None = it does not pass, or was not asked.
    trend: the same in earlier runs and this one, oldest first.
    curl: a command line that queries it.
    """

    route: DeployedRoute
    status: Status | None
    seconds: float | None
    trend: tuple[float, ...]
    curl: str


@dataclass(frozen=True)
class RunMark:
    """A run in the history of the last runs."""

    time: str
    status: Status
    outcome: str


@dataclass(frozen=True)
class ForClients:
    """What people need to point a program at the endpoint.

    Attributes:
        url: where other machines reach it, if they do.
        names: what they may ask for: the routes' names and their aliases.
        curl: a command line that asks the first route.
        openai_client: a Python program that does; empty if OpenAI's library cannot.
    """

    url: str
    names: tuple[str, ...]
    curl: str
    openai_client: str


Subject: TypeAlias = tuple[str, Status, tuple[Check, ...]]
"""The subject of some checks, the worst of their statuses, and the checks, the worst first."""


@dataclass(frozen=True)
class Part:
    """A part of the checks: its title, and its subjects, the worst first."""

    title: str
    subjects: tuple[Subject, ...]

    @property
    def passes(self) -> bool:
        return all(status == "pass" for _, status, _ in self.subjects)


@dataclass(frozen=True)
class Page:
    """Attributes:
    attention: the checks that do not pass, `wrong` in number.
    changed: since the last run; None = there was none.
    runs: the last runs including this one, oldest first.
    usage: tables of it, with their titles; None = not known.
    spending: by client, route and day; None = nothing cost anything.
    has_prices: something of it was not free.
    last_day: its graphs; empty = there are none.
    no_graphs: why; empty = there is no Prometheus, or it has answered.
    budgets: the clients and providers that have one, with what is spent of it.
    configuration: the settings and their values.
    clients: for people who use the endpoint; None = it has none, or no route.
    key_export, openai_client: how to query from Python; empty if nothing can be queried that way.
    """

    verdict: Verdict
    title: str
    attention: tuple[Subject, ...]
    wrong: int
    changed: Changes | None
    runs: tuple[RunMark, ...]
    services: tuple[ServiceRow, ...]
    providers: tuple[ProviderRow, ...]
    routes: tuple[RouteRow, ...]
    usage: tuple[tuple[str, tuple[UsageRow, ...]], ...] | None
    spending: Spending | None
    has_prices: bool
    last_day: tuple[Drawing, ...]
    no_graphs: str
    budgets: tuple[BudgetUse | ProviderBudgetUse, ...]
    configuration: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]
    key_export: str
    openai_client: str
    clients: ForClients | None
    urls: tuple[str, ...]
    user: str
    parts: tuple[Part, ...]


def page_of(verdict: Verdict, earlier: Sequence[Verdict]) -> Page:
    """The page of a verdict; `earlier` is oldest first."""
    deployed = verdict.deployment
    endpoint = deployed.endpoint if deployed else None
    routes = deployed.routes if deployed else ()
    wrong = [check for check in verdict.checks if not check.ok]
    return Page(
        verdict=verdict,
        title=_title(verdict),
        attention=_subjects(wrong),
        wrong=len(wrong),
        changed=changes(earlier, verdict),
        runs=tuple(RunMark(each.time, each.status, each.outcome) for each in (*earlier, verdict)),
        services=_services(verdict, deployed),
        providers=tuple(_provider(each, verdict) for each in (deployed.providers if deployed else ())),
        routes=tuple(
            RouteRow(
                route=route,
                status=_status([check for name in (route.name, *route.aliases) for check in _asked(name, verdict)]),
                seconds=next((check.seconds for check in _asked(route.name, verdict)[:1] if check.ok), None),
                trend=_trend(route, (*earlier, verdict)),
                curl=curl(endpoint, route) if endpoint else "",
            )
            for route in routes
        ),
        usage=usage_tables(verdict.usage) if verdict.usage else None,
        spending=spending(verdict.usage) if verdict.usage else None,
        has_prices=bool(verdict.usage and any(each.usd for each in verdict.usage.total)),
        last_day=drawings(verdict.last_day) if verdict.last_day else (),
        no_graphs=verdict.last_day.problem if verdict.last_day else "",
        budgets=verdict.usage.all_budgets if verdict.usage else (),
        configuration=_configuration(verdict, deployed),
        events=tuple(reversed(verdict.events)),
        key_export=key_export(endpoint) if endpoint else "",
        openai_client=openai_client(endpoint, routes) if endpoint else "",
        clients=_for_clients(endpoint, routes) if endpoint and routes else None,
        urls=(endpoint.url, *(url for url in endpoint.urls if url != endpoint.url)) if endpoint else (),
        user="the user whose manager runs it" if deployed and deployed.scope == "user" else "root",
        parts=tuple(_part(title, checks) for title, checks in groups(verdict)),
    )


def shown_time(time: str) -> str:
    """An ISO 8601 time as people read it; any other text, as in a damaged history, is returned unchanged."""
    try:
        return datetime.fromisoformat(time).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return time


def _for_clients(endpoint: Endpoint, routes: Sequence[DeployedRoute]) -> ForClients:
    url = next((url for url in endpoint.urls if url != endpoint.url), endpoint.url)
    return ForClients(
        url=url,
        names=tuple(name for route in routes for name in (route.name, *route.aliases)),
        curl=clients_curl(url, routes[0]),
        openai_client=clients_openai_client(url, routes),
    )


def _title(verdict: Verdict) -> str:
    return f"All {len(verdict.checks)} checks pass" if verdict.status == "pass" else verdict.outcome


def _services(verdict: Verdict, deployed: Deployed | None) -> tuple[ServiceRow, ...]:
    by_unit: dict[str, list[Check]] = {}
    for check in verdict.checks:
        if check.group == "unit":
            by_unit.setdefault(check.subject, []).append(check)
    return tuple(
        ServiceRow(unit, _role(unit, deployed), worst(checks), next((c for c in checks if not c.ok), checks[0]).seen)
        for unit, checks in by_unit.items()
    )


def _role(unit: str, deployed: Deployed | None) -> str:
    if deployed is None:
        return ""
    roles = {provider.unit: f"provider {provider.name}" for provider in deployed.providers if provider.unit}
    if deployed.endpoint:
        roles |= {deployed.endpoint.unit: "endpoint", **dict.fromkeys(deployed.endpoint.instances, "gateway")}
    if deployed.cache:
        roles[deployed.cache] = "cache"
    return roles.get(unit, "task")


def _provider(provider: DeployedProvider, verdict: Verdict) -> ProviderRow:
    group, subject = ("unit", provider.unit) if provider.unit else ("external", provider.name)
    own = [check for check in verdict.checks if check.group == group and check.subject == subject]
    return ProviderRow(provider, _status(own))


def _asked(name: str, verdict: Verdict) -> list[Check]:
    return [check for check in verdict.checks if check.group == "route" and check.subject == name]


def _status(checks: Sequence[Check]) -> Status | None:
    return worst(checks) if checks else None


def _trend(route: DeployedRoute, verdicts: Sequence[Verdict]) -> tuple[float, ...]:
    asked = (_asked(route.name, verdict)[:1] for verdict in verdicts)
    return tuple(check.seconds for checks in asked for check in checks if check.ok)


def _configuration(verdict: Verdict, deployed: Deployed | None) -> tuple[tuple[str, str], ...]:
    rows = [("Generation", verdict.generation), ("Boot", verdict.boot_id)]
    if deployed is None:
        return tuple(rows)
    rows += [("Scope", deployed.scope), ("Configuration", deployed.config)]
    if endpoint := deployed.endpoint:
        rows += [
            ("Endpoint", ", ".join((endpoint.url, *endpoint.urls))),
            ("Key", f"{endpoint.key_variable} in {endpoint.key_file}"),
            ("Gateway", ", ".join(endpoint.instances or (endpoint.unit,))),
            ("A failed backend cools down for", f"{endpoint.cooldown:g} s"),
            ("Cache", deployed.cache or "none"),
        ]
    return (*rows, *((f"Install {name}", title) for name, title in deployed.installs.items()))


def _part(title: str, checks: Sequence[Check]) -> Part:
    return Part(title, _subjects(checks))


def _subjects(checks: Sequence[Check]) -> tuple[Subject, ...]:
    return tuple((subject, worst(found), tuple(found)) for subject, found in subjects(checks))
