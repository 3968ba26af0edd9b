"""Checks of the gateway itself: it offers what is declared, and refuses requests without the key."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import httpx

from roles.contract.verdict import Check
from roles.verify.checks.routes import fallback_check
from roles.verify.context import VerificationContext
from roles.verify.generation import Canary, Route
from roles.verify.probe.api import Api
from roles.verify.verdict.claim import CheckFailed, Claim
from roles.verify.verdict.codes import Code

WRONG_KEY = "sk-no-such-key-of-the-verifier"

_REFUSED = 401
"""Both by the front and by an instance, whose keys we check."""
_TIMEOUT = 30.0
"""Seconds. A refusal and a list need no backend; the first answers of a worker take 0.3-1.7 s."""
_SUBJECT = "gateway"

_MODELS = Claim("gateway/models", _SUBJECT, "offers the declared models", "exactly the declared names")
_NO_KEY = Claim("gateway/no-key", _SUBJECT, "refuses requests without a key", "401")
_WRONG_KEY = Claim("gateway/wrong-key", _SUBJECT, "refuses a wrong key", "401")


def gateway_checks(context: VerificationContext) -> list[Coroutine[Any, Any, Check]]:
    """The checks of the gateway, to be awaited."""
    routes = context.generation.routes
    return [
        _MODELS.check(_models(context)),
        _NO_KEY.check(_refused(context.api_with(None), routes)),
        _WRONG_KEY.check(_refused(context.api_with(WRONG_KEY), routes)),
    ]


def canary_check(canary: Canary, context: VerificationContext) -> Coroutine[Any, Any, Check]:
    """The check that a request to a dead deployment goes on to its fallback. It does not affect clients."""
    (target,) = [route for route in context.generation.routes if route.name == canary.route]
    return fallback_check("gateway/fallback", _SUBJECT, canary.name, target, context)


async def _models(context: VerificationContext) -> str:
    declared = {name for route in context.generation.routes for name in route.names}
    if canary := context.gateway.canary:
        declared.add(canary.name)
    reply = await context.api.get("/v1/models", _TIMEOUT)
    try:
        offered = {str(model["id"]) for model in reply.json()["data"]}
    except (LookupError, TypeError):
        raise CheckFailed("malformed-answer", f"no list of models: {reply.brief}") from None
    problems = []
    if missing := sorted(declared - offered):
        problems.append(f"missing: {', '.join(missing)}")
    if excess := sorted(offered - declared):
        problems.append(f"too much: {', '.join(excess)}")
    if problems:
        raise CheckFailed("models-differ", "; ".join(problems))
    return f"{len(offered)} names"


async def _refused(api: Api, routes: Sequence[Route]) -> str:
    """Both the list and a chat: each has its own access check."""
    chat = {
        "model": routes[0].name if routes else "any",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 1,
    }
    replies = await asyncio.gather(
        api.get("/v1/models", _TIMEOUT), api.post("/v1/chat/completions", chat, _TIMEOUT), return_exceptions=True
    )
    seen = []
    codes: list[Code] = []
    for name, reply in zip(("models", "chat"), replies, strict=True):
        if isinstance(reply, CheckFailed):
            seen.append(f"{name}: {reply}")
            codes.append(reply.code)
        elif isinstance(reply, BaseException):
            raise reply
        elif reply.status == _REFUSED:
            seen.append(f"{name}: {reply.status}")
        else:
            seen.append(f"{name}: {reply.brief}")
            codes.append(reply.error_code if reply.status >= httpx.codes.BAD_REQUEST else "key-not-required")
    if codes:
        raise CheckFailed("key-not-required" if "key-not-required" in codes else codes[0], "; ".join(seen))
    return "; ".join(seen)
