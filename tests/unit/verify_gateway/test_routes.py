"""The verifier against a gateway double: each answer that is not as declared turns exactly its own checks red."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from roles.verify.cooldown import outlast_cooldown
from roles.verify.generation import Deployment, Generation, Probe, Route
from roles.verify.proof import Resting
from tests.gateway_double import BASE, CHATS, KEY, NAMES, OVER_LIMIT, STREAMS, Double, Proven


def test_probes_are_cold_bounded_and_by_pass_the_cache(proven: Proven, double: Double) -> None:
    proven.verdict()
    assert len(double.bodies) == 6
    assert all(body["cache"] == {"no-cache": True} for body in double.bodies)
    worded = [body for body in double.bodies if body["model"] != "vector"]
    assert all((body["temperature"], body["max_tokens"]) == (0, 64) for body in worded)


def test_words_that_were_not_expected_fail_the_route(proven: Proven, double: Double) -> None:
    routes = tuple(replace(route, probe=replace(route.probe, expects="QWEN")) for route in proven.generation.routes)
    assert proven.red(routes=routes) == {}
    double.spoil("gpt-4o", words="I am Llama.")
    red = proven.red(routes=routes)
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert red["route/gpt-4o/chat"] == '"I am Llama." holds no "QWEN"'


@pytest.mark.parametrize("words", ["", "  \n"])
def test_an_answer_without_words_fails(proven: Proven, double: Double, words: str) -> None:
    double.spoil("qwen", "text", words=words)
    assert proven.red() == dict.fromkeys(("route/qwen/chat", "route/qwen/stream", "route/text/completion"), "no words")


def test_thinking_without_an_answer_says_to_raise_max_tokens(proven: Proven, double: Double) -> None:
    double.spoil("qwen", words="", thinking="Let me see.")
    red = proven.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    assert all("only thinking" in seen and "raise the probe's max_tokens (64)" in seen for seen in red.values())


def test_an_answer_from_another_deployment_fails(proven: Proven, double: Double) -> None:
    double.spoil("gpt-4o", origin="llama@ollama", base="http://127.0.0.1:11434")
    red = proven.red()
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert set(red.values()) == {'answered by "llama@ollama" at http://127.0.0.1:11434'}


def test_an_answer_from_another_address_fails(proven: Proven, double: Double) -> None:
    double.spoil("vector", base="https://api.example.com/v1")
    assert proven.red() == {
        "route/vector/embedding": f"vector@backend answered at https://api.example.com/v1, not {BASE}/"
    }


def test_an_answer_after_a_fallback_fails(proven: Proven, double: Double) -> None:
    double.spoil("text", "text@backend", fallbacks="1")
    assert proven.red() == {"route/text/completion": "attempted fallbacks: 1"}


def test_a_backend_that_only_rests_is_asked_again(proven: Proven, double: Double) -> None:
    """Its own id answers well, so the route is given the time of the cool-down."""
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("text", fallbacks="1")
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert proven.red() == {}
    recovery.join()


def test_a_route_that_was_asked_as_often_as_it_may_is_asked_in_the_next_minute(proven: Proven, double: Double) -> None:
    double.spoil("qwen", "qwen@backend", "text", status=429, error=OVER_LIMIT)
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert proven.red() == {}
    recovery.join()


def test_a_limit_that_lets_nobody_pass_is_red(proven: Proven, double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.verify.api._LIMIT_SECONDS", 0.0)
    double.spoil("text", status=429, error=OVER_LIMIT)
    assert proven.red() == {"route/text/completion": f'429 "{OVER_LIMIT}"'}


def test_a_backend_that_rests_and_is_broken_fails_at_once(proven: Proven, double: Double) -> None:
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("qwen@backend", status=500, error="kaput")
    assert proven.generation.gateway
    verdict = proven.verdict(gateway=replace(proven.generation.gateway, cooldown=60))
    assert {check.id for check in verdict.checks if not check.ok} == CHATS | STREAMS
    assert verdict.seconds < 30


def test_a_gateway_that_does_not_count_fallbacks_is_taken_at_its_word(proven: Proven, double: Double) -> None:
    double.spoil(*NAMES, fallbacks=None)
    assert proven.red() == {}


def test_an_error_is_shown_by_status_and_message(proven: Proven, double: Double) -> None:
    double.spoil("qwen", status=500, error="connection\nrefused " + "x" * 300)
    red = proven.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    for seen in red.values():
        assert seen.startswith('500 "connection refused xxx')
        assert len(seen) == len('500 ""…') + 200


def test_an_error_that_holds_the_key_is_shown_without_it(proven: Proven, double: Double) -> None:
    double.spoil(*NAMES, status=500, error=" " * 8 + "x" * 190 + KEY)
    verdict = proven.verdict()
    assert verdict.count["fail"] == 6
    assert KEY[:6] not in verdict.to_json()


def test_a_late_answer_fails_after_the_time_out_of_the_probe(proven: Proven, double: Double) -> None:
    double.spoil("text", delay=1.3)
    chat, text, vector = proven.generation.routes
    routes = (chat, replace(text, probe=replace(text.probe, timeout=1.0)), vector)
    assert proven.red(routes=routes) == {"route/text/completion": "no end within 1 s"}


@pytest.mark.parametrize(
    ("manner", "seen"),
    [
        ({"end": ""}, "ended after 3 chunks without [DONE]"),
        ({"abort": True}, "broke off after 3 chunks: RemoteProtocolError"),
        ({"chunks": 1}, "came in 1 chunk, not as a stream"),
        ({"kind": "application/json"}, "content-type application/json, not text/event-stream"),
        ({"stream_error": True}, 'an error in the stream: "{"message": "backend went away"'),
        ({"end": "data: {oops\n\ndata: [DONE]\n\n"}, 'a chunk is no JSON: "{oops"'),
    ],
)
def test_a_spoilt_stream_fails_the_stream_alone(
    proven: Proven, double: Double, manner: dict[str, Any], seen: str
) -> None:
    double.spoil("gpt-4o", **manner)
    red = proven.red()
    assert red.keys() == {"route/gpt-4o/stream"}
    assert red["route/gpt-4o/stream"].startswith(seen)


def test_a_vector_must_hold_numbers(proven: Proven, double: Double) -> None:
    double.spoil("vector", vector=())
    assert proven.red() == {"route/vector/embedding": "an empty vector"}


def promising(generation: Generation) -> tuple[Route, ...]:
    """The generation's routes, of which the chat promises all that a chat can."""
    chat, *others = generation.routes
    return (replace(chat, tools=True, structured_outputs=True), *others)


