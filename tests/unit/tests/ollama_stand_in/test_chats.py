"""Tools, their results and thinking: what the stand-in asks its llama-server, and what it makes of the answer.

As Ollama v0.32.15 does it (`server/routes.go`, `llm/llama_server.go`, `openai/openai.go`); the answers are those of a
llama-server. tests/lab/test_ollama_stand_in.py asks a real one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.labhost.models import write_tiny_gguf
from tests.ollama_stand_in.archive import lay_out
from tests.ollama_stand_in.process import StandIn, running
from tests.ollama_stand_in.replay import Response, ask

CHILD = '''#!/usr/bin/env python3
"""A llama-server that answers as it was told to, and writes down what it was asked."""
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments): pass
    def do_GET(self): self.answer(b"{}")
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(os.environ["CHILD"] + "/asked.jsonl", "a") as file:
            print(json.dumps({"path": self.path, **asked}), file=file)
        if self.path == "/tokenize":
            self.answer(json.dumps({"tokens": asked["content"].split()}).encode())
        elif self.path == "/apply-template":
            words = " ".join(message["content"] for message in asked["messages"])
            self.answer(json.dumps({"prompt": words}).encode())
        else:
            with open(os.environ["CHILD"] + "/events.jsonl") as file:
                self.answer("".join(f"data: {line}\\\\n" for line in file).encode() + b"data: [DONE]\\n\\n")
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

with open(os.environ["CHILD"] + "/arguments.json", "w") as file:
    json.dump(sys.argv[1:], file)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
'''.replace("\\\\n", "\\n\\n")

TOOL = {
    "type": "function",
    "function": {
        "name": "report_weather",
        "description": "Reports it",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}
TIMINGS = {"cache_n": 2, "prompt_n": 40, "prompt_ms": 3.5, "predicted_n": 8, "predicted_ms": 2.0}
CALL_ID = "PDbrcaR5aJhAE1sTqplSNatrAFknXpXD"
CALLED = {"id": CALL_ID, "function": {"index": 0, "name": "report_weather", "arguments": {"city": "Paris"}}}
"""The call in Ollama's shape, and the same in OpenAI's."""
CALLED_OPENAI = {
    "id": CALL_ID,
    "index": 0,
    "type": "function",
    "function": {"name": "report_weather", "arguments": '{"city":"Paris"}'},
}


def event(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    end = {"timings": TIMINGS} if reason else {}
    return {"choices": [{"finish_reason": reason, "index": 0, "delta": delta}], "created": 1, **end}


def calling(**parts: Any) -> dict[str, Any]:
    return event({"tool_calls": [{"index": 0, **parts}]})


BEGIN = event({"role": "assistant", "content": None})
CALL = [
    BEGIN,
    calling(id=CALL_ID, type="function", function={"name": "report_weather", "arguments": "{"}),
    calling(function={"arguments": '"city":'}),
    calling(function={"arguments": ' "Paris"}'}),
    event({}, "tool_calls"),
]
THOUGHT = [BEGIN, event({"reasoning_content": "Let me"}), event({"reasoning_content": " see."})]
SAID = [event({"content": "Paris"}), event({"content": " it is"}), event({}, "stop")]


@dataclass(frozen=True)
class Chats:
    """A stand-in with a model whose chat template has tools, one that thinks, and a plain one."""

    stand_in: StandIn
    child: Path

    def answers(self, events: list[dict[str, Any]]) -> None:
        (self.child / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))

    def post(self, path: str, **request: Any) -> Response:
        content = {"messages": [{"role": "user", "content": "Hello"}], **request}
        return ask(self.stand_in.port, {"method": "POST", "path": path, "body": json.dumps(content)})

    def chat(self, model: str, **request: Any) -> dict[str, Any]:
        answer = self.post("/api/chat", model=model, stream=False, **request)
        assert answer.status == "HTTP/1.1 200 OK", answer.pieces
        return dict(json.loads(answer.pieces[0]))

    def asked(self) -> dict[str, Any]:
        """The last chat that the child was asked for."""
        lines = map(json.loads, (self.child / "asked.jsonl").read_text().splitlines())
        return [dict(line) for line in lines if line["path"] == "/v1/chat/completions"][-1]

    def shown(self, model: str) -> dict[str, Any]:
        return dict(json.loads(self.post("/api/show", model=model).pieces[0]))


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chats]:
    folder = tmp_path_factory.mktemp("chats")
    (folder / "bin").mkdir()
    (folder / "bin/llama-server").write_text(CHILD)
    (folder / "bin/llama-server").chmod(0o755)
    lay_out(folder / "bin", "0.32.15", folder / "tree")
    with running(folder / "tree", folder / "stand-in", CHILD=str(folder)) as stand_in:
        for name, template in (("caller", "tools"), ("thinker", "thinking"), ("plain", "plain")):
            gguf = folder / f"{name}.gguf"
            write_tiny_gguf(gguf, says="Hello there", name=name, template=template)  # type: ignore[arg-type]
            data = gguf.read_bytes()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            ask(stand_in.port, {"method": "POST", "path": f"/api/blobs/{digest}"}, data)
            request = {"model": name, "files": {"model.gguf": digest}, "stream": False}
            made = ask(stand_in.port, {"method": "POST", "path": "/api/create", "body": json.dumps(request)})
            assert made.pieces == ['{"status":"success"}']
        yield Chats(stand_in, folder)


def messages(answer: Response) -> list[dict[str, Any]]:
    """Of the lines of a stream."""
    return [json.loads(piece)["message"] for piece in answer.pieces]


def chunks(answer: Response) -> list[dict[str, Any]]:
    """The choices of a stream of OpenAI's shape."""
    lines = "".join(answer.pieces).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines[:-2]]


