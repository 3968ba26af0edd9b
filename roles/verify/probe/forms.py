"""What is in answers besides the words of a chat: parts of streams, calls of tools, vectors, and the forms of OpenAI's
responses and of Anthropic's messages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from roles.verify.probe.api import Reply, StreamReply, error_code
from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.quoting import quoted

Fields: TypeAlias = Mapping[str, Any]

_DONE = "[DONE]"
_FLOAT_BYTES = 4
_WORDS_OF_RESPONSES = ("response.output_text.delta", "response.reasoning_text.delta")
_THOUGHTS_OF_RESPONSES = "response.reasoning_summary_text.delta"
_ENDS_OF_RESPONSES = ("response.completed", "response.incomplete")
"""The second is for an answer that was cut at the most tokens that the request allows."""


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model calls, with its arguments."""

    name: str
    arguments: Any

    def __str__(self) -> str:
        return f"{self.name}({json.dumps(self.arguments, ensure_ascii=False)})"


def choices(reply: Reply) -> Sequence[Fields]:
    """The choices of a chat or a completion, at least one.

    Raises:
        CheckFailed: there are none. So do all functions here for what is not of its form.
    """
    found = _list_in(reply.json(), "choices", reply.brief)
    if not found:
        raise CheckFailed("malformed-answer", f"no choices: {reply.brief}")
    return found


def words_of(message: Fields) -> str:
    """The words of a chat's message or of a part of it, or else what the model thought before them."""
    return str(message.get("content") or message.get("reasoning_content") or "")


def chat_chunks(reply: StreamReply) -> Sequence[Fields]:
    """The chunks of a streamed chat or completion that came as a whole."""
    events = _events(reply)
    if reply.events[-1:] != (_DONE,):
        raise CheckFailed("broken-stream", f"ended after {len(events)} chunks without {_DONE}")
    return events


def deltas(chunks: Iterable[Fields]) -> Sequence[Fields]:
    """The parts of the first choice's message, in order."""
    firsts = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    return [first["delta"] for first in firsts if isinstance(first, dict) and isinstance(first.get("delta"), dict)]


def tool_calls(message: Fields, shown: str) -> Sequence[ToolCall]:
    """The tools that a message of a chat calls, at least one."""
    try:
        calls = [(str(call["function"]["name"]), call["function"]["arguments"]) for call in message["tool_calls"]]
    except (LookupError, TypeError):
        calls = []
    return _parsed(calls, shown)


def streamed_tool_calls(chunks: Sequence[Fields]) -> Sequence[ToolCall]:
    """The same from the parts of a streamed chat, which carry pieces of names and arguments."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    shown = _shown(chunks)
    try:
        for part in [part for delta in deltas(chunks) for part in delta.get("tool_calls") or ()]:
            number, function = int(part.get("index", 0)), part.get("function") or {}
            names[number] = names.get(number, "") + (function.get("name") or "")
            arguments[number] = arguments.get(number, "") + (function.get("arguments") or "")
    except (AttributeError, TypeError, ValueError):
        raise CheckFailed("malformed-answer", f"no parts of tool calls: {shown}") from None
    return _parsed([(names[number], arguments[number]) for number in sorted(names)], shown)


def response_words(reply: Reply) -> str:
    """The words of an answer of OpenAI's responses, or else its thoughts."""
    items = _list_in(reply.json(), "output", reply.brief)
    parts = [part for item in items for kind in ("content", "summary") for part in item.get(kind) or ()]
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def response_tool_calls(reply: Reply) -> Sequence[ToolCall]:
    """The tools that an answer of OpenAI's responses calls, at least one."""
    items = _list_in(reply.json(), "output", reply.brief)
    calls = [item for item in items if item.get("type") == "function_call"]
    return _parsed([(str(call.get("name")), call.get("arguments")) for call in calls], reply.brief)


def streamed_response_words(reply: StreamReply) -> str:
    """The words of a streamed answer of OpenAI's responses that came as a whole, or else its thoughts."""
    events = _events(reply)
    if not any(event.get("type") in _ENDS_OF_RESPONSES for event in events[-1:]):
        raise CheckFailed("broken-stream", f"ended after {len(events)} events without {_ENDS_OF_RESPONSES[0]}")
    kinds = (*_WORDS_OF_RESPONSES, _THOUGHTS_OF_RESPONSES)
    return "".join(str(event.get("delta") or "") for event in events if event.get("type") in kinds)


