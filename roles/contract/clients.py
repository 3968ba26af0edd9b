"""The clients: what a generation says of them, and how their keys are made on a host."""

from __future__ import annotations

from dataclasses import dataclass

from roles.contract.budgets import Budget
from roles.contract.generation import Scope
from roles.contract.requests import ChangeRequest, Request

CLIENTS_FILE = "clients.json"
"""Path, below the generation, of what each client may do: `Clients`, without keys."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may do.

    Attributes:
        models: the public names and aliases that it may use; empty = all.
        rpm, tpm, max_parallel: most requests and tokens within a minute, most requests at the same time; none = any.
        budget: what it may spend; none = any amount.
        expires: the last day on which its key is valid, in ISO 8601; none = it does not expire.
    """

    name: str
    models: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    max_parallel: int | None = None
    budget: Budget | None = None
    expires: str | None = None


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The file of the clients."""

    clients: tuple[Limits, ...]


@dataclass(frozen=True, kw_only=True)
class ReadKeys(Request):
    """Print, as JSON, which clients of the generation that runs have a key: `KeysState`."""

    program = "generations.client_keys"

    scope: Scope
    config: str


@dataclass(frozen=True, kw_only=True)
class KeysState:
    """Attributes:
    with_key: the clients whose key the front accepts, unless it has expired.
    without_key: those whose key must be made.
    """

    with_key: tuple[str, ...]
    without_key: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MakeKeys(ChangeRequest):
    """Make the keys that are missing, and print each. What stays on the host are their digests.

    Attributes:
        config: the link to the generation that runs.
        rotate: the client that gets a new key; its former one is refused once the new one is valid.
    """

    program = "generations.make_keys"

    scope: Scope
    config: str
    rotate: str | None = None
