"""The check that a server is of the declared version: the one that answers, whatever was installed."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

import httpx

from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import Provider
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import quoted

_LONGEST_ANSWER = 10.0
"""Seconds."""


def version_checks(context: VerificationContext) -> Iterator[Coroutine[Any, Any, Check]]:
    """The checks of the servers that say their version, to be awaited."""
    for provider in context.generation.providers:
        if provider.version and provider.traits.version_path:
            unit = provider.service.unit
            claim = Claim(f"unit/{unit}/version", unit, "is the declared version", provider.version)
            yield claim.check(_says(provider, context.client))


async def _says(provider: Provider, client: httpx.AsyncClient) -> str:
    address = httpx.URL(provider.service.ready_url).copy_with(path=provider.traits.version_path)
    try:
        reply = await client.get(address, timeout=_LONGEST_ANSWER)
        found = str(reply.json()["version"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise CannotCheck(f"{address}: {type(error).__name__}") from None
    if found != provider.version:
        raise CheckFailed("version-differs", f"it says that it is {quoted(found)}")
    return found