@pytest.mark.parametrize(
    ("model", "capabilities", "of_template"),
    [
        ("caller", ["tools", "completion"], "{%- if tools %}"),
        ("thinker", ["thinking", "completion"], "<think>"),
        ("plain", ["completion"], "{{- range .Messages }}"),
    ],
    ids=["tools", "thinking", "neither"],
)
def test_what_a_model_can_do_is_told_by_its_template(
    chats: Chats, model: str, capabilities: list[str], of_template: str
) -> None:
    shown = chats.shown(model)
    assert shown["capabilities"] == capabilities
    assert of_template in shown["template"]
    listed = json.loads(ask(chats.stand_in.port, {"method": "GET", "path": "/api/tags"}).pieces[0])["models"]
    assert {entry["name"]: entry["capabilities"] for entry in listed}[f"{model}:latest"] == capabilities


def test_a_template_that_is_given_gives_way_to_one_of_the_file_that_can_do_more(chats: Chats) -> None:
    for source, capabilities in (("caller", ["tools", "completion"]), ("plain", ["completion"])):
        request = {"model": "given", "from": source, "template": "{{ .Prompt }}", "stream": False}
        ask(chats.stand_in.port, {"method": "POST", "path": "/api/create", "body": json.dumps(request)})
        assert chats.shown("given")["capabilities"] == capabilities


@pytest.mark.parametrize(
    ("path", "model", "request_", "told"),
    [
        ("/api/chat", "plain", {"tools": [TOOL]}, "registry.ollama.ai/library/plain:latest does not support tools"),
        ("/api/chat", "thinker", {"tools": [TOOL]}, "registry.ollama.ai/library/thinker:latest does not support tools"),
        ("/api/chat", "plain", {"think": True}, '"plain" does not support thinking'),
        ("/api/chat", "caller", {"think": "high"}, '"caller" does not support thinking'),
        ("/api/generate", "caller", {"think": True, "prompt": "x"}, '"caller" does not support thinking'),
        (
            "/api/chat", "thinker", {"think": "much"},
            'invalid think value: "much" (must be "high", "medium", "low", "max", true, or false)',
        ),
        (
            "/api/chat", "thinker", {"think": 1},
            'think must be a boolean or string ("high", "medium", "low", "max", true, or false)',
        ),
        ("/v1/chat/completions", "plain", {"reasoning_effort": "low"}, '"plain" does not support thinking'),
        (
            "/v1/chat/completions", "thinker", {"reasoning_effort": "much"},
            'invalid reasoning value: "much" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or'
            ' "none")',
        ),
        (
            "/v1/chat/completions", "caller", {"messages": [{"role": "user", "content": None}]},
            "invalid message content type: <nil>",
        ),
        (
            "/v1/chat/completions", "caller",
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"arguments": "{"}}]}]},
            "invalid tool call arguments",
        ),
    ],
    ids=[
        "tools of a plain model",
        "tools of one that thinks",
        "thinking of a plain model",
        "thinking of one with tools",
        "thinking about a prompt",
        "a wrong word",
        "a wrong type",
        "reasoning of a plain model",
        "a wrong effort",
        "a message of nothing",
        "a call with half an argument",
    ],
)  # fmt: skip
def test_what_a_model_cannot_do_is_refused(
    chats: Chats, path: str, model: str, request_: dict[str, Any], told: str
) -> None:
    answer = chats.post(path, model=model, **request_)
    assert answer.status == "HTTP/1.1 400 Bad Request"
    error = json.loads(answer.pieces[0])["error"]
    assert (error if isinstance(error, str) else error["message"]) == told


