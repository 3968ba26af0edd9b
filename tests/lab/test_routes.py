"""Routes on a real host, over llama.cpp servers alone: who answers, also when some do not; and what Redis adds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import failures, verdict
from tests.lab.routes_faults import drop, freeze, kill, mistakes_meanwhile, restart, stop
from tests.lab.routes_host import FRESH, Deployed, routes_host
from tests.lab.routes_stack import (
    COOLDOWN,
    NARROW,
    PASSWORD,
    PORTS,
    RPM,
    SENTENCES,
    STREAM_TIMEOUT,
    TIMEOUT,
    WEIGHT,
    WIDE,
)
from tests.lab.traffic import Answer, Gateway, send
from tests.labhost import Lab, LabHost

REDIS = "ai-backend-redis.service"


@pytest.fixture(scope="module")
def deployed(lab: Lab, new_module_host: NewHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with routes_host(lab, new_module_host, tmp_path_factory.mktemp("routes"), "routes") as deployed:
        yield deployed


def origins(answers: Sequence[Answer]) -> Counter[str]:
    """Provider → how many of the answers it gave, by the sentence that is its own."""
    said = {sentence: name for name, sentence in SENTENCES.items()}
    return Counter(said[answer.words] for answer in answers)


def seconds(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds for answer in answers]


# Who answers


def test_every_route_is_verified_and_a_second_run_changes_nothing(deployed: Deployed) -> None:
    found = verdict(deployed.host)
    assert failures(found) == []
    ids = {check["id"] for check in found["checks"]}
    assert {
        "route/ranker/rerank",
        "route/plain/completion",
        "gateway/cache",
        f"unit/{REDIS}/ready",
        "route/gpt-4o/stream",
    } <= ids
    assert set(deployed.deploy().must_pass().results().values()) == {"No changes"}


def test_a_thousand_requests_are_shared_out_by_weight(deployed: Deployed) -> None:
    count, share = 1000, WEIGHT / (WEIGHT + 1)
    found = origins(deployed.ask("weighted", count, 8))
    assert set(found) == {"one", "two"}
    assert abs(found["one"] - count * share) <= 3 * math.sqrt(count * share * (1 - share)), found


def test_a_higher_order_is_not_asked_while_a_lower_one_answers(deployed: Deployed) -> None:
    assert set(origins(deployed.ask("ordered", 40, 4))) == {"one"}


def test_an_alias_is_answered_by_its_route(deployed: Deployed) -> None:
    (answer,) = deployed.ask("gpt-4o")
    assert (answer.words, answer.origin) == (SENTENCES["one"], "one@one")


def test_tags_choose_the_deployment(deployed: Deployed) -> None:
    assert set(origins(deployed.ask("tagged", 10, tags=["fast"]))) == {"one"}
    assert set(origins(deployed.ask("tagged", 10, tags=["slow"]))) == {"two"}
    assert set(origins(deployed.ask("tagged", 10))) == {"two"}


def test_no_more_requests_a_minute_pass_than_the_limit(deployed: Deployed) -> None:
    time.sleep(60 - time.time() % 60 + 0.5)  # LiteLLM counts by the clock's minute
    answers = asyncio.run(_refusals_and_all(deployed.host, "limited", 3 * RPM))
    assert Counter(answer.status_code for answer in answers) == {200: RPM, 429: 2 * RPM}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 429)


async def _refusals_and_all(host: LabHost, model: str, count: int) -> list[httpx.Response]:
    """As a client asks that does not wait for the next minute, as `send` does."""
    gateway = Gateway(host)
    body = {"model": model, "messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 8, **FRESH}
    async with gateway.client() as client:
        return [await gateway.post(client, "/v1/chat/completions", json.dumps(body).encode()) for _ in range(count)]


@pytest.mark.parametrize("name", ["one", "gpt-4o"])
def test_a_request_that_is_too_long_goes_to_the_larger_context(deployed: Deployed, name: str) -> None:
    messages = [{"role": "user", "content": "word " * NARROW}]
    (answer,) = deployed.ask(name, messages=messages)
    assert answer.words == SENTENCES["wide"]


def test_the_gateway_knows_what_a_model_can_do_and_that_it_costs_nothing(deployed: Deployed) -> None:
    """It tells so on loopback alone, as it tells where the backends are."""
    key = "$(cut -d'\"' -f2 /var/lib/ai-backend/secrets/instance-key.env)"
    command = f'curl -sS -H "Authorization: Bearer {key}" http://127.0.0.1:4001/model/info'
    models = json.loads(deployed.host.run(command).stdout)["data"]
    (told,) = [model["model_info"] for model in models if model["model_name"] == "wide"]
    wanted = {
        "max_input_tokens": WIDE,
        "supports_response_schema": True,
        "supports_vision": False,
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
    }
    assert {name: told[name] for name in wanted} == wanted


# Who answers when one does not


def deploy_hasty(deployed: Deployed, **gateway: Any) -> None:
    """Deploy time-outs so short that a verification may miss one while other hosts keep the processors busy: for five
    minutes it is tried again."""
    deadline = time.monotonic() + 300
    while (run := deployed.deploy(hasty=True, **gateway)).status and time.monotonic() < deadline:
        pass
    run.must_pass()


@pytest.mark.parametrize("fault", [kill, stop, freeze, drop])
def test_a_dead_primary_costs_one_time_out_and_then_nothing(
    deployed: Deployed, fault: Callable[[Deployed], Callable[[], None]]
) -> None:
    """Each edge: by fallback, by alias and fallback, to the other of a pair, to the next order.

    Of a pair it is chance who is asked first: one request meets the dead one, and no other does. Other lab hosts use
    the same processors: what the others cost is compared with a healthy route asked beside them, by the fastest.

    Meanwhile another client sends mistakes to the same route, which are refused as ever, and change nothing of this.
    """
    deploy_hasty(deployed)
    edges = {"one": "three", "gpt-4o": "three", "pair": "two", "ordered": "two"}
    deployed.rested()
    firsts: list[float] = []
    fix = fault(deployed)
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(fix)
        for name, expected in edges.items():
            with mistakes_meanwhile(deployed, [name]) as mistakes:
                answers = deployed.ask(name, 8)
                healthy = seconds(deployed.ask("three", 7))
            assert set(origins(answers)) == {expected}, name
            *others, longest = sorted(seconds(answers))
            print(f"{fault.__name__} {name}: healthy {min(healthy):.3f} s, {seconds(answers)}, {len(mistakes.known)}")
            assert max(others) < TIMEOUT - 1, (name, seconds(answers))
            assert min(others) <= min(healthy) + 0.1, (name, healthy, seconds(answers))
            firsts.append(longest)
            assert mistakes.wrong == []
            assert max(mistakes.known) < TIMEOUT - 1, mistakes.known
    # One that is refused is known at once; one that is silent is waited for.
    assert max(firsts) > TIMEOUT - 1 or fault in (kill, stop), firsts
    assert sorted(firsts)[2] <= TIMEOUT + 1, firsts
    assert max(firsts) <= TIMEOUT + 2, firsts
    began = time.monotonic()
    waiting = {"one", "gpt-4o", "ordered", "pair"}
    while waiting:
        waiting -= {name for name in waiting if "one" in origins(deployed.ask(name, 2))}
        back = time.monotonic() - began
        assert back <= COOLDOWN + 3, waiting
    print(f"{fault.__name__}: all are served by it again after {back:.1f} s, cool-down {COOLDOWN} s")


def test_who_stands_in_and_why_is_in_the_answer_and_in_both_logs(deployed: Deployed) -> None:
    deployed.deploy().must_pass()
    deployed.rested()
    fix = stop(deployed)
    try:
        (answer,) = deployed.ask("one")
    finally:
        fix()
    told = {"x-litellm-attempted-fallbacks": "1", "x-litellm-model-id": "three@three"}
    assert told.items() <= answer.headers.items()
    journal = "journalctl -b --no-pager -o cat"
    found = deployed.host.run(f"{journal} -u ai-backend-front -u litellm@a | grep -F {answer.headers['x-request-id']}")
    fallback, request = sorted(map(json.loads, found.stdout.splitlines()), key=lambda line: "event" not in line)
    assert {"event": "fallback", "asked": "one", "tried": "three", "answered": True}.items() <= fallback.items()
    assert fallback["why"].partition(":")[0] == "InternalServerError"
    # The front knows the route that has answered; what was asked is in the other line, of the same id.
    assert {"route": "three", "deployment": "three@three", "fallbacks": "1"}.items() <= request.items()


def test_a_request_is_found_by_the_id_that_its_client_got(deployed: Deployed) -> None:
    deployed.deploy().must_pass()
    deployed.rested()
    fix = stop(deployed)
    deployed.host.run("systemctl stop llama-server@three")
    try:
        (twice,) = deployed.ask("one")
    finally:
        deployed.host.run("systemctl start llama-server@three")
        fix()
    way = _way(deployed, twice.headers["x-request-id"])
    assert "one failed: InternalServerError" in way, way
    assert "three failed: InternalServerError" in way, way
    assert "its fallback wide answered" in way, way
    assert "status 200" in way, way
    assert "answered by wide@wide of route wide; after 2 fallbacks; through instance a" in way, way
    # The same on the host itself.
    there = deployed.host.run(f"/etc/ai-backend/bin/verify --request {twice.headers['x-request-id']}").stdout
    assert "answered by wide@wide of route wide; after 2 fallbacks; through instance a" in there, there
    (look,) = re.findall("journalctl -u llama-server@wide.service --since .*UTC'", way)
    assert "slot" in deployed.host.run(look).stdout

    way = _way(deployed, asyncio.run(_cut(deployed.host)))
    assert "status 200" in way, way
    assert "the client hung up in the middle of the answer" in way, way

    with httpx.Client(base_url=f"http://{deployed.host.address}:4000", trust_env=False) as client:
        refused = client.get("/v1/models", headers={"Authorization": "Bearer sk-nobody"})
    assert refused.status_code == 401
    way = _way(deployed, refused.json()["error"]["request_id"])
    assert "GET /v1/models by a client without a name" in way, way
    assert "status 401" in way, way

    assert re.search("no request 12345: its journal goes back to 20[0-9-]+T", _way(deployed, "12345"))


def _way(deployed: Deployed, name: str) -> str:
    return deployed.deploy("trace.py", {"request": name}).must_pass().output


async def _cut(host: LabHost) -> str:
    """Hang up after the first bytes of a streamed answer; its id."""
    gateway = Gateway(host)
    words = [{"role": "user", "content": "Who are you?"}]
    body = {"model": "wide", "messages": words, "max_tokens": 1900, "ignore_eos": True, "stream": True, **FRESH}
    async with gateway.client() as client:
        async with gateway.stream(client, "/v1/chat/completions", json.dumps(body).encode()) as reply:
            await anext(reply.aiter_raw())
        return str(reply.headers["x-request-id"])


def test_a_primary_that_restarts_again_and_again_costs_nobody_an_answer(deployed: Deployed) -> None:
    deploy_hasty(deployed)
    deployed.rested()
    fix = restart(deployed)
    try:
        with mistakes_meanwhile(deployed, ["one", "pair"]) as mistakes:
            answers = [answer for _ in range(6) for name in ("one", "pair") for answer in deployed.ask(name, 4)]
            healthy = seconds(deployed.ask("three", 7))
    finally:
        fix()
    print(f"restart: {origins(answers)}, healthy {healthy}, {sorted(seconds(answers))}, {len(mistakes.known)}")
    assert set(origins(answers)) <= {"one", "two", "three"}
    assert max(seconds(answers)) < TIMEOUT - 1, seconds(answers)
    assert statistics.median(seconds(answers)) <= statistics.median(healthy) + 0.1, (healthy, seconds(answers))
    assert mistakes.wrong == []


def test_a_stream_waits_for_its_own_time_out(deployed: Deployed) -> None:
    deploy_hasty(deployed)
    fix, taken = freeze(deployed), []
    try:
        for _ in range(3):
            deployed.rested()
            (answer,) = deployed.ask("hasty", stream=True)
            assert answer.words == SENTENCES["three"]
            taken.append(answer.seconds)
    finally:
        fix()
    # By the fastest: other lab hosts use the same processors.
    assert STREAM_TIMEOUT - 1 <= min(taken) <= STREAM_TIMEOUT + 1, taken


def test_two_instances_tell_each_other_who_is_to_rest(deployed: Deployed) -> None:
    """Through Redis. Each would pay for a time-out of its own otherwise."""
    cooldown = 20
    deploy_hasty(deployed, instances=2, cooldown=cooldown)
    fix = freeze(deployed)
    try:
        first = deployed.ask("one")[0]
        time.sleep(1)  # as often an instance looks there
        # However busy the processors are: of those that it is still to rest for, none has waited for it.
        later = [answer for answer in deployed.ask("one", 10) if answer.began < first.began + cooldown]
    finally:
        fix()
    assert TIMEOUT - 1 <= first.seconds <= TIMEOUT + 2
    assert len(later) >= 2, later
    assert max(seconds(later)) < TIMEOUT - 1, later
    deployed.deploy().must_pass()


# The strategies


def test_the_least_busy_goes_round_one_that_hangs(deployed: Deployed) -> None:
    deployed.deploy(routing_strategy="least-busy").must_pass()
    deployed.ask("pair", 10, 2)
    deployed.host.run("systemctl kill --signal=STOP llama-server@two")
    thaw = threading.Timer(4, deployed.host.run, ["systemctl kill --signal=CONT llama-server@two"])
    thaw.start()
    thawed = time.monotonic() + 4
    try:
        answers = deployed.ask("pair", 40, 4)
    finally:
        thaw.join()
    # By chance all four that ask would soon be waiting for it, and ask nothing more until it goes on.
    begun = [answer.began for answer in answers if answer.began < thawed]
    assert len(begun) == 40 or max(begun) > thawed - 2, Counter(round(answer.began - thawed) for answer in answers)


@pytest.mark.soak_only
def test_by_latency_the_faster_is_asked(deployed: Deployed) -> None:
    deployed.deploy(routing_strategy="latency-based-routing").must_pass()
    # The verification has asked all routes at once. Forget how long that took: Redis holds it, and the gateway too.
    alive = "http://127.0.0.1:4001/health/liveliness"
    deployed.host.run(f"systemctl restart {REDIS} litellm@a && until curl -sf {alive}; do sleep 0.5; done", timeout=120)
    # The second freezes for longer: the first still has slow answers to its name.
    for slow, fast, freeze_seconds in (("two", "one", 1), ("one", "two", 3)):
        last: list[str] = []
        while last[-3:] != [fast] * 3:  # the mean is over the ten latest answers, of which each slow one adds a tenth
            assert len(last) < 30, last
            unit = f"llama-server@{slow}"
            deployed.host.run(f"systemctl kill --signal=STOP {unit}")
            thaw = threading.Timer(freeze_seconds, deployed.host.run, [f"systemctl kill --signal=CONT {unit}"])
            thaw.start()
            try:
                last += origins(deployed.ask("pair"))
            finally:
                thaw.join()
        # By chance it would be ten. A busy machine makes the fast one slow at times.
        assert origins(deployed.ask("pair", 20))[slow] <= 5


@pytest.mark.soak_only
def test_by_usage_the_one_with_fewer_tokens_is_asked(deployed: Deployed) -> None:
    deployed.deploy(routing_strategy="usage-based-routing-v2").must_pass()
    # Tokens count for a minute of the host's clock; all that are asked here are within one.
    time.sleep(60 - int(deployed.host.run("date +%S").stdout))
    found: list[str] = []
    for _ in range(14):
        found += origins(deployed.ask("pair"))
        time.sleep(0.5)  # an answer is counted just after it was given
    # Both answer with as many tokens: after one has answered, the other has fewer, and then they are level again.
    assert all({first, second} == {"one", "two"} for first, second in zip(found[::2], found[1::2], strict=True)), found


def test_the_first_strategy_comes_back(deployed: Deployed) -> None:
    deployed.deploy().must_pass()
    assert failures(verdict(deployed.host)) == []


# Redis


def prompts_seen(host: LabHost, name: str) -> float:
    """Tokens of prompts that a server has worked on, by its own count."""
    key = f"$(cut -d'\"' -f2 /var/lib/ai-backend/secrets/llama-server@{name}.env | head -n 1)"
    metrics = host.run(f'curl -s -H "Authorization: Bearer {key}" http://127.0.0.1:{PORTS[name]}/metrics').stdout
    found = re.search(r"^llamacpp:prompt_tokens_total (\S+)", metrics, re.MULTILINE)
    assert found, metrics
    return float(found[1])


FIXED: dict[str, Any] = {"messages": [{"role": "user", "content": "Who is it that never changes?"}]}


def new_question() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Who are you, {uuid.uuid4()}?"}]}


@pytest.mark.parametrize("stream", [False, True])
def test_the_same_request_is_answered_from_the_cache(deployed: Deployed, stream: bool) -> None:
    question = new_question()
    before = prompts_seen(deployed.host, "three")
    (first,) = send(deployed.host, "three", stream=stream, **question)
    time.sleep(0.5)  # an answer is remembered just after it was given
    asked = prompts_seen(deployed.host, "three")
    (second,) = send(deployed.host, "three", stream=stream, **question)
    assert (first.words, second.words) == (SENTENCES["three"], SENTENCES["three"])
    assert asked > before
    assert prompts_seen(deployed.host, "three") == asked
    assert "x-litellm-cache-key" in second.headers
    assert "x-litellm-cache-key" not in first.headers


def redis_cli(deployed: Deployed, command: str) -> str:
    return deployed.host.run(f"read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli {command}", input=PASSWORD).stdout


def test_redis_answers_nobody_without_the_password(deployed: Deployed) -> None:
    assert deployed.host.run("redis-cli ping").stdout == "NOAUTH Authentication required.\n\n"
    assert redis_cli(deployed, "ping") == "PONG\n"
    for place in ("journalctl --no-pager -o cat", "cat /proc/[0-9]*/cmdline", "cat /etc/ai-backend/redis/redis.conf"):
        assert "pass word" not in deployed.host.run(place, check=False).stdout


def test_debians_own_redis_does_not_run(deployed: Deployed) -> None:
    assert deployed.host.run("systemctl is-enabled redis-server", check=False).stdout == "masked\n"
    assert deployed.host.run("pgrep -c redis-server").stdout == "1\n"


def keep_coming(deployed: Deployed, healthy: float, extra: float) -> list[float]:
    """Answers to new questions while something is wrong with Redis: how long each took."""
    taken = []
    for _ in range(25):
        (answer,) = send(deployed.host, "three", **new_question())
        assert (answer.words, answer.problem) == (SENTENCES["three"], None)
        taken.append(answer.seconds)
    assert statistics.median(taken) <= healthy + extra, (healthy, taken)
    return taken


def usual(deployed: Deployed) -> float:
    """How long an answer takes while Redis is in use. LiteLLM leaves one that failed alone for a minute."""
    deadline = time.monotonic() + 70
    while not any("x-litellm-cache-key" in send(deployed.host, "three", **FIXED)[0].headers for _ in range(2)):
        assert time.monotonic() < deadline, "Redis is not used again"
        time.sleep(2)
    return statistics.median(seconds([send(deployed.host, "three", **new_question())[0] for _ in range(10)]))


def test_answers_keep_coming_while_redis_is_dead(deployed: Deployed) -> None:
    healthy = usual(deployed)
    deployed.host.run(f"systemctl stop {REDIS}")
    try:
        print("dead", healthy, keep_coming(deployed, healthy, 0.1))
    finally:
        deployed.host.run(f"systemctl start {REDIS}")
    assert failures(verdict(deployed.host)) == []


def test_answers_keep_coming_while_redis_is_frozen(deployed: Deployed) -> None:
    healthy = usual(deployed)
    deployed.host.run(f"systemctl kill --signal=STOP {REDIS}")
    try:
        print("frozen", healthy, keep_coming(deployed, healthy, 0.5))
        seen = failures(verdict(deployed.host))
        print("frozen, then", keep_coming(deployed, healthy, 0.1))
    finally:
        deployed.host.run(f"systemctl kill --signal=CONT {REDIS}")
    assert {failure.split(":")[0] for failure in seen} == {f"unit/{REDIS}/ready", "gateway/cache"}


def test_answers_keep_coming_while_redis_is_full(deployed: Deployed) -> None:
    healthy = usual(deployed)
    redis_cli(deployed, "config set maxmemory 1")
    try:
        print("full", healthy, keep_coming(deployed, healthy, 0.1))
    finally:
        redis_cli(deployed, "config set maxmemory 256mb")


def test_redis_forgets_the_oldest_when_it_is_full(deployed: Deployed) -> None:
    assert redis_cli(deployed, "config get maxmemory-policy") == "maxmemory-policy\nallkeys-lru\n"
    assert redis_cli(deployed, "config get maxmemory") == f"maxmemory\n{256 * 2**20}\n"
    assert redis_cli(deployed, "config get save") == "save\n\n"
