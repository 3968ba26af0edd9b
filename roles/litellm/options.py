"""Options of the LiteLLM gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, model_validator

from roles.litellm.tls import Cors, Tls
from roles.options import BindAddress, Gateway, GeneratedSecret, Many, MemorySize, Name, Network, Port, Seconds, Secret
from roles.plan import GATEWAY_INSTANCES

MOST_INSTANCES = len(GATEWAY_INSTANCES)

_UNSET_ALLOWED_FAILS = 3
"""The default of LiteLLM 1.106.2. It treats this value as unset, even if it is set."""


_FIRST_INSTANCE_PORT = 4001
"""Where the endpoint's port is one that LiteLLM may not listen beside."""


def _differs_from_unset(fails: int) -> int:
    if fails == _UNSET_ALLOWED_FAILS:
        raise ValueError(
            "LiteLLM takes 3, its own default, for not set: a lone deployment would then never cool down, and each "
            "request would pay for its failure; take another number"
        )
    return fails


class LiteLLM(Gateway):
    """LiteLLM's proxy: one OpenAI-compatible endpoint in front of all providers."""

    name: Name = Field("gateway", examples=['name="gateway-2"'])
    """Name of the gateway in messages and reports."""
    port: Port = Field(4000, examples=["port=4443"])
    """TCP port of the endpoint."""
    master_key: SerializeAsAny[Secret] = Field(
        GeneratedSecret(), examples=['master_key=EnvSecret("LITELLM_MASTER_KEY")']
    )
    """The key of the administration and the verifier; none given = made on the host, once. Give people and programs
    keys of their own, with `clients`."""
    request_timeout: Seconds = Field(600, examples=["request_timeout=300"])
    """Seconds that one request to a provider may take (LiteLLM's own default is 6,000)."""
    stream_timeout: Seconds | None = Field(None, examples=["stream_timeout=60"])
    """Seconds that a streamed answer may pause, at its beginning or later; none = as `request_timeout`."""
    routing_strategy: Literal["simple-shuffle", "least-busy", "latency-based-routing", "usage-based-routing-v2"] = (
        Field("simple-shuffle", examples=['routing_strategy="least-busy"'])
    )
    """Which of a route's deployments gets a request: by `weight`, the one with the fewest requests under way, the
    fastest, or the one with the fewest tokens within a minute. `weight` only counts with the first strategy. Only with
    that does a failed request go on to the next deployment; with the others set `retries=1` for that."""
    drop_params: bool = Field(True, examples=["drop_params=False"])
    """Leave out request parameters that a provider does not know; off = such a request is refused."""
    retries: Annotated[int, Field(ge=0)] = Field(0, examples=["retries=1"])
    """Further tries on the same public name before its fallbacks. LiteLLM's default of 2 makes a dead provider cost
    seconds on every request."""
    allowed_fails: Annotated[int, Field(ge=0), AfterValidator(_differs_from_unset)] = Field(
        0, examples=["allowed_fails=2"]
    )
    """Failures within a minute that a deployment may have before its cooldown. With 0 a dead one costs one request's
    time-out, and others answer the next requests at once. A deployment without a substitute has no cooldown."""
    cooldown: Seconds = Field(30, examples=["cooldown=60"])
    """Seconds that the cooldown of a failing deployment lasts."""
    start_timeout: Seconds = Field(180, examples=["start_timeout=300"])
    """Seconds that it may take from start to its first answer (6-18 on an idle machine, more under load)."""
    canary: bool = Field(True, examples=["canary=False"])
    """Offer a model `ai-backend-canary` whose only deployment is dead: a request for it shows at any time that
    fallbacks work, without touching a real one. Only the master key sees it in the list of models; off = fallbacks are
    not verified that way."""
    instances: Annotated[int, Field(ge=1, le=MOST_INSTANCES)] = Field(2, examples=["instances=4"])
    """Processes of LiteLLM behind HAProxy; each uses one core. Two or more are replaced one after the other: a change
    loses no request. Each takes some 330 MB of memory; with only one, requests are refused while it is replaced."""
    first_instance_port: Port | None = Field(None, examples=["first_instance_port=4101"])
    """First of the loopback ports for instances, one after the other; none = the one after `port`, or 4001 if that is
    below 1024."""
    drain_timeout: Seconds | None = Field(None, examples=["drain_timeout=120"])
    """Seconds that the requests under way may take to end when an instance is replaced or stopped; longer ones are cut.
    None = `request_timeout`."""

    max_body: MemorySize = Field("32M", examples=['max_body="64M"'])
    """Most bytes in a request; larger ones are refused before the gateway sees them. LiteLLM keeps a request in its
    memory several times over. Images are part of it, a third larger than their files."""
    max_in_flight: Annotated[int, Field(ge=1)] = Field(128, examples=["max_in_flight=16"])
    """Most requests under way at a time, for each instance; further ones wait."""
    max_waiting: Annotated[int, Field(ge=1)] = Field(512, examples=["max_waiting=64"])
    """Most requests that wait for their turn; further ones get 429 at once."""
    max_wait: Seconds = Field(60, examples=["max_wait=20"])
    """Seconds that a request may wait for its turn; then it gets 503."""
    connections_per_source: Annotated[int, Field(ge=1, le=4000)] = Field(512, examples=["connections_per_source=1024"])
    """Most connections from one address at a time; further ones are closed without an answer."""
    connection_rate: Annotated[int, Field(ge=1)] = Field(100, examples=["connection_rate=200"])
    """Most new connections a second from one address, on average over ten seconds; beyond that, requests get 429.
    Clients that keep their connections open need few."""
    refusals_per_source: Annotated[int, Field(ge=1)] = Field(60, examples=["refusals_per_source=20"])
    """Most requests without a valid key that one address may send within a minute; beyond that, such requests get 429.
    Requests with a valid key are still answered."""
    trusted_networks: Many[Network] = Field((), examples=['trusted_networks=["192.168.7.0/24"]'])
    """Networks to which the three limits above do not apply, such as that of a proxy in front of the endpoint. Loopback
    is always one."""
    tls: Tls | None = Field(
        None,
        examples=[
            'tls=Tls(certificate="/etc/ssl/ai.pem", key="/etc/ssl/private/ai.key", server_name="ai.example.com")'
        ],
    )
    """TLS, with HTTP/2, on the endpoint's port; none = plain HTTP."""
    cors: Cors = Field(Cors(), examples=['cors=Cors(origins=["https://chat.example.com"])'])
    """Which web pages may call the endpoint from a browser; by default all, as they need a key."""

    @property
    def has_low_port(self) -> bool:
        """Whether only a process with a right of root's can listen on the endpoint's port."""
        return self.port < 1024

    @property
    def local_port(self) -> Port | None:
        """The loopback port at which the host itself asks, where TLS is on the other one."""
        return (self.tls.local_port or self.all_instance_ports[-1] + 1) if self.tls else None

    @property
    def local_url(self) -> str:
        """The endpoint's address for the host itself."""
        return f"http://127.0.0.1:{self.local_port}" if self.tls else f"http://{self.reachable_at}:{self.port}"

    @property
    def all_instance_ports(self) -> tuple[Port, ...]:
        """The loopback ports of the most instances that there may be."""
        first = self.first_instance_port or (_FIRST_INSTANCE_PORT if self.has_low_port else self.port + 1)
        return tuple(range(first, first + MOST_INSTANCES))

    @property
    def instance_ports(self) -> tuple[Port, ...]:
        """The loopback ports of the instances."""
        return self.all_instance_ports[: self.instances]

    @property
    def addresses(self) -> tuple[tuple[BindAddress, Port], ...]:
        local = (*self.instance_ports, *([self.local_port] if self.local_port else []))
        return ((self.bind, self.port), *(("127.0.0.1", port) for port in local))

    @property
    def longest_drain(self) -> Seconds:
        return self.drain_timeout or self.request_timeout

    @model_validator(mode="after")
    def _instances_have_ports(self) -> LiteLLM:
        first, last = self.instance_ports[0], self.all_instance_ports[-1]
        if last > 65535:
            raise ValueError("the instances' ports end beyond 65535; give a lower `first_instance_port`")
        if self.port in self.all_instance_ports:
            raise ValueError(
                f"its instances may listen on ports {first} to {last}, one of which is the endpoint's own `port`; "
                "give another `first_instance_port`"
            )
        if self.local_port in (self.port, *self.all_instance_ports) or (self.local_port or 0) > 65535:
            raise ValueError(
                f"the host itself would ask at port {self.local_port}, which is "
                f"{'beyond 65535' if (self.local_port or 0) > 65535 else 'taken by another of its own'}; "
                "give another `local_port` of its Tls"
            )
        return self
