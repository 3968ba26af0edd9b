"""The verifier against a gateway double: each answer that is not as declared turns exactly its own checks red."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from roles.verify.checks.cooldown import outlast_cooldown
from roles.verify.generation import Deployment, Generation, Probe, Route
from roles.verify.verdict.claim import CoolingDown
from tests.deployed import route
from tests.gateway_double import BASE, CHATS, KEY, NAMES, OVER_LIMIT, STREAMS, Double, Verified


def test_probes_are_cold_bounded_and_by_pass_the_cache(verified: Verified, double: Double) -> None:
    verified.verdict()
    assert len(double.bodies) == 6
    assert all(body["cache"] == {"no-cache": True} for body in double.bodies)
    worded = [body for body in double.bodies if body["model"] != "vector"]
    assert all((body["temperature"], body["max_tokens"]) == (0, 64) for body in worded)


def test_words_that_were_not_expected_fail_the_route(verified: Verified, double: Double) -> None:
    routes = tuple(replace(route, probe=replace(route.probe, expects="QWEN")) for route in verified.generation.routes)
    assert verified.red(routes=routes) == {}
    double.spoil("gpt-4o", words="I am Llama.")
    red = verified.red(routes=routes)
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert red["route/gpt-4o/chat"] == '"I am Llama." does not contain "QWEN"'


@pytest.mark.parametrize("words", [pytest.param("", id="empty"), pytest.param("  \n", id="white space")])
def test_an_answer_without_words_fails(verified: Verified, double: Double, words: str) -> None:
    double.spoil("qwen", "text", words=words)
    assert verified.red() == dict.fromkeys(
        ("route/qwen/chat", "route/qwen/stream", "route/text/completion"), "no words"
    )


def test_thinking_without_an_answer_says_to_raise_max_tokens(verified: Verified, double: Double) -> None:
    double.spoil("qwen", words="", thinking="Let me see.")
    red = verified.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    assert all("only thinking" in seen and "raise the probe's max_tokens (64)" in seen for seen in red.values())


def test_an_answer_from_another_deployment_fails(verified: Verified, double: Double) -> None:
    double.spoil("gpt-4o", origin="llama@ollama", base="http://127.0.0.1:11434")
    red = verified.red()
    assert red.keys() == {"route/gpt-4o/chat", "route/gpt-4o/stream"}
    assert set(red.values()) == {'answered by "llama@ollama" at http://127.0.0.1:11434'}


def test_an_answer_from_another_address_fails(verified: Verified, double: Double) -> None:
    double.spoil("vector", base="https://api.example.com/v1")
    assert verified.red() == {
        "route/vector/embedding": f"vector@backend answered at https://api.example.com/v1, not {BASE}/"
    }


def test_an_answer_after_a_fallback_fails(verified: Verified, double: Double) -> None:
    double.spoil("text", "text@backend", fallbacks="1")
    assert verified.red() == {"route/text/completion": "attempted fallbacks: 1"}


def test_a_backend_that_only_rests_is_asked_again(verified: Verified, double: Double) -> None:
    """Its own id answers well, so the route is given the time of the cool-down."""
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("text", fallbacks="1")
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert verified.red() == {}
    recovery.join()


def test_a_route_that_was_asked_as_often_as_it_may_is_asked_in_the_next_minute(
    verified: Verified, double: Double
) -> None:
    double.spoil("qwen", "qwen@backend", "text", status=429, error=OVER_LIMIT)
    recovery = threading.Timer(1.5, double.manners.clear)
    recovery.start()
    assert verified.red() == {}
    recovery.join()


def test_a_limit_that_lets_nobody_pass_is_red(
    verified: Verified, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roles.verify.probe.api._LIMIT_SECONDS", 0.0)
    double.spoil("text", status=429, error=OVER_LIMIT)
    assert verified.red() == {"route/text/completion": f'429 "{OVER_LIMIT}"'}


def test_a_backend_that_rests_and_is_broken_fails_at_once(verified: Verified, double: Double) -> None:
    double.spoil("qwen", "gpt-4o", status=429, error="No deployments available, cooldown")
    double.spoil("qwen@backend", status=500, error="kaput")
    assert verified.generation.gateway
    verdict = verified.verdict(gateway=replace(verified.generation.gateway, cooldown=60))
    assert {check.id for check in verdict.checks if not check.ok} == CHATS | STREAMS
    assert verdict.seconds < 30


def test_a_gateway_that_does_not_count_fallbacks_is_taken_at_its_word(verified: Verified, double: Double) -> None:
    double.spoil(*NAMES, fallbacks=None)
    assert verified.red() == {}


def test_an_error_is_shown_by_status_and_message(verified: Verified, double: Double) -> None:
    double.spoil("qwen", status=500, error="connection\nrefused " + "x" * 300)
    red = verified.red()
    assert red.keys() == {"route/qwen/chat", "route/qwen/stream"}
    for seen in red.values():
        assert seen.startswith('500 "connection refused xxx')
        assert len(seen) == len('500 ""…') + 200


def test_an_error_that_holds_the_key_is_shown_without_it(verified: Verified, double: Double) -> None:
    double.spoil(*NAMES, status=500, error=" " * 8 + "x" * 190 + KEY)
    verdict = verified.verdict()
    assert verdict.count["fail"] == 6
    assert KEY[:6] not in verdict.to_json()


def test_a_late_answer_fails_after_the_time_out_of_the_probe(verified: Verified, double: Double) -> None:
    double.spoil("text", delay=1.3)
    chat, text, vector = verified.generation.routes
    routes = (chat, replace(text, probe=replace(text.probe, timeout=1.0)), vector)
    assert verified.red(routes=routes) == {"route/text/completion": "no end within 1 s"}


@pytest.mark.parametrize(
    ("manner", "seen"),
    [
        pytest.param({"end": ""}, "ended after 3 chunks without [DONE]", id="no end"),
        pytest.param({"abort": True}, "broke off after 3 chunks: RemoteProtocolError", id="it breaks off"),
        pytest.param({"chunks": 1}, "came in 1 chunk, not as a stream", id="one chunk"),
        pytest.param(
            {"kind": "application/json"}, "content-type application/json, not text/event-stream", id="not a stream"
        ),
        pytest.param({"stream_error": True}, 'an error in the stream: "{"message": "backend went away"', id="an error"),
        pytest.param({"end": "data: {oops\n\ndata: [DONE]\n\n"}, 'a chunk is no JSON: "{oops"', id="no JSON"),
    ],
)
def test_a_spoilt_stream_fails_the_stream_alone(
    verified: Verified, double: Double, manner: dict[str, Any], seen: str
) -> None:
    double.spoil("gpt-4o", **manner)
    red = verified.red()
    assert red.keys() == {"route/gpt-4o/stream"}
    assert red["route/gpt-4o/stream"].startswith(seen)


def test_a_vector_must_hold_numbers(verified: Verified, double: Double) -> None:
    double.spoil("vector", vector=())
    assert verified.red() == {"route/vector/embedding": "an empty vector"}


def promising(generation: Generation) -> tuple[Route, ...]:
    """The generation's routes, of which the chat promises all that a chat can."""
    chat, *others = generation.routes
    return (replace(chat, tools=True, structured_outputs=True), *others)


