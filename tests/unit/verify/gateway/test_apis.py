"""The deep questions against a gateway double: an answer that is not as client programs need it fails its own check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from roles.contract.abilities import UNKNOWN, Abilities
from roles.verify.checks.gateway import WRONG_KEY
from roles.verify.generation import Deployment, Generation, Probe
from tests.deployed import route
from tests.gateway_double import BASE, Double, Manner, Verified

ABLE = Abilities(images=True, audio=True, context_size=100)
UNABLE = Abilities(
    tools=False, structured_outputs=False, thinking=False, logprobs=False, several=False, context_size=100
)
ORDER = route(
    "order",
    (Deployment("order@backend", BASE, "backend"),),
    Probe("Which?", "best", 64, timeout=10.0, documents=("the worst", "the BEST")),
    mode="rerank",
)
CHAT = {"refused-key", "refused-types", "refused-path", "after-mistakes"}
GENERAL = {"usage", "stop", "responses", "responses-stream", "messages", "messages-stream", "messages-count", "hang-up"}
TOOLS = {"streamed-tool", "forced-tool", "parallel-tools", "responses-tool", "messages-tool"}
LENGTH = {"refused-length", "refused-length-stream"}


@pytest.fixture
def double(double: Double) -> Double:
    """A gateway that does with mistakes what it should."""
    double.refusals[WRONG_KEY] = 401
    return double


def routes(double: Double, generation: Generation, abilities: Abilities = ABLE) -> dict[str, Any]:
    """What changes in the generation: routes with these abilities, each by one name, of which the double knows."""
    chat, *others = generation.routes
    chat = replace(chat, aliases=(), tools=abilities.tools, structured_outputs=abilities.structured_outputs)
    found = tuple(replace(each, abilities=abilities) for each in (chat, *others, ORDER))
    double.abilities = {each.name: each.abilities for each in found}
    double.names = tuple(each.name for each in found)
    return {"apis": True, "routes": found}


def kinds(verified: Verified, of: str, **changes: Any) -> set[str]:
    """Of the deep checks of a route."""
    start = f"route/{of}/apis/"
    return {check.id.removeprefix(start) for check in verified.verdict(**changes).checks if check.id.startswith(start)}


def codes(verified: Verified, changes: Mapping[str, Any]) -> dict[str, str | None]:
    """By the end of the id of each deep check that does not pass; each is explained."""
    wrong = [check for check in verified.verdict(**changes).checks if not check.ok and "/apis/" in check.id]
    assert [check.id for check in wrong if not check.causes] == []
    return {check.id.partition("/apis/")[2]: check.code for check in wrong}


def only_chat(double: Double, generation: Generation, abilities: Abilities = ABLE) -> dict[str, Any]:
    changes = routes(double, generation, abilities)
    double.names = ("qwen",)
    return {**changes, "routes": changes["routes"][:1]}


def test_without_being_asked_to_it_asks_none_of_them(verified: Verified) -> None:
    assert not any("/apis/" in check.id for check in verified.verdict().checks)


def test_all_pass_for_routes_that_do_what_they_can(verified: Verified, double: Double, generation: Generation) -> None:
    assert verified.red(**routes(double, generation)) == {}


def test_all_pass_for_routes_that_refuse_what_they_cannot(
    verified: Verified, double: Double, generation: Generation
) -> None:
    assert verified.red(**routes(double, generation, UNABLE)) == {}


def test_what_is_asked_follows_from_what_the_route_can_do(
    verified: Verified, double: Double, generation: Generation
) -> None:
    able = {"streamed-schema", "logprobs", "several", "picture", *TOOLS, *LENGTH}
    assert kinds(verified, "qwen", **only_chat(double, generation)) == GENERAL | CHAT | able
    refused = {"picture", "audio", "tool", "schema", "logprobs", "several"}
    unable = {f"refused-{each}" for each in refused} | LENGTH
    assert kinds(verified, "qwen", **only_chat(double, generation, UNABLE)) == GENERAL | CHAT | unable


def test_of_a_route_of_which_nothing_is_known_only_what_it_promises_is_asked(
    verified: Verified, double: Double, generation: Generation
) -> None:
    promised = {"streamed-schema", *TOOLS}
    assert kinds(verified, "qwen", **only_chat(double, generation, UNKNOWN)) == GENERAL | CHAT | promised


def test_tools_and_schemas_that_the_route_does_not_promise_are_not_asked_for(
    verified: Verified, double: Double, generation: Generation
) -> None:
    """Its server passes them on, and the model may not know what to do with them."""
    changes = only_chat(double, generation)
    (chat,) = changes["routes"]
    changes["routes"] = (replace(chat, tools=False, structured_outputs=False),)
    asked = kinds(verified, "qwen", **changes)
    assert not {*TOOLS, "streamed-schema"} & asked
    assert {"logprobs", "several", "picture"} <= asked


def test_a_prompt_that_may_go_on_to_a_larger_context_is_no_mistake(
    verified: Verified, double: Double, generation: Generation
) -> None:
    changes = only_chat(double, generation)
    (chat,) = changes["routes"]
    changes["routes"] = (replace(chat, context_window_fallbacks=("larger",)),)
    assert not LENGTH & kinds(verified, "qwen", **changes)


@pytest.mark.parametrize(
    ("manner", "kind", "code"),
    [
        pytest.param({"ignores": ["stream_options"]}, "usage", "parameter-ignored", id="no usage"),
        pytest.param({"ignores": ["stop"]}, "stop", "parameter-ignored", id="no stop"),
        pytest.param({"ignores": ["logprobs"]}, "logprobs", "parameter-ignored", id="no logprobs"),
        pytest.param({"ignores": ["n"]}, "several", "parameter-ignored", id="one answer for n"),
        pytest.param({"ignores": ["tool_choice"]}, "forced-tool", "wrong-tool-call", id="another tool than forced"),
        pytest.param({"tool_arguments": '{"city": "Rome"}'}, "streamed-tool", "wrong-tool-call", id="other arguments"),
        pytest.param({"tool_arguments": '{"city": "Rome"}'}, "parallel-tools", "wrong-tool-call", id="likewise"),
        pytest.param({"tool_arguments": '{"city": "Rome"}'}, "responses-tool", "wrong-tool-call", id="by responses"),
        pytest.param({"tool_arguments": '{"city": "Rome"}'}, "messages-tool", "wrong-tool-call", id="by messages"),
        pytest.param({"tool": None}, "streamed-tool", "no-tool-call", id="no streamed call"),
        pytest.param({"tool": None}, "parallel-tools", "no-tool-call", id="no call"),
        pytest.param({"structured": "Paris"}, "streamed-schema", "schema-violated", id="no JSON"),
        pytest.param({"structured": "{}"}, "streamed-schema", "schema-violated", id="not by the schema"),
        pytest.param({"end": ""}, "usage", "broken-stream", id="a stream without an end"),
        pytest.param({"end": ""}, "responses-stream", "broken-stream", id="one of responses"),
        pytest.param({"end": ""}, "messages-stream", "broken-stream", id="one of messages"),
        pytest.param({"stream_error": True}, "messages-stream", "broken-stream", id="an error in a stream"),
        pytest.param({"words": ""}, "picture", "empty-answer", id="nothing about a picture"),
        pytest.param({"words": ""}, "responses", "empty-answer", id="nothing by responses"),
        pytest.param({"words": ""}, "messages", "empty-answer", id="nothing by messages"),
        pytest.param({"words": ""}, "messages-stream", "empty-answer", id="nothing streamed"),
        pytest.param({"answers": {"/v1/responses": {"id": 1}}}, "responses", "malformed-answer", id="no output"),
        pytest.param({"answers": {"/v1/messages": {"id": 1}}}, "messages", "malformed-answer", id="no content"),
        pytest.param(
            {"answers": {"/v1/messages/count_tokens": {"input_tokens": 0}}},
            "messages-count",
            "malformed-answer",
            id="no tokens counted",
        ),
        pytest.param({"origin": "llama@ollama"}, "messages", "wrong-origin", id="another backend"),
    ],
)
def test_a_chat_that_cannot_do_what_it_should_is_told(
    verified: Verified, double: Double, generation: Generation, manner: dict[str, Any], kind: str, code: str
) -> None:
    double.spoil("qwen", **manner)
    assert codes(verified, only_chat(double, generation))[kind] == code


@pytest.mark.parametrize(
    ("name", "manner", "kind", "code"),
    [
        pytest.param("text", {"end": ""}, "stream", "broken-stream", id="a completion without an end"),
        pytest.param("text", {"words": ""}, "stream", "empty-answer", id="a completion of nothing"),
        pytest.param("text", {"ignores": ["stream_options"]}, "usage", "parameter-ignored", id="no usage"),
        pytest.param("text", {"ignores": ["stop"]}, "stop", "parameter-ignored", id="no stop"),
        pytest.param("text", {"ignores": ["logprobs"]}, "logprobs", "parameter-ignored", id="no logprobs"),
        pytest.param("vector", {"vector": ()}, "base64", "empty-answer", id="an empty vector as base64"),
        pytest.param("vector", {"vector": ()}, "list", "empty-answer", id="empty vectors"),
        pytest.param(
            "vector", {"answers": {"/v1/embeddings": {"data": []}}}, "list", "malformed-answer", id="no vectors"
        ),
        pytest.param("order", {"ignores": ["top_n"]}, "rerank", "parameter-ignored", id="all documents"),
        pytest.param("order", {"ignores": ["top_n"]}, "rerank-v2", "parameter-ignored", id="all documents by v2"),
        pytest.param("order", {"order": [7]}, "rerank-v2", "malformed-answer", id="no such document"),
    ],
)
def test_another_route_that_cannot_do_what_it_should_is_told(
    verified: Verified, double: Double, generation: Generation, name: str, manner: dict[str, Any], kind: str, code: str
) -> None:
    changes = routes(double, generation)
    changes["routes"] = tuple(each for each in changes["routes"] if each.name == name)
    double.names = (name,)
    double.spoil(name, **manner)
    assert codes(verified, changes)[kind] == code


def test_numbers_will_do_where_base64_was_asked_for(verified: Verified, double: Double, generation: Generation) -> None:
    double.spoil("vector", ignores=["encoding_format"])
    verdict = verified.verdict(**routes(double, generation))
    (check,) = [each for each in verdict.checks if each.id == "route/vector/apis/base64"]
    assert (check.ok, check.seen) == (True, "2 numbers, not as base64")


REFUSED = {f"refused-{each}" for each in ("types", "path", "picture", "audio", "tool", "schema", "logprobs", "several")}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param({}, "mistake-accepted", id="answered"),
        pytest.param({"words": "", "chunks": 0}, "mistake-accepted", id="an empty success"),
        pytest.param({"status": 500, "error": "image input is not supported"}, "mistake-misjudged", id="500"),
        pytest.param({"status": 429, "error": "No deployments available"}, "mistake-misjudged", id="429"),
        pytest.param({"fallbacks": "1"}, "mistake-moved-on", id="after a fallback"),
        pytest.param({"origin": "llama@ollama"}, "mistake-moved-on", id="by another backend"),
    ],
)
def test_a_mistake_that_is_not_refused_as_such_is_told(
    verified: Verified,
    double: Double,
    generation: Generation,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    code: str,
) -> None:
    monkeypatch.setattr("roles.verify.probe.api._LIMIT_SECONDS", 0.0)
    double.spoil("qwen", mistakes=Manner(**answer))
    assert codes(verified, only_chat(double, generation, UNABLE)) == dict.fromkeys(REFUSED | LENGTH, code)


def test_a_refusal_must_name_its_cause(verified: Verified, double: Double, generation: Generation) -> None:
    double.spoil("qwen", mistakes=Manner(status=400, error="Bad request"))
    unexplained = (REFUSED | LENGTH) - {"refused-types", "refused-path"}
    found = codes(verified, only_chat(double, generation, UNABLE))
    assert found == dict.fromkeys(unexplained, "mistake-unexplained")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(400, "mistake-misjudged", id="as if the request were wrong"),
        pytest.param(200, "key-not-required", id="not at all"),
    ],
)
def test_a_wrong_key_that_is_not_refused_as_one_is_told(
    verified: Verified, double: Double, generation: Generation, status: int, code: str
) -> None:
    double.refusals[WRONG_KEY] = status
    assert codes(verified, only_chat(double, generation)) == {"refused-key": code}


def test_a_route_that_pays_for_mistakes_is_told(verified: Verified, double: Double, generation: Generation) -> None:
    """The first of them puts it out of service."""

    class Fragile(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            if any(isinstance(body.get("messages"), str) for body in double.bodies):
                return Manner(status=429, error="No deployments available for selected model")
            return super().get(key, default)

    double.manners = Fragile()
    found = codes(verified, only_chat(double, generation))
    assert found["after-mistakes"] == "cooling-down"


def test_a_backend_that_works_on_for_clients_that_are_gone_is_told(
    verified: Verified, double: Double, generation: Generation
) -> None:
    double.spoil("qwen", goes_on=3.0)
    able = replace(ABLE, context_size=None)
    assert codes(verified, only_chat(double, generation, able)) == {"hang-up": "hang-up-ignored"}


def test_a_failed_question_spoils_no_other(verified: Verified, double: Double, generation: Generation) -> None:
    """After it the route gets the time of its cooldown."""
    double.spoil("qwen", ignores=["stop"])
    assert codes(verified, only_chat(double, generation)) == {"stop": "parameter-ignored"}


def test_when_the_time_is_over_no_further_question_is_asked(
    verified: Verified, double: Double, generation: Generation
) -> None:
    double.spoil("qwen", delay=1.0)
    asked = kinds(verified, "qwen", **only_chat(double, generation), apis_seconds=0.9)
    assert asked == {"usage"}, "what has begun is answered"
    assert kinds(verified, "qwen", **only_chat(double, generation), apis_seconds=0) == set()


def test_questions_carry_what_no_cache_has_answered(verified: Verified, double: Double, generation: Generation) -> None:
    verified.verdict(**only_chat(double, generation))
    for field in ("input", "messages"):
        texts = [str(body[field]) for body in double.bodies if field in body and "cache" not in body]
        counted = [text for text in texts if "(" not in text]
        assert len(counted) <= 1  # counting tokens asks no model
        assert len(set(texts)) == len(texts)
