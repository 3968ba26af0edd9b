"""Requests as people and programs get them wrong, or odd, and what becomes of each; and of others' meanwhile.

A refusal is a 4xx whose message names the cause. An odd request that is served has a whole answer with words.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx

from tests.lab.traffic import Gateway

Engine: TypeAlias = Literal["vllm", "native", "python", "ollama"]

ROUTES: Mapping[Engine, tuple[str, str]] = {
    "vllm": ("tiny-vllm", "tiny-vllm@tiny"),
    "native": ("tiny-native", "tiny-native@native"),
    "python": ("tiny-python", "tiny-python@python"),
    "ollama": ("tiny-ollama:latest", "tiny-ollama:latest@ollama"),
}
"""Each engine's route in `inventory/lab.py`, and the id of its one deployment."""

ANSWERED = ""
"""An outcome: 200, with words. Each other is a pattern that the message of a refusal matches."""

MISSING = object()
"""A field that a request does not have."""

_CHAT, _COMPLETION, _RESPONSES, _MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
_USUAL: Mapping[str, Mapping[str, Any]] = {
    _CHAT: {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 24, "temperature": 0},
    _COMPLETION: {"prompt": "Who are you?", "max_tokens": 24, "temperature": 0},
    _RESPONSES: {"input": "Who are you?", "max_output_tokens": 24, "temperature": 0},
    _MESSAGES: {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 24, "temperature": 0},
}
GOOD = _USUAL[_CHAT]
"""What the other client asks."""


@dataclass(frozen=True)
class Kind:
    """One kind of request.

    Attributes:
        outcome: at each engine, but for `where`.
        fields: what differs from the usual body of its path.
        status: of its refusal; 4xx = any.
        raw: the body instead, as it is.
        streams: it is sent streamed too, also where most are not.
    """

    name: str
    outcome: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[Engine, str] = field(default_factory=dict)
    path: str = _CHAT
    status: int = 400
    raw: bytes | None = None
    streams: bool = False

    @property
    def can_stream(self) -> bool:
        return self.raw is None and self.path in _USUAL

    def outcome_at(self, engine: Engine) -> str:
        return self.where.get(engine, self.outcome)

    def body(self, engine: Engine, *, stream: bool) -> bytes:
        if self.raw is not None:
            return self.raw
        whole = {
            "model": ROUTES[engine][0],
            **_USUAL.get(self.path, {}),
            **({"stream": True} if stream else {}),
            **self.fields,
        }
        return json.dumps({name: value for name, value in whole.items() if value is not MISSING}).encode()

    def wrong(self, engine: Engine, status: int, text: str) -> str | None:
        """What is wrong with the answer; None = it is as it should be."""
        if (pattern := self.outcome_at(engine)) == ANSWERED:
            return None if status == 200 and words(text) else f"no words: {status} {text[:300]}"
        message = refusal(text)
        if status != self.status or message is None or not re.search(pattern, message):
            return f"not {self.status} for `{pattern}`: {status} {text[:300]}"
        return f"it names internals: {message}" if _INTERNALS.search(message) else None


_INTERNALS = re.compile(r"litellm|Exception|127\.0\.0\.1|https?://|REDACTED|Fallbacks|:\d{4,5}\b")
"""Class names, addresses and ports, which are no concern of the person who asked."""


def refusal(text: str) -> str | None:
    """The message of an error, in OpenAI's form or in Anthropic's."""
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    return message if isinstance(message, str) else None


def words(text: str) -> str:
    """All that a model said in an answer of any of the forms, whole or streamed: "" if there is an error, too."""
    if not text.startswith(("data:", "event:", ":")):
        return _said(json.loads(text))
    events = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return "" if any("error" in chunk and chunk["error"] for chunk in chunks) else "".join(map(_said, chunks))


def _said(content: Any) -> str:
    """A tool call is an answer, too: its name and its arguments are what the model wrote."""
    if isinstance(content, list):
        return "".join(map(_said, content))
    if not isinstance(content, dict):
        return ""
    own = [content[name] for name in ("content", "text", "delta", "arguments") if isinstance(content.get(name), str)]
    inner = ("choices", "message", "delta", "content", "output", "tool_calls", "function")
    return "".join([*own, *(_said(content.get(name)) for name in inner)])


def _user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Who are you?"}, *parts]}]


_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
_SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
_FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
_TOOL = {
    "type": "function",
    "function": {
        "name": "report_weather",
        "description": "Report the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "strict": True,
        "schema": {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]},
    },
}
_EVERYWHERE = "\u0000é漢🙂\u202e"
_LONGER = "ab" * 1500
"""Too long for 2048 tokens by the models' tokenizers, which make one of each letter, and not by LiteLLM's."""
_LONG = "The weather of the city is rainy today. " * 2000

