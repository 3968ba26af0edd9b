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
    """

    prefix: str
    address: str
    models: Mapping[str, Model]
    listing: Listing
    ends_with: tuple[str, ...]


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
        )
        for name, entry in _read()["vendors"].items()
    }


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
