"""Options of the LiteLLM gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SerializeAsAny

from roles.spec import Gateway, GeneratedSecret, Name, Port, Seconds, Secret

_UNSET_ALLOWED_FAILS = 3
"""What LiteLLM 1.106.2 has where nothing is set, and takes for that also where it is set."""


def _can_be_told_from_unset(fails: int) -> int:
    if fails == _UNSET_ALLOWED_FAILS:
        raise ValueError(
            "LiteLLM takes 3, its own default, for not set: a lone deployment would then never rest, and each request "
            "would pay for its failure; take another number"
        )
    return fails


class LiteLLM(Gateway):
    """LiteLLM's proxy: one OpenAI-compatible endpoint in front of all providers."""

    name: Name = "gateway"
    """Name of the gateway in messages and reports."""
    port: Port = 4000
    """TCP port of the endpoint."""
    master_key: SerializeAsAny[Secret] = GeneratedSecret()
    """The key that clients send; none given = made on the host, once."""
    request_timeout: Seconds = 600
    """Seconds that one request to a provider may take (LiteLLM's own default is 6,000)."""
    stream_timeout: Seconds | None = None
    """Seconds that a streamed answer may pause, at its beginning or later; none = as `request_timeout`."""
    routing_strategy: Literal["simple-shuffle", "least-busy", "latency-based-routing", "usage-based-routing-v2"] = (
        "simple-shuffle"
    )
    """Which of a route's deployments gets a request: by `weight`, the one with the fewest requests under way, the
    fastest, or the one with the fewest tokens within a minute. `weight` counts with the first alone, and only with it
    does a request go on to the next deployment when one fails; with the others set `retries=1` for that."""
    drop_params: bool = True
    """Leave out what a request asks for and a provider does not know; off = such a request is refused."""
    retries: Annotated[int, Field(ge=0)] = 0
    """Further tries on the same public name before its fallbacks are asked. LiteLLM's default of 2 makes a dead
    provider cost seconds on every request."""
    allowed_fails: Annotated[int, Field(ge=0), AfterValidator(_can_be_told_from_unset)] = 0
    """Failures within a minute that a deployment may have before it rests. With 0 a dead one costs one request's
    time-out, and the next are answered by others at once. One that nobody can stand in for never rests."""
    cooldown: Seconds = 30
    """Seconds that a failing deployment rests."""
    start_timeout: Seconds = 180
    """Seconds that it may take from start to its first answer (6-18 on an idle machine, more under load)."""
