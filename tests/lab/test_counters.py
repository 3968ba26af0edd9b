"""What LiteLLM, HAProxy, llama-server and the project's own count say of requests of which it is known what became of
them; and how many series LiteLLM makes of many, from many clients, that have in them whatever came to somebody's mind.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import deploy, inventory_file, verdict
from tests.lab.known_requests import (
    LONG,
    NO_NAME,
    Seen,
    odd_requests,
    send,
    with_all_servers,
    without_any,
    without_its_server,
)
from tests.lab.test_monitoring import value_of
from tests.labhost import LabHost

pytestmark = pytest.mark.soak_only

CLIENTS = [f"c{number:02}" for number in range(50)]
KEYS = {client: f"sk-lab-{client}-0123456789" for client in CLIENTS}
_INVENTORY = """
from roles.monitoring import Monitoring
from roles.options import Client, EnvSecret
clients = [Client(name=f"c{number:02}", key=EnvSecret(f"LAB_C{number:02}")) for number in range(50)]
stack = lab_stack(gateway={"instances": 2, "cooldown": 1})
hosts = [lab_host(stack.model_copy(update={"monitoring": Monitoring(interval=5), "clients": tuple(clients)}))]
"""
_READ = 12
"""Seconds until Prometheus has read everything again, and the gateway has written its count."""
NATIVE, PYTHON = "tiny-native", "tiny-python"
MOST_SERIES = 2000
"""Of an instance of LiteLLM, with 50 clients and a few names; `docs/monitoring.md` says so."""


@pytest.fixture(scope="module")
def host(new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    host = new_module_host("counters", prepared=True)
    with pytest.MonkeyPatch.context() as environment:
        for client, key in KEYS.items():
            environment.setenv(f"LAB_{client.upper()}", key)
        deploy(host, inventory=inventory_file(tmp_path_factory.mktemp("stack"), _INVENTORY)).must_pass()
    host.run("until [ -e /var/lib/ai-backend/verdicts/ai_backend.prom ]; do sleep 0.2; done")
    host.run("while systemctl -q is-active ai-backend-verify.service; do sleep 0.2; done")
    # All that comes is the test's.
    host.run("systemctl stop ai-backend-verify.timer")
    time.sleep(_READ)
    return host


def sums(host: LabHost, query: str, *labels: str) -> Counter[tuple[str, ...]]:
    """What Prometheus has last read, added up by labels."""
    found = value_of(host, f"sum by ({', '.join(labels)}) ({query})")
    return Counter({tuple(each[label] for label in labels): round(value) for each, value in found})


class Counters:
    """All that is compared, as it is at one time."""

    def __init__(self, host: LabHost) -> None:
        self.front = sums(host, 'haproxy_frontend_http_responses_total{proxy="endpoint"}', "code")
        self.requests = sums(host, "litellm_proxy_total_requests_metric_total", "api_key_alias", "status_code")
        self.tokens_in = sums(host, "litellm_input_tokens_metric_total", "api_key_alias")
        self.tokens_out = sums(host, "litellm_output_tokens_metric_total", "api_key_alias")
        self.fallbacks = sums(
            host, "litellm_deployment_successful_fallbacks_total", "requested_model", "fallback_model"
        )
        self.engine_in = sums(host, "llamacpp:prompt_tokens_total + llamacpp:prompt_tokens_cached_total", "instance")
        self.engine_out = sums(host, "llamacpp:tokens_predicted_total", "instance")

    def since(self, before: Counters) -> Mapping[str, Counter[tuple[str, ...]]]:
        """Only what has grown."""
        return {name: +(now - getattr(before, name)) for name, now in vars(self).items()}


def test_500_requests_are_counted_alike_by_all_that_count_them(host: LabHost) -> None:
    url = f"http://{host.address}:4000"
    before, seen = Counters(host), Seen()
    send(url, KEYS, with_all_servers(NATIVE), seen)
    host.run("systemctl stop llama-cpp-python@python")
    send(url, KEYS, without_its_server(PYTHON), seen)
    time.sleep(_READ)
    # Its counters go with it.
    engine = Counters(host).since(before)
    host.run("systemctl stop llama-server@native")
    send(url, KEYS, without_any(NATIVE), seen)
    time.sleep(_READ)
    counted = Counters(host).since(before)
    host.run("systemctl start llama-server@native llama-cpp-python@python")

    assert seen.statuses.total() == 500
    print(f"seen: {seen}\ncounted: {counted}\nengine: {engine['engine_in']}, {engine['engine_out']}")
    by_class: Counter[tuple[str, ...]] = Counter()
    for (_, status), number in seen.statuses.items():
        by_class[f"{status // 100}xx",] += number
    assert counted["front"] == by_class

    # The front's own refusals are nobody's, and reach no instance.
    reached = {(client, str(status)): number for (client, status), number in seen.statuses.items() if client != NO_NAME}
    assert counted["requests"] == reached
    assert counted["fallbacks"][PYTHON, NATIVE] == 100

    # Of an answer that was cut its client knows no number. LiteLLM counts by itself what it has seen of it, and of its
    # request; the server may have written some more.
    for counter, told in (("tokens_in", seen.tokens_in), ("tokens_out", seen.tokens_out)):
        assert {client: counted[counter][client,] for client in told} == told
    for counter, told, most in (("in", seen.tokens_in, seen.tokens_in["c00"]), ("out", seen.tokens_out, 10 * LONG)):
        cut = engine[f"engine_{counter}"]["native",] - told.total()
        assert 0 < counted[f"tokens_{counter}"]["c05",] <= cut <= most, counter

    usage = verdict(host)["usage"]
    own = {(each["client"], each["route"]): each for each in usage["total"] if each["client"] in KEYS}
    by_client: Counter[tuple[str, ...]] = Counter()
    for (client, _), number in reached.items():
        by_client[client,] += number
    for kind, known in (
        ("requests", by_client),
        ("tokens_in", counted["tokens_in"]),
        ("tokens_out", counted["tokens_out"]),
    ):
        ours: Counter[tuple[str, ...]] = Counter()
        for (client, _), each in own.items():
            ours[client,] += each[kind]
        assert +ours == known, kind
    assert (own["c00", NATIVE]["refused"], own["c03", "-"]["refused"]) == (40, 60)
    assert own["c04", NATIVE]["refused"] + own["c04", NATIVE]["failed"] == 30
    assert sum(each["requests"] for each in usage["fallbacks"] if each["route"] == PYTHON) == 100


def test_10000_requests_by_50_clients_make_few_series(host: LabHost) -> None:
    seen = Seen()
    host.run("systemctl stop llama-cpp-python@python")
    asks = odd_requests(10_000, CLIENTS, [NATIVE, "gpt-4o", f"{NATIVE}@native"], [PYTHON])
    began = time.monotonic()
    send(f"http://{host.address}:4000", KEYS, asks, seen)
    took = time.monotonic() - began
    host.run("systemctl start llama-cpp-python@python")
    time.sleep(_READ)
    series = {
        labels["instance"]: int(value)
        for labels, value in value_of(host, 'count by (instance) ({job="litellm",__name__=~"litellm_.+"})')
    }
    statuses = Counter(status for _, status in seen.statuses.elements())
    print(f"10,000 requests in {took:.0f} s, {dict(statuses)}: {series} series")
    assert seen.statuses.total() == 10_000
    assert len(series) == 2
    assert max(series.values()) < MOST_SERIES
