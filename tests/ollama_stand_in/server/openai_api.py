"""The `/v1` endpoints: requests turned into Ollama's own, its lines turned into OpenAI's shapes."""

from __future__ import annotations

import base64
import json
import random
import struct
import time
from collections.abc import Iterator

from .child_chat import Line
from .errors import ApiError
from .go_formats import encode
from .inference import Lines
from .names import parse_name
from .store import Manifest

_ERROR_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
_FINGERPRINT = "fp_ollama"
_EFFORTS: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}
"""How much to reason → `think`."""
_SAMPLING = ("seed", "frequency_penalty", "presence_penalty")


def error_body(error: ApiError) -> Line:
    kind = _ERROR_TYPES.get(error.status, "api_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": None}}


def chat_request(request: Line) -> Line:
    shape = request.get("response_format") or {}
    schema = shape.get("json_schema", {}).get("schema") if shape.get("type") == "json_schema" else None
    return {
        "model": request.get("model", ""),
        "messages": [message for given in request["messages"] for message in _messages(given, request["messages"])],
        "stream": request.get("stream", False),
        "options": _sampling(request),
        "tools": request.get("tools", []),
        **_think(request),
        "format": "json" if shape.get("type") == "json_object" else schema,
    }


def completion_request(request: Line) -> Line:
    return {
        "model": request.get("model", ""),
        "prompt": request.get("prompt", ""),
        "stream": request.get("stream", False),
        "options": _sampling(request),
    }


def _sampling(request: Line) -> Line:
    """`max_completion_tokens` is not read: the real server does not know it either."""
    stop = request.get("stop")
    return {
        **({"stop": [stop] if isinstance(stop, str) else stop} if stop else {}),
        **({"num_predict": request["max_tokens"]} if "max_tokens" in request else {}),
        **{name: request[name] for name in _SAMPLING if name in request},
        "temperature": request.get("temperature", 1.0),
        "top_p": request.get("top_p", 1.0),
    }


def _think(request: Line) -> Line:
    effort = (request.get("reasoning") or {}).get("effort") or request.get("reasoning_effort") or ""
    if effort not in ("", *_EFFORTS):
        known = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'
        raise ApiError(400, f"invalid reasoning value: {encode(effort)} (must be {known})")
    return {"think": _EFFORTS[effort]} if effort else {}


def _messages(message: Line, all_messages: list[Line]) -> list[Line]:
    """One, or one for each part of its content."""
    role, content = message.get("role", ""), message.get("content")
    called = [_call(call) for call in message.get("tool_calls") or []]
    of_tool: Line = {"tool_calls": called} if called else {}
    if message.get("tool_call_id"):
        of_tool["tool_call_id"] = message["tool_call_id"]
    name = message.get("name") or _called_name(all_messages, message.get("tool_call_id"))
    if role.lower() == "tool" and name:
        of_tool["tool_name"] = name
    if isinstance(content, str) or (content is None and message.get("tool_calls") is not None):
        return [{"role": role, "content": content or "", **of_tool}]
    if not isinstance(content, list):
        raise ApiError(400, f"invalid message content type: {'<nil>' if content is None else type(content).__name__}")
    texts = [part for part in content if part.get("type") == "text"]
    parts: list[Line] = [{"role": role, "content": part.get("text", "")} for part in texts]
    if parts and called:
        parts[-1].update(of_tool)
    return parts


def _call(call: Line) -> Line:
    function = call.get("function", {})
    try:
        arguments = json.loads(function.get("arguments", ""))
    except ValueError as error:
        raise ApiError(400, "invalid tool call arguments") from error
    return {"id": call.get("id", ""), "function": {"name": function.get("name", ""), "arguments": arguments}}


def _called_name(messages: list[Line], identity: str | None) -> str:
    """The tool of the last call with this identity."""
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    return next((call["function"].get("name", "") for call in reversed(calls) if call.get("id") == identity), "")


def chat_completion(line: Line) -> Line:
    message, reason = line["message"], line["done_reason"]
    called = reason == "stop" and message.get("tool_calls")
    said = {"role": message["role"], "content": message["content"], **_beside_words(message)}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if called else reason}
    return {**_head("chatcmpl", "chat.completion", line), "choices": [choice], "usage": _usage(line)}


def completion(line: Line) -> Line:
    choice = {"text": line["response"], "index": 0, "finish_reason": line["done_reason"]}
    return {**_head("cmpl", "text_completion", line), "choices": [choice], "usage": _usage(line)}