def test_what_a_chat_promises_is_verified_by_each_of_its_names(verified: Verified) -> None:
    verdict = verified.verdict(routes=promising(verified.generation))
    assert verdict.status == "pass"
    for name in ("qwen", "gpt-4o"):
        assert {f"route/{name}/tools", f"route/{name}/schema"} <= {check.id for check in verdict.checks}


@pytest.mark.parametrize(
    ("manner", "kind", "seen"),
    [
        pytest.param({"tool": None}, "tools", "no tool call: 200 ", id="no tool call"),
        pytest.param(
            {"tool_arguments": "Paris"},
            "tools",
            "a tool call whose arguments are no JSON",
            id="arguments that are no JSON",
        ),
        pytest.param({"tool": "something"}, "tools", "was called", id="another tool"),
        pytest.param(
            {"structured": "Paris, of course."}, "schema", '"Paris, of course." is no JSON', id="words instead of JSON"
        ),
        pytest.param(
            {"structured": '{"capital": "Lyon"}'}, "schema", "is not by the schema", id="JSON that is not by the schema"
        ),
        pytest.param({"structured": ""}, "schema", "is no JSON", id="no words"),
    ],
)
def test_a_promise_that_is_not_kept_is_told(
    verified: Verified, double: Double, manner: dict[str, Any], kind: str, seen: str
) -> None:
    double.spoil("qwen", **manner)
    found = verified.red(routes=promising(verified.generation))
    assert set(found) == {f"route/qwen/{kind}"}
    assert seen in found[f"route/qwen/{kind}"]


RERANKER = route(
    "order",
    (Deployment("order@backend", BASE, "backend"),),
    Probe("Which?", "best", 64, timeout=10.0, documents=("the worst", "the BEST")),
    mode="rerank",
)


@pytest.mark.parametrize(
    ("order", "seen"),
    [
        pytest.param((1, 0), None, id="best first"),
        pytest.param((0, 1), '"the worst" does not contain "best"', id="worst first"),
        pytest.param((7,), "document 7 of 2", id="no such document"),
        pytest.param((), "no order of documents: 200", id="no document"),
    ],
)
def test_a_reranker_must_put_the_best_document_first(
    verified: Verified, double: Double, order: Sequence[int], seen: str | None
) -> None:
    double.names = ["order"]
    double.spoil("order", order=order)
    red = verified.red(routes=(RERANKER,))
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
            raise CoolingDown("wrong-origin", "attempted fallbacks: 1")
        return "words"

    async def is_well() -> bool:
        return True

    assert asyncio.run(outlast_cooldown(ask, is_well, 0)) == "words"
