"""The clouds that the pinned LiteLLM knows by name: what each needs, its models and their list prices.

Data from `tests/litellm_vendors.py`, which reads them from the release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from roles.contract.manifest import Listing
from roles.options import Mode, Price


@dataclass(frozen=True)
class Model:
    """A model in LiteLLM's list of prices.

    Attributes:
        price: none = the list has none for it.
    """

    mode: Mode
    price: Price | None


@dataclass(frozen=True)
class Vendor:
    """A cloud.

    Attributes:
        prefix: LiteLLM's provider prefix.
        address: where it is, with `{region}` if that depends on it; empty = each customer has another one.
        models: the models that LiteLLM's list of prices has of it.
        listing: how it is asked for its models.
        ends_with: what LiteLLM adds to an address of it by itself.
        keeps_nothing: for each kind of request, the fields of its body by which the vendor is asked to keep nothing of
            it. Empty = it takes no such word from a request; a kind that is missing is one of which it keeps nothing.
    """

    prefix: str
    address: str
    models: Mapping[str, Model]
    listing: Listing
    ends_with: tuple[str, ...]
    keeps_nothing: Mapping[Mode, Mapping[str, Any]]


AZURE, BEDROCK = "azure", "bedrock"
_LISTINGS: Mapping[str, Listing] = {
    "anthropic": "anthropic",
    "azure": "azure",
    # Its list is at another address, for which a key for requests to models is not enough.
    "bedrock": "none",
    "gemini": "gemini",
    "ollama_cloud": "ollama",
}
_ADDED: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("/v1", "/v1/messages"),
    "azure": ("/openai", "/openai/v1"),
    "ollama_cloud": ("/v1", "/api", "/api/chat"),
}

_NOT_STORED: Mapping[Mode, Mapping[str, Any]] = {"chat": {"store": False}}
"""Of OpenAI's API. Without it answers of `/v1/responses` are kept for 30 days; embeddings never are, and do not take
the field."""
_OPENROUTER: Mapping[str, Any] = {"provider": {"data_collection": "deny", "zdr": True}}
_VERCEL: Mapping[str, Any] = {"providerOptions": {"gateway": {"zeroDataRetention": True}}}
_KEEPS_NOTHING: Mapping[str, Mapping[Mode, Mapping[str, Any]]] = {
    "azure": _NOT_STORED,
    "openai": _NOT_STORED,
    "openrouter": {"chat": _OPENROUTER, "embedding": _OPENROUTER},
    "vercel_ai_gateway": {"chat": _VERCEL, "embedding": _VERCEL},
}
"""As their documentation has it (November 2026): "Data controls" of OpenAI, "Azure OpenAI Responses API" and "Stored
completions" of Azure, "Provider routing" of OpenRouter and "Zero Data Retention" of Vercel's AI Gateway. With the
others that is a matter of the account or the contract, or they keep nothing anyway."""


@cache
def vendors() -> Mapping[str, Vendor]:
    """All of them, by their names."""
    return {
        name: Vendor(
            prefix=entry["prefix"],
            address=entry["address"],
            models={model: _model(*fields) for model, fields in entry["models"].items()},
            listing=_LISTINGS.get(name, "openai"),
            ends_with=_ADDED.get(name, ()),
            keeps_nothing=_KEEPS_NOTHING.get(name, {}),
        )
        for name, entry in _read()["vendors"].items()
    }


def that_keep_nothing() -> tuple[str, ...]:
    """The names of those that can be asked to."""
    return tuple(_KEEPS_NOTHING)


@cache
def bedrock_regions() -> tuple[str, ...]:
    return tuple(_read()["bedrock_regions"])


def release() -> str:
    """The release of LiteLLM that it was read from."""
    return str(_read()["version"])


def _model(mode: Mode, price_in: float | None, price_out: float | None) -> Model:
    if price_in is None or price_out is None:
        return Model(mode, None)
    return Model(mode, Price(input=price_in, output=price_out))


@cache
def _read() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((files("roles.external") / "vendors.json").read_text())
    return read
