"""How fast a route answers: until the first token, tokens a second for one client and for several, and how fast it
reads a prompt. Measured through the gateway, as a client meets it, for at most ten seconds."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roles.contract.measured import RouteSpeed
from roles.contract.modes import MODES
from roles.verify.checks.judging import origin_problems
from roles.verify.checks.routes import probe_request
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.probe.api import StreamReply
from roles.verify.verdict.claim import CannotCheck, CheckFailed

AT_ONCE = 4
"""Clients at the same time."""
_ALONE = 3
"""Answers for one client: the median is reported."""
_TOKENS = 48
"""Of each answer: a second or two of a model of 7 billion parameters on a card."""
_PROMPT_WORDS = 300
"""Of the long prompt, some 400 tokens: enough that reading it takes longer than all else in the request."""
_CONTEXT_OF_A_WORD = 12
"""Tokens of context that a word of it must leave: a tokenizer may need five for one, and there are other tokens."""
_ALONE_UNTIL, _PROMPT_UNTIL, _LONGEST = 5.0, 7.5, 10.0
"""Seconds from the beginning, after which answers to one client, the one to the long prompt, and those to several are
cut off: a slow route's speed is that of what came until then."""
_SHORTEST = 0.1
"""Seconds that each answer gets at least."""
_WORTHWHILE = 1.0
"""Seconds that must be left to ask several at once."""

_ASKED = "Write a long story about the sea."


@dataclass(frozen=True)
class _Answer:
    """A streamed answer, in seconds on the monotonic clock.

    Attributes:
        first, last: when its first and its last token came; if none came, when it was cut off.
        read, written: tokens of the request and of the answer. Of one that was cut off, the former is not known and 0,
            and the latter are the parts that came.
    """

    began: float
    first: float
    last: float
    read: int
    written: int

    @property
    def until_first(self) -> float:
        return self.first - self.began


async def speed_of(route: Route, context: VerificationContext) -> RouteSpeed:
    """
    Raises:
        CheckFailed: it does not answer, or without saying how many tokens there were.
        CannotCheck: it may not be asked as often in this minute.
    """
    # A server that loads its models on demand does that first.
    await _ask(route, context, _ASKED, 1)
    began = time.monotonic()
    alone = list[_Answer]()
    while len(alone) < _ALONE and time.monotonic() < began + _ALONE_UNTIL:
        alone.append(await _ask(route, context, _ASKED, _TOKENS, until=began + _ALONE_UNTIL))
    # The last one may have been cut off at once.
    alone = [each for each in alone if each.written] or alone
    words = min(_PROMPT_WORDS, (route.abilities.context_size or 4096) // _CONTEXT_OF_A_WORD)
    prompt = await _ask(route, context, " ".join(["word"] * words), 1, until=began + _PROMPT_UNTIL)
    together: Sequence[_Answer] = ()
    end = began + _LONGEST
    if time.monotonic() < end - _WORTHWHILE:
        together = await asyncio.gather(*(_ask(route, context, _ASKED, _TOKENS, until=end) for _ in range(AT_ONCE)))
    return RouteSpeed(
        route=route.name,
        first_token=round(statistics.median(each.until_first for each in alone), 3),
        tokens_per_second=round(statistics.median(map(_rate, alone)), 1),
        prompt_tokens_per_second=round(prompt.read / max(prompt.until_first, 1e-3), 1),
        at_once=len(together),
        tokens_per_second_at_once=round(_rate_of_all(together), 1) if together else 0.0,
    )


def _rate(answer: _Answer) -> float:
    """Tokens a second after the first one. An answer that came at once has no rate of its own: that of the whole."""
    if answer.written > 1 and answer.last > answer.first:
        return (answer.written - 1) / (answer.last - answer.first)
    return answer.written / max(answer.last - answer.began, 1e-3)


def _rate_of_all(answers: Sequence[_Answer]) -> float:
    took = max(each.last for each in answers) - min(each.began for each in answers)
    return sum(each.written for each in answers) / max(took, 1e-3)


async def _ask(
    route: Route, context: VerificationContext, prompt: str, tokens: int, *, until: float | None = None
) -> _Answer:
    """
    Args:
        until: when the answer is cut off, in seconds on the monotonic clock; None = it may take its time.
    """
    path, body = probe_request(route, route.name)
    # What differs at the beginning is in no cache of prompts.
    asked = MODES[route.mode].body(f"{uuid.uuid4().hex} {prompt}", ())
    body |= {**asked, "max_tokens": tokens, "stream_options": {"include_usage": True}}
    began = time.monotonic()
    seconds = max(route.probe.timeout, _LONGEST) if until is None else max(until - began, _SHORTEST)
    try:
        reply = await context.api.stream_now(path, body, seconds)
    except CheckFailed as failed:
        if until is None or failed.code != "answer-timeout":
            raise
        return _nothing(began)
    if reply.over_limit:
        raise CannotCheck("its limit of requests or tokens is used up for this minute", code="over-limit")
    reply.require_ok()
    if problems := origin_problems(reply.headers, route):
        raise CheckFailed(problems[0].code, str(problems[0]))
    return _timed(reply, cut=until is not None and time.monotonic() - began >= seconds)


def _nothing(began: float) -> _Answer:
    """An answer that was cut off before its first token."""
    now = time.monotonic()
    return _Answer(began, now, now, 0, 0)


def _timed(reply: StreamReply, *, cut: bool) -> _Answer:
    """
    Args:
        cut: if the stream is broken, that is because its time was up.
    """
    began = reply.times[0] if reply.times else 0.0
    usage: dict[str, Any] = {}
    tokens = list[float]()
    for event, moment in zip(reply.events, reply.times[1:], strict=True):
        try:
            chunk = json.loads(event)
        except ValueError:
            continue
        if isinstance(chunk, dict):
            usage = chunk.get("usage") or usage
            if _has_text(chunk):
                tokens.append(moment)
    if reply.broken and cut:
        return _Answer(began, tokens[0], tokens[-1], 0, len(tokens)) if tokens else _nothing(began)
    if reply.broken or not tokens:
        raise CheckFailed("broken-stream", reply.broken or "no token in the answer")
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(read, int) or not isinstance(written, int):
        raise CheckFailed("malformed-answer", "the stream does not say how many tokens there were")
    return _Answer(began, tokens[0], tokens[-1], read, written)


def _has_text(chunk: dict[str, Any]) -> bool:
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        for part in (choice, delta):
            if isinstance(part, dict) and any(part.get(key) for key in ("text", "content", "reasoning_content")):
                return True
    return False
