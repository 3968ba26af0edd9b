"""What is deployed, as the verdict says it to readers who want to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from roles.contract.modes import MODES
from roles.contract.promise import Promise, Seconds


@dataclass(frozen=True)
class Endpoint:
    """Where clients send requests."""

    url: str
    """Base URL of the OpenAI interface, from the host itself."""
    urls: tuple[str, ...]
    """The same from other machines, one per address of the host; none = only the host itself can reach it."""
    unit: str
    """The unit that owns its port."""
    instances: tuple[str, ...]
    """The gateways behind that unit, if it is not a gateway itself."""
    key_file: str
    """The environment file, on the host, with the key that every request must carry."""
    key_variable: str
    """The key's variable in it."""
    cooldown: Seconds
    """Seconds for which the gateway skips a backend after a failure."""


@dataclass(frozen=True)
class DeployedProvider:
    """What answers for models."""

    name: str
    kind: str
    """e.g. `vllm`."""
    unit: str
    """Empty = others run it."""
    api_base: str
    """Its address for the gateway."""
    models: tuple[str, ...]
    """The model names that its requests may use."""


@dataclass(frozen=True)
class DeployedRoute:
    """A public name."""

    name: str
    aliases: tuple[str, ...]
    """Other names for it."""
    mode: Annotated[str, Promise({"enum": list(MODES)})]
    """The kind of its requests."""
    deployments: tuple[str, ...]
    """The deployments that may answer, as the gateway's answers name them."""
    fallbacks: tuple[str, ...]
    """The public names to try if none of those answers, in order."""
    path: str
    """Where to send requests, below the endpoint's URL, e.g. `/chat/completions`."""
    body: Mapping[str, Any]
    """A request that it should answer."""


@dataclass(frozen=True)
class Deployed:
    """What is deployed: everything that a reader needs to find the endpoint and use it."""

    scope: Annotated[str, Promise({"enum": ["system", "user"]})]
    """Which systemd manager runs it."""
    config: str
    """The link to the current generation."""
    endpoint: Endpoint | None
    """Where clients send requests; null on a host that runs providers only."""
    cache: str | None
    """The unit that caches the gateway's answers; null = they are not cached."""
    providers: tuple[DeployedProvider, ...]
    """The model servers, and those that others run."""
    routes: tuple[DeployedRoute, ...]
    """The public names."""
    installs: Mapping[str, str]
    """Name of an install → what it is, with its version, e.g. `vllm 0.32.0`."""
