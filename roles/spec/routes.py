"""Routes: which public model name is answered by which provider."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roles.spec.options import Many, Options
from roles.spec.values import Mode, ModelName, Name, Seconds


class Deployment(Options):
    """One provider's model behind a public name."""

    provider: Name
    """Name of the provider instance."""
    model: ModelName | None = None
    """Model of that provider; none = the only one it serves."""
    weight: Annotated[int, Field(ge=1)] = 1
    """Share of the requests among the route's deployments of the same order."""
    order: Annotated[int, Field(ge=1)] = 1
    """Deployments of a higher order are used only while all of the lower ones fail."""


class Probe(Options):
    """The question that the verifier asks a route."""

    prompt: str = "Who are you? Answer in one short sentence."
    """What is asked."""
    expects: str | None = None
    """Words that the answer must hold (upper and lower case alike); none = any words will do."""
    max_tokens: Annotated[int, Field(ge=1)] = 64
    """Longest answer, in tokens. Reasoning models need room to think before they speak."""
    timeout: Seconds = 120
    """Seconds that one answer may take."""


class Route(Options):
    """A public model name and what answers it."""

    name: ModelName
    """The name that clients ask for."""
    deployments: Annotated[Many[Deployment], Field(min_length=1)]
    """Who answers, in order."""
    fallbacks: Many[ModelName] = ()
    """Public names that are asked, in order, when every deployment of this one fails."""
    mode: Mode = "chat"
    """What kind of requests it answers."""
    probe: Probe = Probe()
    """How the verifier proves it."""