def test_a_plain_model_that_is_not_to_think_is_asked_by_a_prompt(chats: Chats) -> None:
    chats.answers(
        [{"content": "Hello", "stop": True, "tokens_evaluated": 1, "tokens_predicted": 1, "timings": TIMINGS}]
    )
    assert chats.chat("plain", think=False)["message"] == {"role": "assistant", "content": "Hello"}


def test_the_child_renders_a_chat_template_only_where_it_is_used(chats: Chats) -> None:
    chats.answers(
        [{"content": "Hello", "stop": True, "tokens_evaluated": 1, "tokens_predicted": 1, "timings": TIMINGS}]
    )
    chats.chat("plain")
    arguments = " ".join(json.loads((chats.child / "arguments.json").read_text()))
    assert arguments.endswith("--no-jinja --chat-template chatml")
    chats.post("/api/chat", model="caller", keep_alive=0, messages=[])
    chats.answers([BEGIN, *SAID])
    chats.chat("caller")
    assert "--no-jinja" not in (chats.child / "arguments.json").read_text()


def test_a_call_of_a_tool_is_answered(chats: Chats) -> None:
    chats.answers(CALL)
    answer = chats.chat("caller", tools=[TOOL])
    assert answer["message"] == {"role": "assistant", "content": "", "tool_calls": [CALLED]}
    assert (answer["done_reason"], answer["prompt_eval_count"], answer["eval_count"]) == ("stop", 42, 8)
    assert chats.asked()["tools"] == [TOOL]


def test_a_streamed_call_of_a_tool_comes_with_the_last_line(chats: Chats) -> None:
    chats.answers(CALL)
    answer = chats.post("/api/chat", model="caller", tools=[TOOL])
    assert messages(answer) == [{"role": "assistant", "content": "", "tool_calls": [CALLED]}]
    assert json.loads(answer.pieces[-1])["done"] is True


def test_calls_whose_arguments_are_no_json_are_an_error(chats: Chats) -> None:
    chats.answers([*CALL[:-2], event({}, "tool_calls")])
    answer = chats.post("/api/chat", model="caller", tools=[TOOL], stream=False)
    assert answer.status == "HTTP/1.1 500 Internal Server Error"
    problem = 'llama-server returned invalid tool call arguments for "report_weather": unexpected end of JSON input'
    assert json.loads(answer.pieces[0]) == {"error": problem}


def test_an_error_in_the_childs_stream_is_told(chats: Chats) -> None:
    chats.answers([BEGIN, event({"content": "Pa"}), {"error": {"code": 500, "message": "no room", "type": "server"}}])
    *_, last = chats.post("/api/chat", model="caller").pieces
    assert json.loads(last) == {"error": "llama-server chat error: map[code:500 message:no room type:server]"}


def test_the_result_of_a_tool_goes_to_the_child(chats: Chats) -> None:
    chats.answers([BEGIN, *SAID])
    given = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "", "thinking": "Aha", "tool_calls": [CALLED]},
        {"role": "tool", "content": "Rain", "tool_name": "report_weather", "tool_call_id": CALL_ID},
    ]
    assert chats.chat("caller", messages=given, tools=[TOOL])["message"]["content"] == "Paris it is"
    assert chats.asked()["messages"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "tool_calls": [CALLED_OPENAI], "content": ""},
        {"role": "tool", "tool_call_id": CALL_ID, "name": "report_weather", "content": "Rain"},
    ]


@pytest.mark.parametrize(
    ("think", "told"),
    [
        pytest.param({}, {"enable_thinking": True}, id="who can think does so"),
        pytest.param({"think": True}, {"enable_thinking": True}, id="on"),
        pytest.param({"think": False}, {"enable_thinking": False}, id="off"),
        pytest.param({"think": "low"}, {"enable_thinking": True, "reasoning_effort": "low"}, id="a little"),
    ],
)
def test_the_child_is_told_whether_to_think(chats: Chats, think: dict[str, Any], told: dict[str, Any]) -> None:
    chats.answers([*THOUGHT, *SAID])
    answer = chats.chat("thinker", **think)
    assert answer["message"] == {"role": "assistant", "content": "Paris it is", "thinking": "Let me see."}
    assert chats.asked()["chat_template_kwargs"] == told


def test_a_model_that_cannot_think_is_told_nothing_of_it(chats: Chats) -> None:
    chats.answers([BEGIN, *SAID])
    chats.chat("caller", think=False)
    assert chats.asked()["chat_template_kwargs"] == {"enable_thinking": False}
    chats.chat("caller")
    assert "chat_template_kwargs" not in chats.asked()


