"""Options of the LiteLLM gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SerializeAsAny

from roles.spec import Gateway, GeneratedSecret, Name, Port, Seconds, Secret


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
    retries: Annotated[int, Field(ge=0)] = 0
    """Further tries on the same public name before its fallbacks are asked. LiteLLM's default of 2 makes a dead
    provider cost seconds on every request."""
    allowed_fails: Annotated[int, Field(ge=0)] = 1
    """Failures within a minute after which a deployment rests. Without it a lone deployment never rests."""
    cooldown: Seconds = 30
    """Seconds that a failing deployment rests."""
    start_timeout: Seconds = 180
    """Seconds that it may take from start to its first answer (6-18 on an idle machine, more under load)."""
