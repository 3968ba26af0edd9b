"""What is wrong with a gateway gets its code, by which the doctor explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.contract.verdict import Verdict
from roles.verify.generation import Generation
from tests.gateway_double import NAMES, OVER_LIMIT, UNIT, Double, Verified


def codes(verdict: Verdict) -> dict[str, str | None]:
    """By id of each check that does not pass. What passes has none; each of these has one, and is explained."""
    assert all(check.code is None for check in verdict.checks if check.ok)
    wrong = [check for check in verdict.checks if not check.ok]
    assert [check.id for check in wrong if check.code is None or not check.causes] == []
    return {check.id: check.code for check in wrong}


def test_what_passes_has_no_code(verified: Verified) -> None:
    assert codes(verified.verdict()) == {}


BOTH = ("chat", "stream")


@pytest.mark.parametrize(
    ("manner", "kinds", "code"),
    [
        pytest.param({"status": 500, "error": "out of memory"}, BOTH, "request-failed", id="an error"),
        pytest.param(
            {"status": 500, "error": "litellm.APIConnectionError"}, BOTH, "backend-unreachable", id="no connection"
        ),
        pytest.param({"status": 500, "error": "Request timed out."}, BOTH, "backend-timeout", id="a timeout"),
        pytest.param({"status": 503, "error": "No gateway is ready."}, BOTH, "gateway-unavailable", id="no gateway"),
        pytest.param({"status": 429, "error": OVER_LIMIT}, BOTH, "over-limit", id="over the limit"),
        pytest.param({"status": 429, "error": "No deployments available"}, BOTH, "cooling-down", id="cooling down"),
        pytest.param({"origin": "llama@ollama"}, BOTH, "wrong-origin", id="another backend"),
        pytest.param(
            {"words": "I am Llama.", "origin": "llama@ollama"},
            BOTH,
            "wrong-origin",
            id="another backend with other words",
        ),
        pytest.param({"words": "I am Llama."}, BOTH, "wrong-words", id="other words"),
        pytest.param({"words": ""}, BOTH, "empty-answer", id="no words"),
        pytest.param({"words": "", "thinking": "Let me see."}, BOTH, "only-thinking", id="thoughts alone"),
        pytest.param({"abort": True}, ("stream",), "broken-stream", id="a stream that breaks off"),
        pytest.param({"stream_error": True}, ("stream",), "broken-stream", id="an error in the stream"),
        pytest.param({"tool": None}, ("tools",), "no-tool-call", id="no tool call"),
        pytest.param({"tool": "something"}, ("tools",), "wrong-tool-call", id="another tool"),
        pytest.param({"structured": "Paris"}, ("schema",), "schema-violated", id="not by the schema"),
    ],
)
def test_each_way_in_which_a_route_fails_has_its_code(
    verified: Verified,
    double: Double,
    monkeypatch: pytest.MonkeyPatch,
    manner: dict[str, Any],
    kinds: Sequence[str],
    code: str,
) -> None:
    monkeypatch.setattr("roles.verify.probe.api._LIMIT_SECONDS", 0.0)
    monkeypatch.setattr("roles.verify.checks.cooldown._MARGIN", 0.0)
    double.spoil("qwen", "qwen@backend", **manner)
    chat, *others = verified.generation.routes
    chat = replace(chat, probe=replace(chat.probe, expects="Qwen"), tools=True, structured_outputs=True)
    found = codes(verified.verdict(routes=(chat, *others)))
    assert {found[f"route/qwen/{kind}"] for kind in kinds} == {code}


def test_a_late_answer(verified: Verified, double: Double) -> None:
    double.spoil("text", delay=1.3)
    chat, text, vector = verified.generation.routes
    late = codes(verified.verdict(routes=(chat, replace(text, probe=replace(text.probe, timeout=1.0)), vector)))
    assert late == {"route/text/completion": "answer-timeout"}


def test_a_gateway_that_is_down(verified: Verified, double: Double, generation: Generation) -> None:
    assert generation.gateway
    double.socket.close()
    gateway = replace(generation.gateway, service=replace(generation.gateway.service, start_timeout=0))
    found = codes(verified.verdict(gateway=gateway))
    assert found.pop(f"unit/{UNIT}/ready") == "not-ready"
    assert set(found.values()) == {"connection-failed"}


def test_an_unreadable_key(verified: Verified, generation: Generation) -> None:
    assert generation.gateway
    verdict = verified.verdict(gateway=replace(generation.gateway, key_file=Path("/nowhere/key.env")))
    assert set(codes(verdict).values()) == {"key-unreadable"}


def test_a_gateway_that_asks_for_no_key_and_offers_too_much(verified: Verified, double: Double) -> None:
    double.names = (*NAMES, "another")
    double.refusals[None] = 200
    assert codes(verified.verdict()) == {"gateway/models": "models-differ", "gateway/no-key": "key-not-required"}
