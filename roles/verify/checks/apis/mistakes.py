"""Requests that are wrong for a route: each must be refused by a status that blames the request, and leave the route as
it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from roles.contract.abilities import UNKNOWN
from roles.contract.modes import MODES
from roles.verify.checks.apis.picture import picture_part, sound_part
from roles.verify.checks.apis.question import Question, body_of
from roles.verify.checks.gateway import WRONG_KEY
from roles.verify.checks.routes import ask_plainly
from roles.verify.checks.samples import FORCED_TOOL, STRUCTURED
from roles.verify.context import VerificationContext
from roles.verify.generation import Mode, Route
from roles.verify.probe.api import Reply, StreamReply
from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.codes import Code

_NOT_BLAMING = (
    httpx.codes.UNAUTHORIZED,
    httpx.codes.FORBIDDEN,
    httpx.codes.REQUEST_TIMEOUT,
    httpx.codes.TOO_MANY_REQUESTS,
)
"""Statuses below 500 that say something else than that the request is wrong."""

_WRONG_TYPES: Mapping[Mode, Mapping[str, object]] = {
    "chat": {"messages": "x"},
    "completion": {"prompt": {"x": "y"}},
    "embedding": {"input": {"x": "y"}},
    "rerank": {"documents": "x"},
}
_OTHER_PATH: Mapping[Mode, Mode] = {
    "chat": "embedding",
    "completion": "embedding",
    "embedding": "chat",
    "rerank": "chat",
}
"""Whose path a route of that mode does not serve."""

_LENGTH = r"context|token|too long|too large|length"
_TOO_LONG = 2
"""Times as many words as the context has tokens: a word is at least one of them."""


@dataclass(frozen=True)
class _Mistake:
    """Attributes:
    kind: the end of the check's id.
    what: what is wrong, at the end of "refuses …".
    wrong: the fields of the request that make it so.
    cause: a pattern of the words by which the refusal names its cause; empty = any will do.
    mode: of the path that is asked, unless it is the route's own.
    """

    kind: str
    what: str
    wrong: Mapping[str, object] = field(default_factory=dict)
    cause: str = ""
    mode: Mode | None = None
    streamed: bool = False

    def question(self) -> Question:
        return Question(self.kind, f"refuses {self.what}", "a status from 400 to 499 and the cause", self._ask)

    async def _ask(self, route: Route, context: VerificationContext) -> str:
        mode = self.mode or route.mode
        body = body_of(route, **self.wrong)
        if self.mode:
            asked = MODES[self.mode].body(route.probe.prompt, ("x", "y"))
            body = {"model": route.name, "cache": body["cache"], **asked}
        path = f"/v1{MODES[mode].path}"
        send = context.api.stream if self.streamed else context.api.post
        return _require_refusal(await send(path, body, route.probe.timeout), route, self.cause)


def mistakes(route: Route) -> list[Question]:
    """Those that can be made with a route of these abilities."""
    other = MODES[_OTHER_PATH[route.mode]]
    made = [
        _Mistake("refused-types", "values of a wrong type", _WRONG_TYPES[route.mode]),
        _Mistake("refused-path", f"what it does not serve: {other.path}", mode=_OTHER_PATH[route.mode]),
    ]
    if route.mode == "chat" and route.abilities != UNKNOWN:
        made += _chat_mistakes(route)
    wrong_key = Question("refused-key", "refuses a wrong key", "status 401", _ask_with_a_wrong_key)
    return [wrong_key, *(mistake.question() for mistake in made)]


def after_mistakes() -> Question:
    """A good request after all the mistakes: nothing cools down, nobody stands in."""
    claim = "answers as before after clients' mistakes"
    return Question("after-mistakes", claim, "an answer from its own backend", _ask_well)


def _chat_mistakes(route: Route) -> list[_Mistake]:
    able = route.abilities
    made = []
    if not able.images:
        made.append(_Mistake("refused-picture", "a picture", _with_part(picture_part()), "image|picture|vision|modal"))
    if not able.audio:
        made.append(_Mistake("refused-audio", "a sound", _with_part(sound_part()), "audio|sound|modal"))
    if not able.tools:
        made.append(_Mistake("refused-tool", "to call a tool that must be called", FORCED_TOOL, "tool"))
    if not able.structured_outputs:
        made.append(_Mistake("refused-schema", "a JSON schema", STRUCTURED, "schema|response_format|json"))
    if not able.logprobs:
        made.append(_Mistake("refused-logprobs", "`logprobs`", {"logprobs": True}, "logprobs"))
    if not able.several:
        made.append(_Mistake("refused-several", "`n` = 2", {"n": 2}, r"\bn\b|choices|answers"))
    if able.context_size and not route.context_window_fallbacks:
        long = {"messages": [{"role": "user", "content": " a" * (_TOO_LONG * able.context_size)}]}
        made.append(_Mistake("refused-length", "too long a prompt", long, _LENGTH))
        made.append(_Mistake("refused-length-stream", "too long a prompt, streamed", long, _LENGTH, streamed=True))
    return made


def _with_part(part: Mapping[str, object]) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]}


def _require_refusal(reply: Reply, route: Route, cause: str) -> str:
    """What a mistake's refusal says, if it is one and names the cause."""
    fallbacks = reply.headers.get("x-litellm-attempted-fallbacks", "0")
    origin = reply.headers.get("x-litellm-model-id")
    code: Code | None = None
    if fallbacks != "0" or (origin and origin not in {each.id for each in route.deployments}):
        code = "mistake-moved-on"
    elif reply.status < httpx.codes.BAD_REQUEST:
        code = "mistake-accepted"
    elif reply.status >= httpx.codes.INTERNAL_SERVER_ERROR or reply.status in _NOT_BLAMING:
        code = "mistake-misjudged"
    elif not reply.message.strip() or not re.search(cause, reply.message, re.IGNORECASE):
        code = "mistake-unexplained"
    seen = reply.brief
    if isinstance(reply, StreamReply) and reply.status == httpx.codes.OK:
        seen = f"200, a stream of {len(reply.events)} events"
    if code == "mistake-moved-on":
        seen = f"{seen}, from {origin or 'nobody that is named'}, attempted fallbacks: {fallbacks}"
    if code:
        raise CheckFailed(code, seen)
    return seen


async def _ask_with_a_wrong_key(route: Route, context: VerificationContext) -> str:
    path = f"/v1{MODES[route.mode].path}"
    reply = await context.api_with(WRONG_KEY).post(path, body_of(route), route.probe.timeout)
    if reply.status < httpx.codes.BAD_REQUEST:
        raise CheckFailed("key-not-required", reply.brief)
    if reply.status != httpx.codes.UNAUTHORIZED:
        raise CheckFailed("mistake-misjudged", reply.brief)
    return reply.brief


async def _ask_well(route: Route, context: VerificationContext) -> str:
    return await ask_plainly(route, route.name, context)
