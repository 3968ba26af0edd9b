"""The lists of models of servers that others run: how each is asked, and what its answer says."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from roles.contract.manifest import Listing
from roles.verify.generation import External
from roles.verify.verdict.claim import CannotCheck, CheckFailed
from roles.verify.verdict.quoting import quoted

_LONGEST = 20.0
"""Seconds that a list of models may take, over a network that is not ours."""
_REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_NO_LIST = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED)
"""Answers of a server that has no list of its models: it is reached, and more is not known."""
_WRONG_KEY = ("API_KEY_INVALID", "API key expired")
"""From Gemini's refusal of a key, with status 400."""


@dataclass(frozen=True)
class _Manner:
    """How one API is asked.

    Attributes:
        path: below the address, with a place for `api_version`.
        key: the headers with the key.
        lists_ours: the names in the list are those that requests use.
    """

    path: str
    key: Callable[[str], Mapping[str, str]]
    lists_ours: bool = True


def _bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


_MANNERS: Mapping[Listing, _Manner] = {
    "openai": _Manner("/models", _bearer),
    "anthropic": _Manner("/v1/models?limit=1000", lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"}),
    "gemini": _Manner("/models?pageSize=1000", lambda key: {"x-goog-api-key": key}),
    # It lists what may be deployed there, and not the deployments.
    "azure": _Manner("/openai/models?api-version={}", lambda key: {"api-key": key}, lists_ours=False),
    "ollama": _Manner("/v1/models", _bearer),
    "none": _Manner("", lambda _: {}),
}


async def ask_for_models(external: External, client: httpx.AsyncClient) -> str:
    """What a server that others run says of its models: no answer of a model is asked for.

    Raises:
        CheckFailed: it is not reached, or refuses the key or the request.
        CannotCheck: the key cannot be read.
    """
    key, manner = external.key(), _MANNERS[external.listing]
    address = external.api_base + manner.path.format(external.api_version)
    headers = manner.key(key) if key else {}
    try:
        if external.ca_file is None:
            reply = await client.get(address, headers=headers, timeout=_LONGEST)
        else:
            async with httpx.AsyncClient(verify=_trusting(external.ca_file), trust_env=False) as own:
                reply = await own.get(address, headers=headers, timeout=_LONGEST)
    except httpx.HTTPError as error:
        raise CheckFailed("external-unreachable", f"{external.api_base}: {error or type(error).__name__}") from None
    if external.listing == "none":
        return f"it answers, and is not asked for a list of its models ({reply.status_code})"
    _require_good(reply, external)
    if reply.status_code in _NO_LIST:
        return f"it answers, and has no list of its models ({reply.status_code})"
    try:
        listed = _names(reply.json())
    except (ValueError, LookupError, TypeError, AttributeError):
        return "it answers, and has no list of its models"
    # Some list no aliases: whether it answers as one shows when it is asked.
    missing = sorted({*external.models} - listed) if manner.lists_ours else []
    return f"{len(listed)} models" + (f"; not listed: {', '.join(missing)}" if missing else "")


def _trusting(authorities: Path) -> ssl.SSLContext:
    """The usual authorities, and those of a file.

    Raises:
        CannotCheck: the file cannot be read.
    """
    context = httpx.create_ssl_context(trust_env=False)
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        raise CannotCheck(f"{authorities}: {error.strerror or error}") from None
    return context


def _require_good(reply: httpx.Response, external: External) -> None:
    said = f"{external.api_base} answers {reply.status_code}"
    if reply.status_code in _REFUSED or (
        reply.status_code == httpx.codes.BAD_REQUEST and any(words in reply.text for words in _WRONG_KEY)
    ):
        raise CheckFailed("external-key-refused", said)
    if reply.status_code == httpx.codes.TOO_MANY_REQUESTS:
        after = reply.headers.get("Retry-After")
        raise CheckFailed("external-limited", f"{said}, to be asked again after {quoted(after)} s" if after else said)
    if reply.status_code not in (httpx.codes.OK, *_NO_LIST):
        raise CheckFailed("external-refuses", said)


def _names(read: Any) -> set[str]:
    """Names in a list: of OpenAI's form, which Anthropic's has too, or of Gemini's."""
    if "data" in read:
        return {str(model["id"]) for model in read["data"]}
    return {str(model["name"]).removeprefix("models/") for model in read["models"]}