def message_words(reply: Reply) -> str:
    """The words of one of Anthropic's messages, or else its thoughts."""
    blocks = _list_in(reply.json(), "content", reply.brief)
    return "".join(str(block.get("text") or block.get("thinking") or "") for block in blocks)


def message_tool_calls(reply: Reply) -> Sequence[ToolCall]:
    """The tools that one of Anthropic's messages calls, at least one."""
    blocks = _list_in(reply.json(), "content", reply.brief)
    used = [block for block in blocks if block.get("type") == "tool_use"]
    calls = [ToolCall(str(block.get("name")), block.get("input")) for block in used]
    if not calls:
        raise CheckFailed("no-tool-call", f"no tool call: {reply.brief}")
    return calls


def streamed_message_words(reply: StreamReply) -> str:
    """The words of a streamed one of Anthropic's messages that came as a whole, or else its thoughts."""
    events = _events(reply)
    kinds = [event.get("type") for event in events]
    if kinds[:1] != ["message_start"] or kinds[-1:] != ["message_stop"]:
        raise CheckFailed("broken-stream", f"{len(events)} events do not go from message_start to message_stop")
    parts = [event.get("delta") or {} for event in events if event.get("type") == "content_block_delta"]
    return "".join(str(part.get("text") or part.get("thinking") or "") for part in parts)


def vectors(reply: Reply) -> Sequence[Sequence[float] | str]:
    """The vectors of an answer, as lists of numbers or as base64."""
    return [item.get("embedding", "") for item in _list_in(reply.json(), "data", reply.brief)]


def vector_size(vector: Sequence[float] | str) -> int:
    """How many numbers a vector has, in either form."""
    if isinstance(vector, list) and all(isinstance(number, (int, float)) for number in vector):
        return len(vector)
    try:
        size, rest = divmod(len(base64.b64decode(vector, validate=True)), _FLOAT_BYTES)  # type: ignore[arg-type]
    except (binascii.Error, TypeError, ValueError):
        rest = 1
    if rest:
        raise CheckFailed("malformed-answer", f"neither numbers nor base64 of them: {quoted(str(vector))}")
    return size


def ranked(reply: Reply) -> Sequence[int]:
    """The numbers of the documents, the best first."""
    try:
        return [int(item["index"]) for item in _list_in(reply.json(), "results", reply.brief)]
    except (LookupError, TypeError, ValueError):
        raise CheckFailed("malformed-answer", f"no order of documents: {reply.brief}") from None


def _events(reply: StreamReply) -> list[Fields]:
    """The events of a stream that came as a whole and reports no error."""
    reply.require_ok()
    kind = reply.headers.get("content-type")
    if not str(kind).startswith("text/event-stream"):
        raise CheckFailed("broken-stream", f"content-type {kind}, not text/event-stream")
    if reply.broken:
        raise CheckFailed("broken-stream", f"broke off after {len(reply.events)} events: {reply.broken}")
    events: list[Fields] = []
    for text in reply.events:
        if text == _DONE:
            continue
        try:
            event = json.loads(text)
        except ValueError:
            raise CheckFailed("broken-stream", f"an event is no JSON: {quoted(text)}") from None
        if not isinstance(event, dict):
            raise CheckFailed("broken-stream", f"an event is no object: {quoted(text)}")
        if event.get("error"):
            words = quoted(json.dumps(event["error"], ensure_ascii=False))
            raise CheckFailed(error_code(words) or "broken-stream", f"an error in the stream: {words}")
        events.append(event)
    return events


def _parsed(calls: Iterable[tuple[str, Any]], shown: str) -> Sequence[ToolCall]:
    found = []
    for name, arguments in calls:
        try:
            found.append(ToolCall(name, json.loads(arguments)))
        except (TypeError, ValueError):
            message = f"a tool call whose arguments are no JSON: {quoted(str(arguments))}"
            raise CheckFailed("wrong-tool-call", message) from None
    if not found:
        raise CheckFailed("no-tool-call", f"no tool call: {shown}")
    return found


def _list_in(content: Any, name: str, shown: str) -> list[Fields]:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise CheckFailed("malformed-answer", f"no {name}: {shown}")
    return found


def _shown(chunks: Sequence[Fields]) -> str:
    return quoted("".join(words_of(delta) for delta in deltas(chunks)))
