"""Chats with the chat template of the model's own file: what llama-server is asked, and what its answer means.

It renders the template, and tells calls of tools and thinking from what the model says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError
from .go_formats import decode, encode

Line = dict[str, Any]


@dataclass(frozen=True)
class End:
    """Of an answer: why, and the figures of its last line."""

    reason: str
    figures: Line
    context: list[int] | None = None


@dataclass(frozen=True)
class Piece:
    """Of an answer. The last one has an end."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[Line] = field(default_factory=list)
    end: End | None = None

    def message(self) -> Line:
        return {
            "role": "assistant",
            "content": self.content,
            **({"thinking": self.thinking} if self.thinking else {}),
            **({"tool_calls": self.tool_calls} if self.tool_calls else {}),
        }


def chat_request(messages: list[Line], request: Line, options: Line) -> Line:
    """What the child is asked; `options` by its own names.

    Of `request`: the tools, whether to think, and the form of the answer. Thinking in earlier messages is left out.
    """
    asked: Line = {"messages": [_message(message) for message in messages], "cache_prompt": True, **options}
    if request.get("tools"):
        asked["tools"] = request["tools"]
    think = request.get("think")
    if think is not None:
        effort = {"reasoning_effort": think} if isinstance(think, str) else {}
        asked["chat_template_kwargs"] = {"enable_thinking": bool(think), **effort}
    shape = request.get("format")
    if isinstance(shape, dict):
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "schema", "schema": shape}}
    elif shape:
        asked["response_format"] = {"type": "json_object"}
    return asked


def _message(message: Line) -> Line:
    calls = [
        {
            **({"id": call["id"]} if call.get("id") else {}),
            "index": call["function"].get("index", 0),
            "type": "function",
            "function": {
                "name": call["function"].get("name", ""),
                "arguments": encode(call["function"].get("arguments", {})),
            },
        }
        for call in message.get("tool_calls") or []
    ]
    return {
        "role": message.get("role", "").lower(),
        **({"tool_call_id": message["tool_call_id"]} if message.get("tool_call_id") else {}),
        **({"name": message["tool_name"]} if message.get("tool_name") else {}),
        **({"tool_calls": calls} if calls else {}),
        "content": message.get("content") or "",
    }


def pieces_of(events: Iterable[Line]) -> Iterator[Piece]:
    """What the events of the child's stream say. All calls of tools come with the end, as in the real server."""
    calls: dict[int, _Call] = {}
    for event in events:
        if event.get("error") is not None:
            raise ApiError(500, f"llama-server chat error: {_as_go_prints(event['error'])}")
        for choice in event.get("choices", [])[:1]:
            delta = choice["delta"]
            for call in delta.get("tool_calls") or []:
                calls.setdefault(call["index"], _Call()).add(call)
            said = (delta.get("content") or "", delta.get("reasoning_content") or "")
            reason = choice.get("finish_reason")
            if reason:
                called = [call.told(index) for index, call in sorted(calls.items())]
                yield Piece(*said, called, End("length" if reason == "length" else "stop", _figures(event["timings"])))
            elif any(said):
                yield Piece(*said)


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, part: Line) -> None:
        function = part.get("function", {})
        self.id += part.get("id") or ""
        self.name += function.get("name") or ""
        self.arguments += function.get("arguments") or ""

    def told(self, index: int) -> Line:
        try:
            arguments = decode(self.arguments) if self.arguments.strip() else {}
        except ValueError as error:
            problem = f'llama-server returned invalid tool call arguments for "{self.name}": {error}'
            raise ApiError(500, problem) from error
        return {
            **({"id": self.id} if self.id else {}),
            "function": {"index": index, "name": self.name, "arguments": arguments},
        }


def _figures(timings: Line) -> Line:
    return {
        "prompt_eval_count": timings["cache_n"] + timings["prompt_n"],
        "prompt_eval_duration": int(timings["prompt_ms"] * 1000) * 1000,
        "eval_count": timings["predicted_n"],
        "eval_duration": int(timings["predicted_ms"] * 1000) * 1000,
    }


def _as_go_prints(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_as_go_prints(item)}" for key, item in sorted(value.items())) + "]"
    return str(value)