_TYPES = [
    Kind("temperature too high", "temperature", {"temperature": 5}, streams=True),
    Kind("temperature as a text", "temperature", {"temperature": "hot"}),
    Kind("top_p too high", "top_p", {"top_p": 2}),
    Kind("max_tokens of none", "max_tokens", {"max_tokens": 0}),
    Kind("max_tokens negative", "max_tokens", {"max_tokens": -1}),
    Kind("max_tokens as a text", "max_tokens", {"max_tokens": "many"}),
    Kind("n of none", "`n`", {"n": 0}),
    Kind("seed as a fraction", "seed", {"seed": 1.5}),
    Kind("stop of numbers", "stop", {"stop": [1]}),
    Kind("presence_penalty too high", "presence_penalty", {"presence_penalty": 9}),
    Kind("logit_bias as a list", "logit_bias", {"logit_bias": [1]}),
    Kind("stream as a text", "stream", {"stream": "yes"}),
    Kind("logprobs as a text", "logprobs", {"logprobs": "yes"}),
    Kind("response_format as a text", "response_format", {"response_format": "json"}),
    Kind("no messages", "messages", {"messages": MISSING}),
    Kind("messages as a text", "messages", {"messages": "Hello"}),
    Kind("empty messages", "messages", {"messages": []}, streams=True),
    Kind("messages as texts", "messages", {"messages": ["Hello"]}),
    Kind("a role that is none", "role", {"messages": [{"role": "robot", "content": "Hello"}]}),
    Kind("a message without content", "content", {"messages": [{"role": "user"}]}),
    Kind("content as a number", "content", {"messages": [{"role": "user", "content": 5}]}),
    Kind("a part without a type", "content", {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
    Kind("tools as a text", "tools", {"tools": "hammer"}),
    Kind("a tool without a name", "name", {"tools": [{"type": "function", "function": {}}]}),
    Kind("tool_choice as a number", "tool_choice", {"tool_choice": 5}),
    Kind("tool_choice without tools", "tool_choice", {"tool_choice": "required"}),
]
_BEYOND = [
    Kind("a picture", "takes no images", {"messages": _user(_PICTURE)}, streams=True),
    Kind("sound", "takes no audio", {"messages": _user(_SOUND)}),
    Kind("a file", "takes no files", {"messages": _user(_FILE)}),
    Kind("an answer as sound", "text only", {"modalities": ["text", "audio"]}),
    Kind(
        "a picture in a tool's result",
        "takes no images",
        {"messages": [*_user(), {"role": "tool", "tool_call_id": "a", "content": [_PICTURE]}]},
    ),
    Kind("two answers", "one answer", {"n": 2, "temperature": 1}, {"vllm": ANSWERED}),
    Kind("logprobs", ANSWERED, {"logprobs": True}, {"python": "gives no `logprobs`", "ollama": "gives no `logprobs`"}),
    Kind("a JSON schema", ANSWERED, {"response_format": _SCHEMA}, {"python": "JSON schema"}),
    Kind(
        "a forced tool",
        "calls no tools",
        {"tools": [_TOOL], "tool_choice": "required", "max_tokens": 200},
        {"native": ANSWERED},
    ),
    Kind("a prompt that is too long", "too long|context|maximum", {"prompt": _LONG}, path=_COMPLETION, streams=True),
    Kind(
        "a chat that is too long by its server's count",
        "too long|context|maximum",
        {"messages": [{"role": "user", "content": _LONGER}]},
        {"ollama": ANSWERED, "vllm": ANSWERED},  # the stand-in does not count, and is vLLM's fallback
        streams=True,
    ),
    Kind(
        "a chat that is too long",
        "too long|context|maximum",
        {"messages": [{"role": "user", "content": _LONG}]},
        streams=True,
    ),
]
_ODD = [
    Kind("a field that is none", ANSWERED, {"mood": "good"}, streams=True),
    Kind("tools that the model may call", ANSWERED, {"tools": [_TOOL], "tool_choice": "auto"}, streams=True),
    Kind("old functions", ANSWERED, {"functions": [_TOOL["function"]]}),
    Kind("reasoning_effort", ANSWERED, {"reasoning_effort": "low"}, streams=True),
    Kind("max_tokens of another model", ANSWERED, {"max_tokens": 32000}, streams=True),
    Kind("max_completion_tokens", ANSWERED, {"max_tokens": MISSING, "max_completion_tokens": 32000}),
    Kind("a text in parts", ANSWERED, {"messages": _user()}),
    Kind("a developer's message", ANSWERED, {"messages": [{"role": "developer", "content": "Be brief."}, *_user()]}),
    Kind("an empty message", ANSWERED, {"messages": [{"role": "user", "content": ""}]}),
    Kind("fields that are null", ANSWERED, {"stop": None, "tools": None, "top_p": None, "seed": None}),
    Kind("who the user is", ANSWERED, {"user": "ann", "metadata": {"a": "b"}, "store": True, "service_tier": "auto"}),
    Kind("characters from everywhere", ANSWERED, {"messages": [{"role": "user", "content": _EVERYWHERE}]}),
    Kind("half a character", "surrogate", {"messages": [{"role": "user", "content": "\ud83d"}]}),
    Kind("usage of a stream that is none", ANSWERED, {"stream_options": {"include_usage": True}}, streams=True),
    Kind("parallel tool calls", ANSWERED, {"parallel_tool_calls": False}),
]
_ELSEWHERE = [
    Kind("embeddings of a chat model", "/v1/chat/completions", {"input": "Hello"}, path="/v1/embeddings"),
    Kind(
        "a rerank by a chat model", "/v1/chat/completions", {"query": "a", "documents": ["a", "b"]}, path="/v1/rerank"
    ),
    Kind("a completion without a prompt", "prompt", {"prompt": MISSING}, path=_COMPLETION),
    Kind("a completion", ANSWERED, path=_COMPLETION, streams=True),
    Kind("a response without input", "input", {"input": MISSING}, path=_RESPONSES),
    Kind("a response to an earlier one", "not stored", {"previous_response_id": "resp_1"}, path=_RESPONSES),
    Kind("a response", ANSWERED, path=_RESPONSES, streams=True),
    Kind("Anthropic's without max_tokens", "max_tokens", {"max_tokens": MISSING}, path=_MESSAGES),
    Kind("Anthropic's too hot", "temperature", {"temperature": 5}, path=_MESSAGES),
    Kind(
        "Anthropic's picture",
        "takes no images",
        {
            "messages": _user(
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
            )
        },
        path=_MESSAGES,
    ),
    Kind("Anthropic's", ANSWERED, {"thinking": {"type": "disabled"}}, path=_MESSAGES, streams=True),
    Kind("a model that is none", "does not exist", {"model": "gpt-7"}, status=404),
    Kind("a path that is none", "no such path", path="/v1/moderations", status=404),
    Kind("broken JSON", "JSON", raw=b'{"model": '),
    Kind("a list instead of an object", "JSON|object", raw=b"[1, 2]"),
    Kind("an empty body", ".", raw=b""),
]

KINDS = [*_TYPES, *_BEYOND, *_ODD, *_ELSEWHERE]
assert len({kind.name for kind in KINDS}) == len(KINDS)

_AT_ONCE = 3
"""Kinds under way at each engine."""


async def wrongs(gateway: Gateway, *, all_streamed: bool) -> list[str]:
    """Send each kind to each engine, after each another client's good request, and say what was not as it should be."""
    async with gateway.client() as client:
        found = await asyncio.gather(*(_at(gateway, client, engine, all_streamed) for engine in ROUTES))
    return [wrong for each in found for wrong in each]


async def _at(gateway: Gateway, client: httpx.AsyncClient, engine: Engine, all_streamed: bool) -> list[str]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(kind: Kind, stream: bool) -> list[str]:
        async with turns:
            try:
                reply = await gateway.post(client, kind.path, kind.body(engine, stream=stream))
                own = kind.wrong(engine, reply.status_code, reply.text)
            except httpx.HTTPError as error:
                own = f"no answer: {error!r}"
            wrong = [own, await _others_wrong(gateway, client, engine)]
        shown = f"{engine}, {kind.name}{', streamed' if stream else ''}"
        return [f"{shown}: {each}" for each in wrong if each]

    requests = [(kind, False) for kind in KINDS]
    requests += [(kind, True) for kind in KINDS if kind.streams or (all_streamed and kind.can_stream)]
    return [wrong for each in await asyncio.gather(*(one(*request) for request in requests)) for wrong in each]


async def _others_wrong(gateway: Gateway, client: httpx.AsyncClient, engine: Engine) -> str | None:
    """What is wrong with another client's request to the same route, which must be answered within `LIMIT`: vLLM
    compiles code for some requests, once, and lets others wait meanwhile."""
    name, deployment = ROUTES[engine]
    began = time.monotonic()
    try:
        reply = await gateway.post(client, _CHAT, json.dumps({"model": name, **GOOD}).encode())
    except httpx.HTTPError as error:
        return f"then a good request got no answer: {error!r}"
    seconds = time.monotonic() - began
    origin = (reply.headers.get("x-litellm-model-id"), reply.headers.get("x-litellm-attempted-fallbacks"))
    if reply.status_code == 200 and words(reply.text) and origin == (deployment, "0"):
        return None
    return f"then a good request got {reply.status_code} of {origin} in {seconds:.1f} s: {reply.text[:300]}"
