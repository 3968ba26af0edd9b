"""Options of the LiteLLM gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from roles.options import BindAddress, Gateway, GeneratedSecret, Many, MemorySize, Name, Network, Port, Seconds, Secret

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
    canary: bool = True
    """Offer a model `ai-backend-canary` whose only deployment is dead: asking for it shows that fallbacks work, at any
    time, without touching a real one. Clients see it in the list of models; off = that is not verified."""
    instances: Literal[1, 2] = 2
    """Processes of LiteLLM behind HAProxy. Two are replaced one after the other: a change loses no request. One saves
    some 330 MB of memory, and nobody answers while it is replaced."""
    first_instance_port: Port | None = None
    """First of the two loopback ports for instances; none = the one after `port`."""
    drain_timeout: Seconds | None = None
    """Seconds that the requests under way may take to end when an instance is replaced or stopped; those that take
    longer are cut. None = `request_timeout`."""

    max_body: MemorySize = "32M"
    """Bytes that a request may have; a larger one is refused before the gateway sees it. LiteLLM keeps a request in its
    memory several times over. Pictures travel in it, by a third longer than their files."""
    connections_per_source: Annotated[int, Field(ge=1, le=4000)] = 512
    """Connections that one address may have at a time; further ones are closed without a word."""
    connection_rate: Annotated[int, Field(ge=1)] = 100
    """New connections a second, on average over ten seconds, that one address may open; beyond it requests are answered
    429. Clients that keep their connections open need few."""
    refusals_per_source: Annotated[int, Field(ge=1)] = 60
    """Requests without a valid key within a minute that one address is told so; beyond it they are answered 429. Those
    with a valid key are answered all the same."""
    trusted_networks: Many[Network] = ()
    """Networks to which the three bounds above do not apply, such as that of a proxy in front of the endpoint. Loopback
    is always one."""

    @property
    def all_instance_ports(self) -> tuple[Port, ...]:
        """The loopback ports of as many instances as there may be."""
        first = self.first_instance_port or self.port + 1
        return (first, first + 1)

    @property
    def instance_ports(self) -> tuple[Port, ...]:
        """The loopback ports of the instances."""
        return self.all_instance_ports[: self.instances]

    @property
    def addresses(self) -> tuple[tuple[BindAddress, Port], ...]:
        return ((self.bind, self.port), *(("127.0.0.1", port) for port in self.instance_ports))

    @property
    def longest_drain(self) -> Seconds:
        return self.drain_timeout or self.request_timeout

    @model_validator(mode="after")
    def _instances_have_ports(self) -> LiteLLM:
        first, last = self.all_instance_ports
        if last > 65535:
            raise ValueError("the instances' ports end beyond 65535; give a lower `first_instance_port`")
        if self.port in (first, last):
            raise ValueError(
                f"its instances would listen on ports {first} to {last}, one of which is the endpoint's own `port`; "
                "give another `first_instance_port`"
            )
        return self
