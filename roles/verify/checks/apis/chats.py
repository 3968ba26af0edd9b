"""What client programs ask a chat route by OpenAI's chat interface, by the route's abilities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from roles.contract.abilities import Abilities
from roles.verify.checks.apis.picture import picture_part
from roles.verify.checks.apis.question import Question, body_of, few_tokens, judged, some
from roles.verify.checks.samples import CITY, CLOCK_TOOL, FORCED_TOOL, SCHEMA, STRUCTURED, TOOL, TOOLS, TWO_TOOLS
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.probe.api import Reply, StreamReply
from roles.verify.probe.forms import ToolCall, chat_chunks, choices, deltas, streamed_tool_calls, tool_calls, words_of
from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.quoting import quoted

PATH = "/v1/chat/completions"
TOOL_PROMPT = f"What is the weather like in {CITY}? Ask your tool."
_CLOCK_PROMPT = f"What time is it in {CITY}? Ask your tool."
"""A server that does not force a tool may still have a model that chooses the right one."""
_BOTH_PROMPT = f"What is the weather like in {CITY}, and what time is it there? Ask your tools."
_CHOICES = 2


def chat_questions(abilities: Abilities) -> list[Question]:
    """Those of a chat route with these abilities."""
    questions = [
        Question("usage", "ends a stream with its usage", "tokens in the last chunk", _streamed_usage),
        Question("stop", "stops before the words that a request says", "an answer without them", _stop),
    ]
    if abilities.tools:
        called = f"a call of {TOOL}"
        questions += [
            Question("streamed-tool", "streams a call of a tool", called, _streamed_tool),
            Question("forced-tool", "calls the tool that a request names", f"a call of {CLOCK_TOOL}", _forced_tool),
            Question("parallel-tools", "chooses among tools", f"calls of {TOOL} or {CLOCK_TOOL}", _parallel_tools),
        ]
    if abilities.structured_outputs:
        claim = "streams an answer by a JSON schema"
        questions.append(Question("streamed-schema", claim, "JSON of that schema", _streamed_schema))
    if abilities.logprobs:
        claim = "says how likely its words are"
        questions.append(Question("logprobs", claim, "a logarithm for each token", _logprobs))
    if abilities.several:
        questions.append(Question("several", "gives several answers at once", f"{_CHOICES} of them", _several))
    if abilities.images:
        questions.append(Question("picture", "takes a picture", "words", _picture))
    return questions


def require_calls(calls: Sequence[ToolCall], *names: str) -> str:
    """What was called: only tools of these names, each with the one city that there is."""
    seen = quoted(", ".join(map(str, calls)))
    if not all(call.name in names and call.arguments == {"city": CITY} for call in calls):
        raise CheckFailed("wrong-tool-call", f"{seen} was called")
    return seen


def require_usage(chunks: Sequence[Mapping[str, Any]]) -> str:
    """The tokens that the last chunk of a stream counts."""
    last = chunks[-1] if chunks else {}
    usage = last.get("usage")
    if not isinstance(usage, dict) or not usage.get("prompt_tokens") or not usage.get("completion_tokens"):
        raise CheckFailed("parameter-ignored", f"the last chunk has no usage: {quoted(json.dumps(last))}")
    return f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"


def last_word(words: str) -> str:
    """What a second answer, which would be the same, is to stop at."""
    return (words.split() or ["e"])[-1]


def require_stopped(words: str, stop: str) -> str:
    if stop in words:
        raise CheckFailed("parameter-ignored", f"it goes on after {quoted(stop)}: {quoted(words)}")
    return f"stopped before {quoted(stop)}"


async def _post(route: Route, context: VerificationContext, **more: object) -> Reply:
    return await context.api.post(PATH, body_of(route, **more), route.probe.timeout)


async def _stream(route: Route, context: VerificationContext, **more: object) -> StreamReply:
    return await context.api.stream(PATH, body_of(route, **more), route.probe.timeout)


def _user(content: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": content}]


async def _streamed_usage(route: Route, context: VerificationContext) -> str:
    reply = await _stream(route, context, max_tokens=few_tokens(route), stream_options={"include_usage": True})

    def read() -> str:
        chunks = chat_chunks(reply)
        some("".join(map(words_of, deltas(chunks))))
        return require_usage(chunks)

    return judged(reply, route, read)


async def _stop(route: Route, context: VerificationContext) -> str:
    first = await _post(route, context, max_tokens=few_tokens(route))
    # The model says the same again: it is asked without chance.
    stop = last_word(judged(first, route, lambda: words_of(_message(first))))
    second = await _post(route, context, max_tokens=few_tokens(route), stop=[stop])
    return judged(second, route, lambda: require_stopped(str(_message(second).get("content") or ""), stop))


def _message(reply: Reply) -> dict[str, object]:
    message = choices(reply)[0].get("message")
    if not isinstance(message, dict):
        raise CheckFailed("malformed-answer", f"no message in the first choice: {reply.brief}")
    return message


async def _streamed_tool(route: Route, context: VerificationContext) -> str:
    reply = await _stream(route, context, messages=_user(TOOL_PROMPT), **TOOLS)
    return judged(reply, route, lambda: require_calls(streamed_tool_calls(chat_chunks(reply)), TOOL))


async def _forced_tool(route: Route, context: VerificationContext) -> str:
    reply = await _post(route, context, messages=_user(_CLOCK_PROMPT), **FORCED_TOOL)
    return judged(reply, route, lambda: require_calls(tool_calls(_message(reply), reply.brief), CLOCK_TOOL))


async def _parallel_tools(route: Route, context: VerificationContext) -> str:
    """A small model may call one of them only: what it calls must be right."""
    more = {"tools": TWO_TOOLS, "tool_choice": "required", "parallel_tool_calls": True}
    reply = await _post(route, context, messages=_user(_BOTH_PROMPT), **more)
    return judged(reply, route, lambda: require_calls(tool_calls(_message(reply), reply.brief), TOOL, CLOCK_TOOL))


async def _streamed_schema(route: Route, context: VerificationContext) -> str:
    question = f"Which city is the capital of France? Answer by this JSON schema: {json.dumps(SCHEMA)}"
    reply = await _stream(route, context, messages=_user(question), **STRUCTURED)

    def read() -> str:
        words = "".join(str(delta.get("content") or "") for delta in deltas(chat_chunks(reply)))
        try:
            wrong = "" if json.loads(words) == {"capital": CITY} else "is not by the schema"
        except ValueError:
            wrong = "is no JSON"
        if wrong:
            raise CheckFailed("schema-violated", f"{quoted(words)} {wrong}")
        return quoted(words)

    return judged(reply, route, read)


async def _logprobs(route: Route, context: VerificationContext) -> str:
    reply = await _post(route, context, max_tokens=few_tokens(route), logprobs=True, top_logprobs=1)

    def read() -> str:
        (choice, *_) = choices(reply)
        tokens = (choice.get("logprobs") or {}).get("content") or []
        if not tokens or not all(isinstance(token.get("logprob"), (int, float)) for token in tokens):
            raise CheckFailed("parameter-ignored", f"no `logprobs`: {reply.brief}")
        return f"of {len(tokens)} tokens"

    return judged(reply, route, read)


async def _several(route: Route, context: VerificationContext) -> str:
    # At temperature 0 all of them are the same one, which vLLM refuses.
    reply = await _post(route, context, max_tokens=few_tokens(route), n=_CHOICES, temperature=1)

    def read() -> str:
        found = choices(reply)
        if len(found) != _CHOICES:
            raise CheckFailed("parameter-ignored", f"{len(found)} for `n` = {_CHOICES}: {reply.brief}")
        return "; ".join(some(words_of(choice.get("message") or {})) for choice in found)

    return judged(reply, route, read)


async def _picture(route: Route, context: VerificationContext) -> str:
    parts = [{"type": "text", "text": "Which colour is this?"}, picture_part()]
    reply = await _post(route, context, messages=_user(parts))
    return judged(reply, route, lambda: some(words_of(_message(reply))))