def test_thinking_is_streamed_before_the_words(chats: Chats) -> None:
    chats.answers([*THOUGHT, *SAID])
    assert messages(chats.post("/api/chat", model="thinker")) == [
        {"role": "assistant", "content": "", "thinking": "Let me"},
        {"role": "assistant", "content": "", "thinking": " see."},
        {"role": "assistant", "content": "Paris"},
        {"role": "assistant", "content": " it is"},
        {"role": "assistant", "content": ""},
    ]


def test_options_and_the_form_of_the_answer_go_to_the_child(chats: Chats) -> None:
    chats.answers([BEGIN, *SAID])
    schema = {"type": "object"}
    chats.chat("caller", options={"num_predict": 5, "temperature": 0}, format=schema)
    asked = chats.asked()
    assert (asked["n_predict"], asked["temperature"]) == (5, 0)
    assert asked["response_format"] == {"type": "json_schema", "json_schema": {"name": "schema", "schema": schema}}
    chats.chat("caller", format="json")
    assert chats.asked()["response_format"] == {"type": "json_object"}


def test_the_oldest_messages_go_where_the_context_has_no_room(chats: Chats) -> None:
    chats.answers([BEGIN, *SAID])
    old = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "word " * 300}]
    new = {"role": "user", "content": "Hello"}
    chats.chat("caller", messages=[*old, new], options={"num_ctx": 256})
    assert chats.asked()["messages"] == [old[0], new]
    chats.chat("caller", messages=[*old, new], options={"num_ctx": 256}, truncate=False)
    assert chats.asked()["messages"] == [*old, new]


def test_a_call_of_a_tool_in_openais_shape(chats: Chats) -> None:
    chats.answers(CALL)
    answer = chats.post("/v1/chat/completions", model="caller", tools=[TOOL])
    (choice,) = json.loads(answer.pieces[0])["choices"]
    assert choice["message"] == {"role": "assistant", "content": "", "tool_calls": [CALLED_OPENAI]}
    assert choice["finish_reason"] == "tool_calls"
    first, last = chunks(chats.post("/v1/chat/completions", model="caller", tools=[TOOL], stream=True))
    assert first["delta"] == {"role": "assistant", "content": "", "tool_calls": [CALLED_OPENAI]}
    assert (last["delta"], last["finish_reason"]) == ({}, "tool_calls")


def test_the_result_of_a_tool_in_openais_shape(chats: Chats) -> None:
    """The name of the tool is found by the call that is answered."""
    chats.answers([BEGIN, *SAID])
    call = {"role": "assistant", "content": None, "tool_calls": [CALLED_OPENAI]}
    result = {"role": "tool", "content": "Rain", "tool_call_id": CALL_ID}
    parts = {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}
    chats.post("/v1/chat/completions", model="caller", messages=[call, result, parts])
    assert chats.asked()["messages"] == [
        {"role": "assistant", "tool_calls": [CALLED_OPENAI], "content": ""},
        {"role": "tool", "tool_call_id": CALL_ID, "name": "report_weather", "content": "Rain"},
        {"role": "user", "content": "One"},
        {"role": "user", "content": "Two"},
    ]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"reasoning_effort": "none"}, {"enable_thinking": False}),
        ({"reasoning_effort": "minimal"}, {"enable_thinking": True, "reasoning_effort": "low"}),
        ({"reasoning": {"effort": "xhigh"}}, {"enable_thinking": True, "reasoning_effort": "max"}),
    ],
    ids=["none", "minimal", "in the other form"],
)
def test_thinking_in_openais_shape(chats: Chats, request_: dict[str, Any], told: dict[str, Any]) -> None:
    chats.answers([*THOUGHT, *SAID])
    answer = chats.post("/v1/chat/completions", model="thinker", **request_)
    (choice,) = json.loads(answer.pieces[0])["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Paris it is", "reasoning": "Let me see."}
    assert chats.asked()["chat_template_kwargs"] == told
    deltas = [choice["delta"] for choice in chunks(chats.post("/v1/chat/completions", model="thinker", stream=True))]
    assert deltas[:2] == [
        {"role": "assistant", "content": "", "reasoning": "Let me"},
        {"content": "", "reasoning": " see."},
    ]


def test_thinking_and_a_call_at_once_are_two_chunks(chats: Chats) -> None:
    chats.answers([*CALL[:-1], event({"reasoning_content": "Aha"}, "tool_calls")])
    first, second, _ = chunks(chats.post("/v1/chat/completions", model="caller", tools=[TOOL], stream=True))
    assert first["delta"] == {"role": "assistant", "reasoning": "Aha"}
    assert second["delta"] == {"content": "", "tool_calls": [CALLED_OPENAI]}
