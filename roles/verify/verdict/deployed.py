"""What is deployed, as a report tells it: all that a reader needs to find the endpoint and ask it. Nothing secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Endpoint:
    """Where clients ask.

    Attributes:
        url: base URL of the OpenAI interface, from the host itself.
        urls: the same from other machines, one for each address of the host; none = it is asked from the host only.
        unit: what owns its port.
        instances: the gateways behind that unit, if it is none itself.
        key_file: the environment file that holds the key, which every request must carry.
        key_variable: the key's name there.
        cooldown: seconds for which the gateway passes over a backend after a failure.
    """

    url: str
    urls: tuple[str, ...]
    unit: str
    instances: tuple[str, ...]
    key_file: str
    key_variable: str
    cooldown: float


@dataclass(frozen=True)
class DeployedProvider:
    """A model server; `api_base` is where the gateway asks it."""

    name: str
    kind: str
    unit: str
    api_base: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class DeployedRoute:
    """A public name.

    Attributes:
        deployments: who may answer, as the gateway's answers name them.
        fallbacks: the public names that are asked where none of those answers, in order.
        path: where to ask it, below the endpoint's URL, e.g. `/chat/completions`.
        body: a request that it should answer.
    """

    name: str
    aliases: tuple[str, ...]
    mode: str
    deployments: tuple[str, ...]
    fallbacks: tuple[str, ...]
    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Deployed:
    """Attributes:
    scope: `system` or `user`: which systemd manager runs it.
    config: the link to the current generation.
    endpoint: None on a host that runs providers only.
    cache: the unit that keeps the gateway's answers; None = they are not kept.
    installs: name → what it is, with its version, e.g. `vllm 0.32.0`.
    """

    scope: str
    config: str
    endpoint: Endpoint | None
    cache: str | None
    providers: tuple[DeployedProvider, ...]
    routes: tuple[DeployedRoute, ...]
    installs: Mapping[str, str]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """From the JSON that a verdict holds; raises `TypeError`, `KeyError` or `AttributeError` where it is none."""
        endpoint = document["endpoint"]
        return cls(
            **{
                **document,
                "endpoint": Endpoint(**_with_tuples(endpoint)) if endpoint else None,
                "providers": tuple(DeployedProvider(**_with_tuples(each)) for each in document["providers"]),
                "routes": tuple(DeployedRoute(**_with_tuples(each)) for each in document["routes"]),
            }
        )


def _with_tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
