"""A verdict as Prometheus metrics, for the textfile collector of its node exporter.

Source of the format: "Exposition formats" and "Metric and label naming" in Prometheus' documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from roles.contract.measured import EngineMemory, RouteSpeed
from roles.contract.verdict import Check, RouteUsage, Status, Usage, Verdict
from roles.verify.verdict.quoting import printable

_VALUES: Mapping[Status, str] = {"pass": "1", "fail": "0", "unknown": "NaN"}

_Samples = list[tuple[Mapping[str, str], str]]


def prometheus(verdict: Verdict) -> str:
    """The text of `metrics.prom`: the same lines in the same order for the same verdict."""
    checks = sorted(verdict.checks, key=lambda check: check.id)
    routes = [check for check in checks if check.group == "route"]
    about = {"host": verdict.host, "generation": verdict.generation, "boot_id": verdict.boot_id}
    statuses: tuple[Status, ...] = ("pass", "fail", "unknown")
    families: list[tuple[str, str, _Samples]] = [
        ("check", "Whether a check passes: 1 it does, 0 it does not, NaN it could not be made.",
         [(_labels(check), _VALUES[check.status]) for check in checks]),
        ("checks", "How many checks have which status.",
         [({"status": status}, str(verdict.count[status])) for status in statuses]),
        ("engine_memory_bytes", "What a model server takes of its cards or of main memory, as planned and as measured.",
         [sample for each in verdict.memory for sample in _memory(each)]),
        ("route_latency_seconds", "How long a route took to answer the question that verifies it.",
         [(_labels(check), f"{check.seconds:g}") for check in routes if check.ok]),
        ("route_first_token_seconds", "How long a route took to the first token of its answer.",
         [({"route": each.route}, f"{each.first_token:g}") for each in verdict.speeds]),
        ("route_prompt_tokens_per_second", "How many tokens of a long prompt a route read a second.",
         [({"route": each.route}, f"{each.prompt_tokens_per_second:g}") for each in verdict.speeds]),
        ("route_slower", "Whether a route is slower than it should be: 1 it is, 0 it is not.",
         [({"route": each.route}, str(int(bool(each.slower)))) for each in verdict.speeds]),
        ("route_tokens_per_second", "How many tokens a route wrote a second, for so many clients together.",
         [sample for each in verdict.speeds for sample in _rates(each)]),
        ("verdict", "Whether all checks pass: 1 they do, 0 some does not, NaN some could not be made.",
         [({}, _VALUES[verdict.status])]),
        ("verdict_duration_seconds", "How long the run took.", [({}, f"{verdict.seconds:g}")]),
        ("verdict_info", "What the run was about.", [(about, "1")]),
        ("verdict_timestamp_seconds", "When the run began, in seconds since 1970.",
         [({}, f"{datetime.fromisoformat(verdict.time).timestamp():.0f}")]),
    ]  # fmt: skip
    lines = [line for name, text, samples in families for line in _family(f"ai_backend_{name}", "gauge", text, samples)]
    if usage := verdict.usage:
        for name, text, samples in _counted(usage):
            lines += _family(f"ai_backend_{name}", "counter", text, samples)
        for name, text, samples in [_by_day(usage, verdict.time), *_budgets(usage)]:
            lines += _family(f"ai_backend_{name}", "gauge", text, samples)
    return "".join(lines)


def _by_day(usage: Usage, time: str) -> tuple[str, str, _Samples]:
    """By the number of days that have gone by, not by the date: so there is never a new series for a new day."""
    today = datetime.fromisoformat(time).astimezone(UTC).date()
    ages = [((today - date.fromisoformat(each.day)).days, each) for each in usage.by_day if each.usd]
    return (
        "client_day_cost_dollars",
        "What a client's requests to a route cost on a day (UTC), of the last seven, in US dollars.",
        [
            ({"client": each.client, "route": each.route, "days_ago": str(age)}, f"{each.usd:.9g}")
            for age, each in ages
            if age >= 0
        ],
    )


def _budgets(usage: Usage) -> list[tuple[str, str, _Samples]]:
    clients = [({"client": each.client, "per": each.per}, each) for each in usage.budgets]
    providers = [({"provider": each.provider, "per": each.per}, each) for each in usage.provider_budgets]
    return [
        ("client_budget_dollars", "How many US dollars a client may spend in a period.",
         [(labels, f"{each.usd:.9g}") for labels, each in clients]),
        ("client_budget_spent_dollars", "How many of them it has spent in this one.",
         [(labels, f"{each.spent:.9g}") for labels, each in clients]),
        ("provider_budget_dollars", "How many US dollars all requests to a provider may cost in a period.",
         [(labels, f"{each.usd:.9g}") for labels, each in providers]),
        ("provider_budget_spent_dollars", "How many of them they have cost in this one.",
         [(labels, f"{each.spent:.9g}") for labels, each in providers]),
    ]  # fmt: skip


def _rates(speed: RouteSpeed) -> _Samples:
    rates = {1: speed.tokens_per_second} | ({speed.at_once: speed.tokens_per_second_at_once} if speed.at_once else {})
    return [({"route": speed.route, "clients": str(clients)}, f"{rate:g}") for clients, rate in rates.items()]


def _memory(engine: EngineMemory) -> _Samples:
    numbers = {"planned": engine.planned, "measured": engine.measured}
    about = {"provider": engine.provider, "memory": engine.memory}
    return [({**about, "kind": kind}, str(number)) for kind, number in numbers.items() if number is not None]


def _counted(usage: Usage) -> list[tuple[str, str, _Samples]]:
    total = usage.total
    fallbacks: _Samples = [
        ({"route": each.route, "deployment": each.deployment, "reason": each.reason}, str(each.requests))
        for each in usage.fallbacks
    ]
    return [
        ("client_cost_dollars_total", "What a client's requests to a route cost, in US dollars.",
         [({"client": each.client, "route": each.route}, f"{each.usd:.9g}") for each in total if each.usd]),
        ("client_errors_total", "How many of a client's requests were refused (4xx) or failed (5xx).",
         _of_clients(total, "class", {"4xx": "refused", "5xx": "failed"})),
        ("client_requests_total", "How many of a client's requests to a route were answered, also with an error.",
         _of_clients(total, "", {"": "requests"})),
        ("client_tokens_total", "How many tokens a client's requests to a route, and their answers, had.",
         _of_clients(total, "kind", {"in": "tokens_in", "out": "tokens_out"})),
        ("fallbacks_total", "How many requests to a route a deployment of another one answered, and why.", fallbacks),
    ]  # fmt: skip


def _of_clients(usage: Sequence[RouteUsage], label: str, numbers: Mapping[str, str]) -> _Samples:
    return [
        ({"client": each.client, "route": each.route} | ({label: value} if label else {}), str(getattr(each, name)))
        for each in usage
        for value, name in numbers.items()
    ]


def _labels(check: Check) -> dict[str, str]:
    return {"check": check.id, "group": check.group, "subject": check.subject}


def _family(name: str, kind: str, text: str, samples: _Samples) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {name} {text}\n"
    yield f"# TYPE {name} {kind}\n"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{shown}}} {value}\n" if shown else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