def chat_chunks(lines: Lines, *, usage: bool) -> Iterator[str]:
    """The events of a stream. One that breaks off ends with an empty chunk and nothing else, as in the real server."""
    head: Line = {}
    try:
        for line in lines:
            first, head = not head, head or _head("chatcmpl", "chat.completion.chunk", line)
            message, events = line["message"], []
            said = message["content"] or _beside_words(message)
            if first or not line["done"] or said:
                for delta in _deltas(message, {"role": "assistant"} if first else {}):
                    events.append({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            if line["done"]:
                # All calls come with the last line.
                called = line["done_reason"] == "stop" and message.get("tool_calls")
                ended: Line = {
                    "index": 0,
                    "delta": {},
                    "finish_reason": "tool_calls" if called else line["done_reason"],
                }
                events.append({**head, "choices": [ended]})
                if usage:
                    events.append({**head, "choices": [], "usage": _usage(line)})
            yield _events(events, last=line["done"])
    except ApiError:
        if not head:
            raise
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
        yield _events([{**head, "model": "", "choices": [choice]}], last=False)


def _deltas(message: Line, role: Line) -> list[Line]:
    """Thinking comes in a chunk of its own."""
    beside = _beside_words(message)
    content = {"content": message["content"]}
    calls = {name: value for name, value in beside.items() if name == "tool_calls"}
    if "reasoning" in beside and (message["content"] or calls):
        return [{**role, "reasoning": beside["reasoning"]}, {**content, **calls}]
    return [{**role, **content, **beside}]


def _beside_words(message: Line) -> Line:
    """What a message thinks and calls, in OpenAI's shape."""
    calls = [
        {
            "id": call.get("id", ""),
            "index": call["function"]["index"],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": encode(call["function"]["arguments"])},
        }
        for call in message.get("tool_calls", [])
    ]
    thinking = message.get("thinking")
    return {**({"reasoning": thinking} if thinking else {}), **({"tool_calls": calls} if calls else {})}


def completion_chunks(lines: Lines, *, usage: bool) -> Iterator[str]:
    """The same for completions. With `usage` every chunk has figures, all but the last of zeros."""
    head: Line = {}
    nothing = {"usage": _figures(0, 0)} if usage else {}
    try:
        for line in lines:
            head = head or _head("cmpl", "text_completion", line)
            choice = {"text": line["response"], "index": 0, "finish_reason": line.get("done_reason")}
            events = [{**_with_choices(head, [choice]), **nothing}]
            if line["done"] and usage:
                events.append({**_with_choices(head, []), "usage": _usage(line)})
            yield _events(events, last=line["done"])
    except ApiError:
        if not head:
            raise
        choice = {"text": "", "index": 0, "finish_reason": None}
        yield _events([{**_with_choices({**head, "model": ""}, [choice]), **nothing}], last=False)


def _with_choices(head: Line, choices: list[Line]) -> Line:
    """Chunks of completions have their fields in another order."""
    order = ("id", "object", "created", "choices", "model", "system_fingerprint")
    content = {**head, "choices": choices}
    return {name: content[name] for name in order}


def _events(contents: list[Line], *, last: bool) -> str:
    return "".join(f"data: {encode(content)}\n\n" for content in contents) + ("data: [DONE]\n\n" if last else "")


def _head(prefix: str, kind: str, line: Line) -> Line:
    return {
        "id": f"{prefix}-{random.randrange(1000)}",
        "object": kind,
        "created": int(time.time()),
        "model": line["model"],
        "system_fingerprint": _FINGERPRINT,
    }


def _usage(line: Line) -> Line:
    return _figures(line["prompt_eval_count"], line["eval_count"])


def _figures(prompt: int, completed: int) -> Line:
    return {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed}


def embedding_list(answer: Line, encoding: str) -> Line:
    def encoded(vector: list[float]) -> list[float] | str:
        if encoding != "base64":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

    data = [
        {"object": "embedding", "embedding": encoded(vector), "index": index}
        for index, vector in enumerate(answer["embeddings"])
    ]
    counted = answer.get("prompt_eval_count", 0)
    return {
        "object": "list",
        "data": data,
        "model": answer["model"],
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def model_list(manifests: list[Manifest]) -> Line:
    """An empty list is `null`."""
    return {
        "object": "list",
        "data": [model_entry(manifest, manifest.name.shortest) for manifest in manifests] or None,
    }


def model_entry(manifest: Manifest, name: str) -> Line:
    return {
        "id": name,
        "object": "model",
        "created": manifest.modified // 10**9,
        "owned_by": parse_name(name).namespace,
    }
