"""A question of a kind that client programs ask, before it is asked."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from roles.contract.verdict import Check
from roles.verify.checks.judging import SHOWN_WORDS, concluded, origin_problems
from roles.verify.checks.routes import probe_request
from roles.verify.context import VerificationContext
from roles.verify.generation import Route
from roles.verify.probe.api import Reply
from roles.verify.verdict.claim import CheckFailed, Claim, Problem
from roles.verify.verdict.quoting import quoted

FEW_TOKENS = 32
"""Tokens of an answer of which only the form counts: enough to begin, for a model that thinks first too."""


Ask: TypeAlias = Callable[[Route, VerificationContext], Awaitable[str]]
"""Asks a route; returns what was seen, and raises as in `Claim.check`."""


@dataclass(frozen=True)
class Question:
    """Attributes:
    kind: the end of the check's id.
    claim, expected: as of `Check`.
    """

    kind: str
    claim: str
    expected: str
    ask: Ask

    async def check(self, route: Route, context: VerificationContext) -> Check:
        """The check that asking a route makes."""
        claim = Claim(f"route/{route.name}/apis/{self.kind}", route.name, self.claim, self.expected)
        return await claim.check(self.ask(route, context))


def few_tokens(route: Route) -> int:
    return min(route.probe.max_tokens, FEW_TOKENS)


def body_of(route: Route, **more: object) -> dict[str, object]:
    """The probe's request, as the gateway's own interface for that mode takes it, with further fields."""
    return {**probe_request(route, route.name)[1], **more}


def unlike_others(prompt: str) -> str:
    """The prompt, which no cache has met yet: only chats can say that they want no cached answer."""
    return f"{prompt} ({secrets.token_hex(4)})"


def judged(reply: Reply, route: Route, read: Callable[[], str]) -> str:
    """What `read` sees in an answer that must come from the route's own backend."""
    reply.require_ok()
    problems = []
    seen = ""
    try:
        seen = read()
    except CheckFailed as failed:
        problems = [Problem(failed.code, str(failed))]
    return concluded(seen, problems, origin_problems(reply.headers, route))


def some(words: str) -> str:
    """The beginning of words, or of thoughts, of which there must be some."""
    if not words.strip():
        raise CheckFailed("empty-answer", "no words")
    return quoted(words, SHOWN_WORDS)
