"""The check of the gateway's cache: a repeated request is answered from it, and the answer is in Redis.

LiteLLM 1.106.2 keeps answers in its own memory too: a cached answer alone does not show that Redis works.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import httpx

from roles.contract.modes import MODES
from roles.contract.verdict import Check
from roles.verify.checks.cooldown import outlast_cooldown
from roles.verify.context import VerificationContext
from roles.verify.generation import Cache, Route
from roles.verify.probe.api import Api, Reply
from roles.verify.probe.examples import example_request
from roles.verify.probe.redis import RedisRefuses, ask_redis
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim, CoolingDown

_TIMEOUT = 30.0
"""Seconds. A cached answer needs no backend."""
_LOOK_TIMEOUT = 5.0
"""Seconds."""
_IS_THERE = "the key"
"""What is seen when Redis has the key."""
_NOTHING = "nothing"
_UNHEALTHY = re.compile("Unhealthy|WRONGPASS|NOAUTH")
"""How LiteLLM 1.106.2, and Redis in its own words, report that the cache cannot be used."""
_HIT = "x-litellm-cache-key"
"""A header that LiteLLM 1.106.2 sends only with answers from its cache."""
_PAUSES = (0.1, 0.4, 1.5)
"""Seconds before each repetition of the question: LiteLLM keeps an answer just after it has sent it."""
_KEPT_SECONDS = 60
"""The verifier's own answers need not be kept for long."""


def cache_check(cache: Cache, routes: Sequence[Route], context: VerificationContext) -> Coroutine[Any, Any, Check]:
    """The check, to be awaited. If no route generates text that can be kept, only the cache's health is checked.

    An instance is asked for the cache's health: clients cannot ask for it.

    Args:
        routes: those that may be asked.
    """
    talking = [route for route in routes if MODES[route.mode].generates]
    if not talking:
        return Claim("gateway/cache", "gateway", "reaches its cache", "healthy").check(_health(context))
    claim = Claim("gateway/cache", "gateway", "answers an equal request from its cache", "an answer that its Redis has")
    return claim.check(
        outlast_cooldown(lambda: _kept(cache, talking, context), lambda: _is_well(context), cache.cooldown)
    )


async def _kept(cache: Cache, routes: Sequence[Route], context: VerificationContext) -> str:
    """Asks a new question of the first route that answers, and then the same one again."""
    await _health(context)
    api, prompt = context.api, f"{uuid.uuid4()}?"
    for route in routes:
        try:
            await _ask(route, prompt, api)
        except CheckFailed:
            continue
        seen = ""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            key = (await _ask(route, prompt, api)).headers.get(_HIT)
            if key and (seen := await _look_up(cache, key)) == _IS_THERE:
                return f"{route.name} is answered from it"
        if seen:
            raise CoolingDown(
                "cache-forgets" if seen == _NOTHING else "cache-unhealthy",
                f"{route.name} is answered from the gateway's own memory, and {cache.service.unit} has {seen}",
            )
        raise CoolingDown(
            "cache-forgets",
            f"{route.name}, asked the same {1 + len(_PAUSES)} times: its backend has answered each time",
        )
    raise CannotCheck(f"no answer from {', '.join(route.name for route in routes)}", code="cache-untried")


async def _ask(route: Route, prompt: str, api: Api) -> Reply:
    path, body = example_request(replace(route, probe=replace(route.probe, prompt=prompt, max_tokens=1)))
    may_be_kept = {"cache": {"use-cache": True, "ttl": _KEPT_SECONDS}}
    reply = await api.post(f"/v1{path}", {**body, "temperature": 0, **may_be_kept}, route.probe.timeout)
    reply.require_ok()
    return reply


async def _look_up(cache: Cache, key: str) -> str:
    """What Redis has under a key."""
    url, password = cache.service.ready_url, cache.password()
    try:
        found = await ask_redis(url, lambda redis: redis.exists(key), _LOOK_TIMEOUT, password)
    except RedisRefuses as refusal:
        return str(refusal)
    except CheckFailed as failed:
        raise CheckFailed("cache-unreachable", str(failed)) from None
    return _IS_THERE if found else _NOTHING


async def _health(context: VerificationContext) -> str:
    """The gateway writes to the cache: it cannot with a wrong password, or if Redis is frozen. It does not report
    whether that stays there."""
    reply = await context.instance_api.get("/cache/ping", _TIMEOUT)
    if reply.status == httpx.codes.SERVICE_UNAVAILABLE or _UNHEALTHY.search(reply.text):
        raise CheckFailed("cache-unhealthy", reply.brief)
    try:
        status = str(reply.json()["status"])
    except (LookupError, TypeError):
        raise CheckFailed("malformed-answer", reply.brief) from None
    if status != "healthy":
        raise CheckFailed("cache-unhealthy", reply.brief)
    return status


async def _is_well(context: VerificationContext) -> bool:
    try:
        await _health(context)
    except CheckFailed:
        return False
    return True
