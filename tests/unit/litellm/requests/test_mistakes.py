"""A request's mistakes: each is refused with its cause, and what is harmless is left out or made smaller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roles.contract.abilities import Abilities
from roles.contract.modes import Mode
from roles.litellm.requests.mistakes import Call, Mistake, characters, correct

ABLE = Abilities(images=True, audio=True)
PLAIN = Abilities(
    tools=False, structured_outputs=False, thinking=False, logprobs=False, several=False, context_size=512
)
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "report_weather", "parameters": {"type": "object"}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": HELLO, **fields}


def mistake(body: dict[str, Any], abilities: Abilities = PLAIN, call: Call = "chat", mode: Mode = "chat") -> Mistake:
    with pytest.raises(Mistake) as caught:
        correct(call, body, "m", mode, abilities)
    return caught.value


def said_by(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 5),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", 2),
        ("max_tokens", 0),
        ("max_tokens", "many"),
        ("max_completion_tokens", -1),
        ("n", 0),
        ("stream", "yes"),
        ("seed", 1.5),
        pytest.param("stop", [1], id="stop-numbers"),
        ("presence_penalty", 9),
        ("logprobs", "yes"),
        pytest.param("tools", "hammer", id="tools-text"),
        pytest.param("tools", ["hammer"], id="tools-texts"),
        ("tool_choice", 5),
        ("response_format", "json"),
        pytest.param("messages", "x", id="messages-text"),
        pytest.param("messages", [], id="messages-empty"),
        pytest.param("messages", ["x"], id="messages-texts"),
    ],
)
def test_a_wrong_type_or_value_is_refused_by_its_field(field: str, value: Any) -> None:
    assert mistake(chat(**{field: value}), ABLE).param == field


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"content": "Hello"}, id="no-role"),
        pytest.param({"role": "boss", "content": "Hello"}, id="unknown-role"),
        pytest.param({"role": "user"}, id="no-content"),
        pytest.param({"role": "user", "content": 5}, id="number"),
        pytest.param({"role": "user", "content": ["Hello"]}, id="no-parts"),
        pytest.param({"role": "user", "content": [{"text": "Hello"}]}, id="part-without-type"),
    ],
)
def test_a_malformed_message_is_refused_by_its_place(message: dict[str, Any]) -> None:
    assert mistake(chat(messages=[*HELLO, message]), ABLE).param.startswith("messages[1]")


@pytest.mark.parametrize(
    ("call", "body", "missing"),
    [
        pytest.param("chat", {}, "messages", id="chat"),
        pytest.param("completion", {}, "prompt", id="completion"),
        pytest.param("responses", {"input": None}, "input", id="responses"),
        pytest.param("messages", {"messages": HELLO}, "max_tokens", id="messages"),
    ],
)
def test_a_missing_field_is_named(call: Call, body: dict[str, Any], missing: str) -> None:
    found = mistake(body, ABLE, call)
    assert (found.param, found.code) == (missing, "missing_required_parameter")


def test_null_means_the_default() -> None:
    assert correct("chat", chat(temperature=None, tools=None, max_tokens=None), "m", "chat", PLAIN) == ()


@pytest.mark.parametrize(
    ("call", "mode", "path"),
    [
        ("chat", "embedding", "/v1/embeddings"),
        ("embedding", "chat", "/v1/chat/completions"),
        ("messages", "rerank", "/v1/rerank"),
        ("chat", "completion", "/v1/completions"),
    ],
)
def test_a_request_to_a_route_of_another_mode_is_told_where_to_go(call: Call, mode: Mode, path: str) -> None:
    assert path in str(mistake(chat(input="x"), ABLE, call, mode))


def test_a_chats_server_completes_texts_too() -> None:
    assert correct("completion", {"prompt": "Once"}, "m", "chat", PLAIN) == ()


@pytest.mark.parametrize(
    ("call", "body"),
    [
        pytest.param("chat", chat(messages=said_by(PICTURE)), id="chat"),
        pytest.param("responses", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, id="responses"),
        pytest.param("messages", {"messages": said_by({"type": "image"}), "max_tokens": 5}, id="messages"),
        pytest.param(
            "messages",
            {"messages": said_by({"type": "tool_result", "content": [{"type": "image"}]}), "max_tokens": 5},
            id="a-tools-result",
        ),
    ],
)
def test_a_picture_is_refused_where_the_model_takes_none(call: Call, body: dict[str, Any]) -> None:
    assert "no images" in str(mistake(body, call=call))
    assert correct(call, body, "m", "chat", ABLE) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"messages": said_by({"type": "input_audio"})}, "no audio", id="audio"),
        pytest.param({"messages": said_by({"type": "file"})}, "no files", id="file"),
        pytest.param({"modalities": ["text", "audio"]}, "in text only", id="speech"),
        pytest.param({"response_format": SCHEMA}, "JSON schema", id="schema"),
        pytest.param({"logprobs": True}, "no `logprobs`", id="logprobs"),
        pytest.param({"n": 2}, "one answer", id="several"),
        pytest.param({"tools": [TOOL], "tool_choice": "required"}, "calls no tools", id="required-tool"),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "report_weather"}}},
            "calls no tools",
            id="named-tool",
        ),
    ],
)
def test_what_the_answer_depends_on_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in str(mistake(chat(**fields)))


def test_the_same_is_served_where_the_model_can() -> None:
    for fields in ({"response_format": SCHEMA}, {"logprobs": True}, {"n": 2}, {"tools": [TOOL]}):
        body = chat(**fields)
        assert correct("chat", body, "m", "chat", ABLE) == ()
        assert body == chat(**fields)


def test_what_programs_always_send_is_left_out() -> None:
    body = chat(tools=[TOOL], tool_choice="auto", reasoning_effort="high")
    assert correct("chat", body, "m", "chat", PLAIN) == ("tools", "tool_choice", "reasoning_effort")
    assert body == chat()


def test_it_is_refused_where_the_route_says_so() -> None:
    strict = replace(PLAIN, when_unsupported="refuse")
    assert mistake(chat(tools=[TOOL]), strict).code == "tools_not_supported"
    assert mistake(chat(reasoning_effort="low"), strict).code == "reasoning_not_supported"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_limit_beyond_the_context_comes_down_to_what_is_left(field: str) -> None:
    body = chat(**{field: 32000})
    assert correct("chat", body, "m", "chat", PLAIN) == (field,)
    assert 400 < body[field] < 512
    assert correct("chat", chat(**{field: 100}), "m", "chat", PLAIN) == ()


def test_a_picture_is_no_text() -> None:
    assert characters(chat(messages=said_by(PICTURE))) < 60


def test_a_stored_response_is_not_known() -> None:
    found = mistake({"input": "x", "previous_response_id": "resp_1"}, ABLE, "responses")
    assert found.param == "previous_response_id"


def test_options_of_a_stream_that_is_none_are_left_out() -> None:
    options = {"include_usage": True}
    plain, streamed = chat(stream_options=options), chat(stream_options=options, stream=True)
    assert correct("chat", plain, "m", "chat", ABLE) == ("stream_options",)
    assert correct("chat", streamed, "m", "chat", ABLE) == ()
    assert ("stream_options" in plain, "stream_options" in streamed) == (False, True)


def test_a_tool_that_is_forced_by_name_is_sent_as_the_only_one() -> None:
    other = {"type": "function", "function": {"name": "report_time", "parameters": {"type": "object"}}}
    choice = {"type": "function", "function": {"name": "report_weather"}}
    body = chat(tools=[other, TOOL], tool_choice=choice)
    assert correct("chat", body, "m", "chat", ABLE) == ()
    assert body == chat(tools=[TOOL], tool_choice="required")
    assert mistake(chat(tools=[other], tool_choice=choice), ABLE).param == "tool_choice"


def test_a_limit_does_not_hide_that_the_prompt_alone_is_too_long() -> None:
    long = [{"role": "user", "content": "word " * 1000}]
    body = chat(messages=long, max_tokens=32000)
    assert correct("chat", body, "m", "chat", PLAIN) == ("max_tokens",)
    assert "max_tokens" not in body
    anthropic = {"messages": long, "max_tokens": 32000}
    assert correct("messages", anthropic, "m", "chat", PLAIN) == ("max_tokens",)
    assert anthropic["max_tokens"] == 1


def test_a_limit_that_may_be_kept_stays() -> None:
    body = chat(messages=[{"role": "user", "content": "word " * 300}], max_tokens=100)
    assert correct("chat", body, "m", "chat", PLAIN) == ()
    assert body["max_tokens"] == 100
