"""Verdicts for tests of the reports: the reference stack as it holds, and as a bad night leaves it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from roles.contract.deployed import Deployed, DeployedProvider, DeployedRoute, Endpoint
from roles.contract.graphs import Graph, LastDay, Line
from roles.contract.measured import EngineMemory, RouteSpeed
from roles.contract.verdict import BudgetUse, Cause, DayUsage, Event, Fallbacks, ProviderBudgetUse, RouteUsage, Usage
from roles.verify import Check, Verdict

_UNITS = {
    "ai-backend-front.service": (4000, "haproxy"),
    "litellm@a.service": (4001, "python3.11"),
    "litellm@b.service": (4002, "python3.11"),
    "ollama.service": (11434, "ollama"),
    "vllm@qwen-coder.service": (8001, "python3.11"),
    "llama-cpp-python@python.service": (8000, "python3.11"),
    "llama-server@native.service": (8080, "llama-server"),
}
_ROUTES = {
    "llama3.1:latest": ("ollama", 0.84),
    "qwen2.5-coder:7b": ("ollama", 0.61),
    "qwen-coder-vllm": ("qwen-coder", 0.22),
    "gpt-4o": ("qwen-coder", 0.23),
    "qwen-python": ("python", 1.12),
    "qwen-native": ("native", 0.35),
}


def _unit_checks() -> list[Check]:
    checks = []
    for number, (unit, (port, program)) in enumerate(_UNITS.items()):
        digest = f"{number + 1:x}" * 16
        address = f"127.0.0.1:{port}"
        seen = {
            "active": ("runs", "active", "active (running)"),
            "enabled": ("starts at boot", "enabled", "enabled"),
            "ready": ("is ready", f"an answer from http://{address}/health", "200"),
            "digest": ("runs what is deployed", digest, digest),
            "port": ("owns its port", address, f"{address}, {program} ({900 + number}) of {unit}"),
        }
        checks += [
            Check(f"unit/{unit}/{name}", unit, claim, expected, found, True, 0.1 if name == "ready" else 0.0)
            for name, (claim, expected, found) in seen.items()
        ]
    return checks


def _route_checks() -> list[Check]:
    checks = []
    for name, (provider, seconds) in _ROUTES.items():
        expected = f"words from {name}@{provider}"
        words = '"I am Qwen, a large language model created by Alibaba Cloud…"'
        checks += [
            Check(f"route/{name}/chat", name, "answers a chat", expected, words, True, seconds),
            Check(f"route/{name}/stream", name, "streams a chat", expected, words, True, round(seconds * 1.1, 3)),
        ]
    return checks


_GATEWAY = [
    Check(
        "gateway/models", "gateway", "offers the declared models", "exactly the declared names", "6 names", True, 0.04
    ),
    Check("gateway/no-key", "gateway", "refuses requests without a key", "401", "models: 401", True, 0.02),
]


def _route(name: str, provider: str, aliases: tuple[str, ...] = (), fallbacks: tuple[str, ...] = ()) -> DeployedRoute:
    body = {
        "model": name,
        "messages": [{"role": "user", "content": "Who are you? Answer in one short sentence."}],
        "max_tokens": 64,
    }
    return DeployedRoute(name, aliases, "chat", (f"{name}@{provider}",), fallbacks, "/chat/completions", body)


DEPLOYED = Deployed(
    scope="system",
    config="/etc/ai-backend",
    endpoint=Endpoint(
        url="http://127.0.0.1:4000/v1",
        urls=("http://198.18.0.7:4000/v1",),
        unit="ai-backend-front.service",
        instances=("litellm@a.service", "litellm@b.service"),
        key_file="/var/lib/ai-backend/secrets/master-key.env",
        key_variable="LITELLM_MASTER_KEY",
        cooldown=30,
    ),
    cache=None,
    providers=(
        DeployedProvider(
            "ollama", "ollama", "ollama.service", "http://127.0.0.1:11434", ("llama3.1:latest", "qwen2.5-coder:7b")
        ),
        DeployedProvider(
            "qwen-coder", "vllm", "vllm@qwen-coder.service", "http://127.0.0.1:8001/v1", ("qwen-coder-vllm",)
        ),
        DeployedProvider(
            "python",
            "llama-cpp-python",
            "llama-cpp-python@python.service",
            "http://127.0.0.1:8000/v1",
            ("qwen-python",),
        ),
        DeployedProvider(
            "native", "llama-server", "llama-server@native.service", "http://127.0.0.1:8080/v1", ("qwen-native",)
        ),
    ),
    routes=(
        _route("llama3.1:latest", "ollama"),
        _route("qwen2.5-coder:7b", "ollama"),
        _route("qwen-coder-vllm", "qwen-coder", ("gpt-4o",), ("qwen2.5-coder:7b",)),
        _route("qwen-python", "python", (), ("qwen-native",)),
        _route("qwen-native", "native"),
    ),
    installs={
        "litellm": "litellm 1.106.2",
        "ollama": "Ollama 0.32.15",
        "vllm": "vllm 0.32.0",
        "llama-cpp": "llama.cpp b7062 (CUDA 86)",
    },
)

EVENTS = (
    Event("2026-11-20T09:12:44+00:00", "activated", "5e0d7c41aa90b3f2", "ada@desk", "in 48.2 s"),
    Event(
        "2026-11-20T09:13:02+00:00", "verified", "5e0d7c41aa90b3f2", "ada@desk", "pass: 49 of 49 checks pass; in 17.9 s"
    ),
    Event(
        "2026-11-23T18:40:10+00:00", "refused", "b81f0e6c2d7a4490", "ada@desk", "gateway/models: missing: qwen-python"
    ),
    Event("2026-11-23T18:52:31+00:00", "activated", "1f0c9ae4b7d20863", "ada@desk", "in 51.7 s"),
)

_LAST_DAYS = (
    RouteUsage("-", "-", 2, 2, 0, 0, 0),
    RouteUsage("ada", "llama3.1:latest", 8, 0, 0, 640, 512),
    RouteUsage("ada", "qwen-coder-vllm", 120, 3, 1, 48_210, 9_871, 0.0131541),
    RouteUsage("build-bot", "llama3.1:latest", 310, 0, 2, 91_000, 4_400),
)
USAGE = Usage(
    last_days=_LAST_DAYS,
    total=(*_LAST_DAYS[:3], replace(_LAST_DAYS[3], requests=4_310, tokens_in=1_291_000, tokens_out=64_400)),
    fallbacks=(Fallbacks("qwen-coder-vllm", "qwen2.5-coder:7b@ollama", "timeout", 7),),
    budgets=(BudgetUse("ada", "month", 0.015, 0.0131541), BudgetUse("build-bot", "day", 1, 0)),
    provider_budgets=(ProviderBudgetUse("cloud", "day", 2, 1.75),),
    by_day=(
        DayUsage("2026-11-23", "ada", "qwen-coder-vllm", 100, 3, 1, 40_000, 8_000, 0.0108),
        DayUsage("2026-11-23", "build-bot", "llama3.1:latest", 310, 0, 2, 91_000, 4_400, 0),
        DayUsage("2026-11-24", "-", "-", 2, 2, 0, 0, 0, 0),
        DayUsage("2026-11-24", "ada", "llama3.1:latest", 8, 0, 0, 640, 512, 0),
        DayUsage("2026-11-24", "ada", "qwen-coder-vllm", 20, 0, 0, 8_210, 1_871, 0.0023541),
    ),
)

GOOD = Verdict(
    host="gpu-box",
    time="2026-11-24T06:00:00+00:00",
    boot_id="6e1b41a2-9a0f-4b9e-8b1c-0d5f4f1f7a21",
    generation="1f0c9ae4b7d20863",
    seconds=12.481,
    checks=(*_unit_checks(), *_GATEWAY, *_route_checks()),
    deployment=DEPLOYED,
    events=EVENTS,
)


SPEED = RouteSpeed(
    route="qwen-native",
    first_token=0.214,
    tokens_per_second=41.5,
    prompt_tokens_per_second=812.0,
    at_once=4,
    tokens_per_second_at_once=96.2,
)
MEMORY = (
    EngineMemory("ollama", "cards", 6_372_196_352, 6_104_809_472, "llama3.1:latest"),
    EngineMemory(
        "ollama", "main memory", 296_747_008, 9_931_063_296, "llama3.1:latest",
        "ollama takes more of main memory than planned: planned 283 MiB, measured 9471 MiB",
    ),
    EngineMemory("qwen-coder", "main memory", None, 4_190_109_696, "qwen-coder-vllm: not planned"),
)  # fmt: skip
SLOW = replace(SPEED, route="vision", at_once=0, slower="41.5 tokens/s, 80 in generation 0ld")


def _hours(*values: float | None) -> tuple[float | None, ...]:
    """Values of a day, which stay for some hours each."""
    return tuple(value for value in values for _ in range(24 // len(values)))


LAST_DAY = LastDay(
    since=1_763_877_600,
    step=3600,
    graphs=(
        Graph(
            "Requests by status",
            "requests/s",
            (
                Line("2xx", _hours(0.2, 0.4, 1.9, 2.6, 2.1, 0.9)),
                Line("4xx", _hours(0, 0, 0.1, 0.15, 0, 0)),
                Line("5xx", _hours(*[0] * 11, 0.4, *[0] * 12)),
            ),
            0,
        ),
        Graph(
            "First token",
            "s",
            (Line("half of them", _hours(*[None] * 6, 0.21, None, *[0.24] * 8, *[0.31] * 8)),),
            0,
        ),
        Graph(
            "Fallbacks",
            "requests/min",
            tuple(Line(f"qwen-coder-vllm, by {number}", _hours(0, number, 0)) for number in range(1, 7)),
            3,
        ),
        Graph(
            "Main memory",
            "bytes",
            (Line("in use", _hours(9.1e9, 14.2e9, 14.6e9, 12.9e9)), Line("all", _hours(33.6e9))),
            0,
        ),
        Graph("Space left on disks", "share", (Line("/", _hours(0.64, 0.62, 0.61, 0.18)),), 0),
        Graph("vLLM: tokens", "tokens/s", (Line("qwen-coder: written", _hours(None)),), 0),
    ),
)
USED = replace(GOOD, usage=USAGE, speeds=(SPEED, SLOW), memory=MEMORY, last_day=LAST_DAY)


def changed(verdict: Verdict, checks: dict[str, dict[str, object]]) -> Verdict:
    """The verdict with other checks: id → what is different."""
    unknown = checks.keys() - {check.id for check in verdict.checks}
    assert not unknown, unknown
    return replace(
        verdict,
        checks=tuple(replace(check, **checks.get(check.id, {})) for check in verdict.checks),  # type: ignore[arg-type]
    )


_VLLM = "unit/vllm@qwen-coder.service"
BAD = replace(
    changed(
        GOOD,
        {
            f"{_VLLM}/active": {
                "ok": False,
                "code": "unit-failed",
                "seen": "activating (auto-restart), its process ended with status 1, restarted 14 times",
                "causes": (
                    Cause(
                        "the card has too little free memory for the model: another process took it",
                        "journalctl -u vllm@qwen-coder.service -n 50; nvidia-smi",
                    ),
                    Cause("the model's files are damaged", "ls -l /etc/ai-backend/install/"),
                ),
            },
            f"{_VLLM}/ready": {
                "ok": False,
                "code": "not-ready",
                "seen": "no answer: All connection attempts failed",
                "seconds": 61.2,
            },
            f"{_VLLM}/digest": {"ok": False, "code": "no-process", "seen": "no process runs"},
            f"{_VLLM}/port": {"ok": False, "code": "port-silent", "seen": "nothing listens on port 8001"},
            "unit/ollama.service/port": {"ok": None, "seen": "this user may not see who listens there"},
            "route/qwen-coder-vllm/chat": {
                "ok": False,
                "code": "wrong-origin",
                "seen": 'answered by "qwen2.5-coder:7b@ollama" at http://127.0.0.1:11434; attempted fallbacks: 1',
                "seconds": 34.1,
            },
            "route/gpt-4o/chat": {
                "ok": False,
                "code": "request-failed",
                "seen": "500 \"<script>document.title = 'owned'</script> | `x` [y](z)\"",
            },
            "route/qwen-native/chat": {"seconds": 4.4},
        },
    ),
    time="2026-11-25T06:00:00+00:00",
    boot_id="0d5f4f1f-1111-4b9e-8b1c-6e1b41a29a0f",
    seconds=74.02,
)


def earlier_runs(count: int) -> tuple[Verdict, ...]:
    """Runs of the days before, one an hour, of which some failed."""
    runs = []
    for number in range(count):
        day, hour = divmod(number, 24)
        seconds = 0.3 + 0.05 * (number % 5)
        run = changed(GOOD, {"route/qwen-native/chat": {"seconds": seconds}})
        if number % 11 == 4:
            run = changed(run, {"route/qwen-python/chat": {"ok": False, "seen": "no end within 120 s"}})
        if number % 13 == 9:
            run = changed(run, {"gateway/models": {"ok": None, "seen": "key.env: Permission denied"}})
        runs.append(replace(run, time=f"2026-11-{22 + day:02}T{hour:02}:30:00+00:00"))
    return tuple(runs)


def as_schema_2(verdict: Verdict) -> str:
    """As the version before wrote it: its checks have no code."""
    document = json.loads(verdict.to_json())
    for check in document["checks"]:
        del check["code"]
    return json.dumps({**document, "schema": 2, "$schema": "urn:ai-unified-backend:verdict:2"})


def without_codes(verdict: Verdict) -> Verdict:
    """As it is read from there."""
    return replace(verdict, checks=tuple(replace(check, code=None) for check in verdict.checks))


def as_written(found: Any) -> Any:
    """A verdict, or a part of it, as its JSON gives it back: half of a surrogate pair as the text of its escape."""
    if isinstance(found, str):
        return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", found)
    if isinstance(found, tuple | list):
        return type(found)(as_written(each) for each in found)
    if isinstance(found, Mapping):
        return {as_written(key): as_written(value) for key, value in found.items()}
    if is_dataclass(found) and not isinstance(found, type):
        return replace(found, **{field.name: as_written(getattr(found, field.name)) for field in fields(found)})
    return found
