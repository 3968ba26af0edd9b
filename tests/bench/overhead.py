"""What the gateway costs: the same chat asked of the backend itself, and through LiteLLM in several settings."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.bench.errors import BenchError
from tests.bench.gateway import PLACES
from tests.bench.host import BenchHost, new_host
from tests.labhost import Lab

_ROUNDS = 3
"""The ways are asked in turn, so many times over: the machine's speed changes in minutes."""
_SECONDS = 4
_WARM_SECONDS = 3
_DEFAULTS_PORT = 4100
_DEFAULTS_UNIT = "bench-defaults.service"
_KEY_FILE = "/var/lib/ai-backend/secrets/master-key.env"
_NATIVE_KEY_FILE = "/var/lib/ai-backend/secrets/llama-server@native.env"
_FOLDER = "/srv/bench"
_TOKENS = 8
_START_SECONDS = 90


class Way(StrEnum):
    DIRECT = "llama-server itself"
    DEFAULTS = "LiteLLM, its own defaults"
    ONE = "as shipped, one instance"
    TWO = "as shipped: two instances behind the front"


@dataclass(frozen=True)
class _Asked:
    """Where a way is asked and what it consists of."""

    port: int
    model: str
    units: tuple[str, ...]
    key_file: str = _KEY_FILE


_WAYS = {
    Way.DIRECT: _Asked(8080, "tiny-native", ("llama-server@native.service",), _NATIVE_KEY_FILE),
    Way.DEFAULTS: _Asked(_DEFAULTS_PORT, "tiny-native", (_DEFAULTS_UNIT,)),
    # An instance is the same process with or without the other one and the front.
    Way.ONE: _Asked(4001, "tiny-native", ("litellm@a.service",)),
    Way.TWO: _Asked(4000, "tiny-native", ("litellm@a.service", "litellm@b.service", "ai-backend-front.service")),
}

_DEFAULTS_CONFIG: dict[str, Any] = {
    "model_list": [
        {
            "model_name": "tiny-native",
            "litellm_params": {
                "model": "openai/tiny-native",
                "api_base": "http://127.0.0.1:8080/v1",
                "api_key": "os.environ/NATIVE_API_KEY",
            },
        }
    ],
    "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
}
"""The least that LiteLLM can be told: the same route, and that it asks for a key."""


@dataclass(frozen=True)
class Overhead:
    """The medians of one way's rounds.

    Attributes:
        p50: seconds of an answer when one is asked for after the other.
        p95: likewise.
        rate: answers a second when `PLACES` are asked for at once.
        busy_p95: seconds of an answer then.
        memory: bytes that its processes take after that (proportional set size).
        rates: those of the single rounds.
    """

    way: Way
    p50: float
    p95: float
    rate: float
    busy_p95: float
    memory: int
    rates: tuple[float, ...]


def measure_overhead(lab: Lab, say: Callable[[str], None]) -> list[Overhead]:
    """Make a host and measure every way on it.

    Raises:
        BenchError: a run failed, or a request.
        LabError: the host could not be made.
    """
    with new_host(lab, "gateway") as host:
        host.deploy("tests/bench/gateway.py")
        _prepare(host)
        for asked in _WAYS.values():
            _ask(host, asked, 1, _WARM_SECONDS)
        single: dict[Way, list[dict[str, float]]] = {way: [] for way in Way}
        busy: dict[Way, list[dict[str, float]]] = {way: [] for way in Way}
        for _ in range(_ROUNDS):
            for way, asked in _WAYS.items():
                single[way].append(_ask(host, asked, 1, _SECONDS))
                busy[way].append(_ask(host, asked, PLACES, _SECONDS))
                say(f"{way}: {single[way][-1]['p50'] * 1000:.1f} ms, {_rate(busy[way][-1]):.0f} a second")
        return [_overhead(way, single[way], busy[way], _memory(host, _WAYS[way].units)) for way in Way]


def _prepare(host: BenchHost) -> None:
    """wrk, and a LiteLLM with its own defaults beside the deployed one, from the same installation."""
    run = host.host.run
    run("DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends wrk", timeout=300)
    body = {
        "model": "tiny-native",
        "messages": [{"role": "user", "content": "Who are you?"}],
        "max_tokens": _TOKENS,
        "temperature": 0,
    }
    run(f"mkdir -p {_FOLDER}")
    run(f"cat > {_FOLDER}/body.json", input=json.dumps(body))
    run(f"cat > {_FOLDER}/wrk.lua", input=Path(__file__).with_name("wrk.lua").read_text())
    run(f"cat > {_FOLDER}/defaults.yaml", input=json.dumps(_DEFAULTS_CONFIG))
    run(
        f"systemd-run --quiet --unit {_DEFAULTS_UNIT} -p DynamicUser=yes -E HOME=/tmp -p EnvironmentFile={_KEY_FILE} "
        f"-p EnvironmentFile={_NATIVE_KEY_FILE} /etc/ai-backend/install/litellm/bin/litellm "
        f"--config {_FOLDER}/defaults.yaml --host 127.0.0.1 --port {_DEFAULTS_PORT}"
    )
    live = f"http://127.0.0.1:{_DEFAULTS_PORT}/health/liveliness"
    run(f"timeout {_START_SECONDS} sh -c 'until curl -sf {live}; do sleep 0.5; done'", timeout=_START_SECONDS + 10)


def _ask(host: BenchHost, asked: _Asked, at_once: int, seconds: int) -> dict[str, float]:
    """wrk's figures.

    Raises:
        BenchError: a request failed.
    """
    key = f'"$(cut -d\'"\' -f2 {asked.key_file} | head -n 1)"'
    said = host.host.run(
        f"wrk --threads 1 --connections {at_once} --duration {seconds}s --timeout 30s --script {_FOLDER}/wrk.lua "
        f"http://127.0.0.1:{asked.port}/v1/chat/completions -- {_FOLDER}/body.json {key}",
        timeout=seconds + 60,
    ).stdout
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    if figures["failed"] or not figures["requests"]:
        raise BenchError(f"of {figures['requests']} requests to port {asked.port} {figures['failed']} failed:\n{said}")
    return figures


def _rate(figures: dict[str, float]) -> float:
    return figures["requests"] / figures["seconds"]


def _memory(host: BenchHost, units: tuple[str, ...]) -> int:
    pids = " ".join(f"$(systemctl show -P MainPID {unit})" for unit in units)
    said = host.host.run(
        f"for pid in {pids}; do for each in $pid $(pgrep -P $pid); do grep ^Pss: /proc/$each/smaps_rollup; done; done"
    ).stdout
    return sum(int(line.split()[1]) for line in said.splitlines()) * 1024


def _overhead(way: Way, single: list[dict[str, float]], busy: list[dict[str, float]], memory: int) -> Overhead:
    rates = tuple(_rate(each) for each in busy)
    return Overhead(
        way=way,
        p50=statistics.median(each["p50"] for each in single),
        p95=statistics.median(each["p95"] for each in single),
        rate=statistics.median(rates),
        busy_p95=statistics.median(each["p95"] for each in busy),
        memory=memory,
        rates=rates,
    )
