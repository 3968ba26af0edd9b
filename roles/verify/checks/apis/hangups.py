"""Clients that go away: what generates for them must stop, or nobody else gets an answer for minutes."""

from __future__ import annotations

import asyncio

from roles.contract.modes import MODES
from roles.verify.checks.apis.question import Question, body_of, few_tokens, judged
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.verdict.claim import CheckFailed

_MANY_TOKENS = 1024
"""Tokens of an answer that nobody waits for."""
_LONG_PROMPT = "Count from 1 to 1000, one number a line, and leave out none."
_EACH = 2
"""Clients that go away, of those with a stream and of those without."""
_PLAIN_SECONDS = 0.5
"""After so long, one without a stream goes away: its backend has begun by then."""
_FREE_SECONDS = 2.0
"""By then a backend must be free again."""
_USUAL_TIMES = 3
"""Times as long as usual an answer may take on a busy host."""


def hang_up_question() -> Question:
    """That of a route whose backend generates words."""
    expected = f"another's answer within {_FREE_SECONDS:g} s more than usual"
    return Question("hang-up", "is free again when clients hang up", expected, _hang_up)


async def _hang_up(route: Route, context: VerificationContext) -> str:
    usual = await _short_answer(route, context)
    path, timeout = f"/v1{MODES[route.mode].path}", route.probe.timeout
    most = min(_MANY_TOKENS, (route.abilities.context_size or 2 * _MANY_TOKENS) // 2)
    long = body_of(route, **MODES[route.mode].body(_LONG_PROMPT, ()), max_tokens=most)
    streamed = [context.api.hang_up(path, {**long, "stream": True}, after=timeout) for _ in range(_EACH)]
    plain = [context.api.hang_up(path, long, after=_PLAIN_SECONDS) for _ in range(_EACH)]
    await asyncio.gather(*streamed, *plain)
    taken = await _short_answer(route, context)
    if taken > _USUAL_TIMES * usual + _FREE_SECONDS:
        message = f"{taken:.1f} s after clients hung up, {usual:.1f} s before: their answers are still being made"
        raise CheckFailed("hang-up-ignored", message)
    return f"{taken:.1f} s after clients hung up, {usual:.1f} s before"


async def _short_answer(route: Route, context: VerificationContext) -> float:
    """Seconds until a short answer from the route's own backend has come."""
    body = body_of(route, max_tokens=few_tokens(route))
    reply = await context.api.post(f"/v1{MODES[route.mode].path}", body, route.probe.timeout)
    judged(reply, route, lambda: "an answer")
    return reply.seconds
