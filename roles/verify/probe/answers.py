"""What a model said, from the JSON of the OpenAI interface."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from roles.verify.probe.api import Reply, StreamReply, error_code
from roles.verify.verdict.claim import CheckFailed, Problem
from roles.verify.verdict.quoting import quoted

_END = "[DONE]"
_FEWEST_EVENTS = 2
"""An answer in one piece was not streamed."""


@dataclass(frozen=True)
class Answer:
    """`words` is the answer proper, `thinking` what a reasoning model wrote before it."""

    words: str
    thinking: str = ""


def chat_answer(reply: Reply) -> Answer:
    return _answer(reply.json(), "message", reply.brief)


def tool_call(reply: Reply) -> tuple[str, Any]:
    """Name and arguments of the first tool that the model calls."""
    message = _first_choice(reply.json(), reply.brief).get("message")
    try:
        function = message["tool_calls"][0]["function"]  # type: ignore[index]
        return str(function["name"]), json.loads(function["arguments"])
    except (LookupError, TypeError):
        raise CheckFailed("no-tool-call", f"no tool call: {reply.brief}") from None
    except ValueError:
        raise CheckFailed("wrong-tool-call", f"a tool call whose arguments are no JSON: {reply.brief}") from None


def completion_answer(reply: Reply) -> Answer:
    choice = _first_choice(reply.json(), reply.brief)
    return Answer(words=str(choice.get("text") or ""))


def embedding_size(reply: Reply) -> int:
    """The dimension of the vector."""
    try:
        vector = reply.json()["data"][0]["embedding"]
    except (LookupError, TypeError):
        raise CheckFailed("malformed-answer", f"no embedding: {reply.brief}") from None
    if not isinstance(vector, list) or not all(isinstance(number, (int, float)) for number in vector):
        raise CheckFailed("malformed-answer", f"no list of numbers: {reply.brief}")
    return len(vector)


def best_document(reply: Reply) -> int:
    """The number of the document that a reranker puts first."""
    try:
        best = reply.json()["results"][0]["index"]
    except (LookupError, TypeError):
        raise CheckFailed("malformed-answer", f"no order of documents: {reply.brief}") from None
    if not isinstance(best, int):
        raise CheckFailed("malformed-answer", f"no number of a document: {reply.brief}")
    return best


def streamed_answer(reply: StreamReply) -> tuple[Answer, list[Problem]]:
    """The answer, and what is wrong with how it was sent: a broken stream may still contain good words."""
    reply.require_ok()
    problems: list[Problem] = []
    wrong: list[str] = []
    chunks = [event for event in reply.events if event != _END]
    if not reply.headers.get("content-type", "").startswith("text/event-stream"):
        wrong.append(f"content-type {reply.headers.get('content-type')}, not text/event-stream")
    if reply.broken:
        wrong.append(f"broke off after {len(chunks)} chunks: {reply.broken}")
    elif not reply.events or reply.events[-1] != _END:
        wrong.append(f"ended after {len(chunks)} chunks without {_END}")
    elif len(chunks) < _FEWEST_EVENTS:
        wrong.append(f"came in {len(chunks)} chunk, not as a stream")
    problems += [Problem("broken-stream", message) for message in wrong]
    parts = []
    for chunk in chunks:
        try:
            parts.append(_delta(chunk))
        except CheckFailed as failed:
            problems.append(Problem(failed.code, str(failed)))
            break
    words = "".join(part.words for part in parts)
    return Answer(words, "".join(part.thinking for part in parts)), problems


def _delta(chunk: str) -> Answer:
    try:
        content = json.loads(chunk)
    except ValueError:
        raise CheckFailed("broken-stream", f"a chunk is no JSON: {quoted(chunk)}") from None
    if isinstance(content, dict) and "error" in content:
        words = quoted(json.dumps(content["error"], ensure_ascii=False))
        raise CheckFailed(error_code(words) or "broken-stream", f"an error in the stream: {words}")
    if isinstance(content, dict) and content.get("choices") == []:
        # The last chunk may contain only the usage.
        return Answer("")
    return _answer(content, "delta", quoted(chunk))


def _answer(content: Any, part: str, shown: str) -> Answer:
    message = _first_choice(content, shown).get(part)
    if not isinstance(message, dict):
        raise CheckFailed("malformed-answer", f"no {part} in the first choice: {shown}")
    return Answer(str(message.get("content") or ""), str(message.get("reasoning_content") or ""))


def _first_choice(content: Any, shown: str) -> dict[str, Any]:
    try:
        choice = content["choices"][0]
    except (LookupError, TypeError):
        raise CheckFailed("malformed-answer", f"no choices: {shown}") from None
    if not isinstance(choice, dict):
        raise CheckFailed("malformed-answer", f"no choices: {shown}")
    return choice