def test_what_a_chat_promises_is_proved_by_each_of_its_names(proven: Proven) -> None:
    verdict = proven.verdict(routes=promising(proven.generation))
    assert verdict.status == "pass"
    for name in ("qwen", "gpt-4o"):
        assert {f"route/{name}/tools", f"route/{name}/schema"} <= {check.id for check in verdict.checks}


@pytest.mark.parametrize(
    ("manner", "kind", "seen"),
    [
        ({"tool": None}, "tools", "no tool call: 200 "),
        ({"tool_arguments": "Paris"}, "tools", "a tool call whose arguments are no JSON"),
        ({"tool": "something"}, "tools", "was called"),
        ({"structured": "Paris, of course."}, "schema", '"Paris, of course." is no JSON'),
        ({"structured": '{"capital": "Lyon"}'}, "schema", "is not by the schema"),
        ({"structured": ""}, "schema", "is no JSON"),
    ],
)
def test_a_promise_that_is_not_kept_is_told(
    proven: Proven, double: Double, manner: dict[str, Any], kind: str, seen: str
) -> None:
    double.spoil("qwen", **manner)
    found = proven.red(routes=promising(proven.generation))
    assert set(found) == {f"route/qwen/{kind}"}
    assert seen in found[f"route/qwen/{kind}"]


RERANKER = Route(
    name="order",
    aliases=(),
    mode="rerank",
    deployments=(Deployment("order@backend", BASE, "backend"),),
    probe=Probe("Which?", "best", 64, timeout=10.0, documents=("the worst", "the BEST")),
)


@pytest.mark.parametrize(
    ("order", "seen"),
    [
        ((1, 0), None),
        ((0, 1), '"the worst" holds no "best"'),
        ((7,), "document 7 of 2"),
        ((), "no order of documents: 200"),
    ],
)
def test_a_reranker_must_put_the_best_document_first(
    proven: Proven, double: Double, order: Sequence[int], seen: str | None
) -> None:
    double.names = ["order"]
    double.spoil("order", order=order)
    red = proven.red(routes=(RERANKER,))
    assert list(red) == ([] if seen is None else ["route/order/rerank"])
    assert red.get("route/order/rerank", "").startswith(seen or "")
    assert double.bodies[-1]["documents"] == ["the worst", "the BEST"]


def test_a_slow_first_answer_leaves_the_whole_cool_down_to_be_outlasted() -> None:
    """A gateway that has just started is slow, and may have put to rest what it did not wait for long enough."""
    tries = []

    async def ask() -> str:
        tries.append(time.monotonic())
        if len(tries) == 1:
            await asyncio.sleep(3.2)  # longer than the margin, and a cool-down of nothing
        if len(tries) < 3:
            raise Resting("attempted fallbacks: 1")
        return "words"

    async def is_well() -> bool:
        return True

    assert asyncio.run(outlast_cooldown(ask, is_well, 0)) == "words"
