"""What every service has in common: a name, an address, and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import ClassVar, Literal

from pydantic import Field, SerializeAsAny, field_validator

from roles.options.arguments import OURS
from roles.options.base import Many, Options
from roles.options.environment import VariableName, VariableText, check_variables
from roles.options.gpus import Gpus
from roles.options.money import Budget, Price
from roles.options.secrets import GeneratedSecret, Secret
from roles.options.values import BindAddress, MemorySize, ModelName, Name, Port, Seconds


class Service(Options):
    """A process under systemd that listens on one port."""

    abstract: ClassVar[bool] = True

    name: Name = Field(examples=['name="qwen-coder"'])
    """Name of this instance, part of its unit's name."""
    bind: BindAddress = Field("127.0.0.1", examples=['bind="192.168.7.10"'])
    """Address to listen on. Loopback unless other hosts must reach it."""
    port: Port = Field(examples=["port=8080"])
    """TCP port to listen on."""
    start_timeout: Seconds = Field(120, examples=["start_timeout=600"])
    """Seconds that it may take from start to its first answer."""
    memory_max: MemorySize | None = Field(None, examples=['memory_max="16G"'])
    """Bound on the unit's memory; none = unbounded."""

    @property
    def reachable_at(self) -> str:
        """The address at which a process on the same host reaches it."""
        return "127.0.0.1" if self.bind == "0.0.0.0" else self.bind

    @property
    def is_local(self) -> bool:
        """Whether only processes on its own host can reach it."""
        return IPv4Address(self.bind).is_loopback

    @property
    def addresses(self) -> tuple[tuple[BindAddress, Port], ...]:
        """All addresses and ports that its processes listen on."""
        return ((self.bind, self.port),)

    def __str__(self) -> str:
        return f'{type(self).__name__} "{self.name}"'


_OF_ALL: Mapping[str, str] = {
    **dict.fromkeys(("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), "gpus"),
    **dict.fromkeys(("CUDA_DEVICE_ORDER", "HOME", "PATH", "AI_BACKEND_*"), OURS),
}
"""Variables that no model server may be given."""


class Provider(Options):
    """Whatever answers for one or more models: a model server of the host, or one that others run."""

    abstract: ClassVar[bool] = True

    name: Name = Field(examples=['name="qwen-coder"'])
    """Name of it, by which routes refer to it."""

    def served(self) -> tuple[ModelName, ...]:
        """The models that it serves, as requests to it name them."""
        raise NotImplementedError

    def leaves_for(self, model: ModelName) -> str | None:
        """Where requests for that model go if they leave this host, and the other hosts of the inventory; none = they
        do not. A kind of provider that does not say counts as one that they leave for."""
        return self.name

    def price_of(self, model: ModelName) -> Price | None:
        """What a model costs where a route says nothing; none = nothing."""
        return None

    def __str__(self) -> str:
        return f'{type(self).__name__} "{self.name}"'


class MeteredProvider(Provider):
    """A provider that others run, who may charge for requests."""

    abstract: ClassVar[bool] = True

    metered: bool = Field(True, examples=["metered=False"])
    """Its owner may charge for requests: verifications ask each of its deployments for an answer after a deploy, on
    demand and once a day, and otherwise only for its list of models. While it fails and another deployment or a
    fallback of the route stands in, that is a warning and no failure. `False`: it is verified as the host's own servers
    are."""
    budget: Budget | None = Field(None, examples=['budget=Budget(per="month", usd=50)'])
    """What all requests to it may cost in a period, by the `price` of its deployments, each of which needs one. Once
    that is spent, other deployments and fallbacks answer until the period ends, and where there is none the client gets
    429. It holds for all instances together, as a client's does. None = any
    amount. One with a budget is `metered`."""

    @property
    def is_metered(self) -> bool:
        """Also with a budget: what is spent would otherwise make the host's own verification fail."""
        return self.metered or self.budget is not None


class ModelServer(Service, Provider):
    """A model server: a service of the host that answers for one or more models."""

    abstract: ClassVar[bool] = True

    gpus: Gpus | None = Field(None, examples=['gpus=Gpus(uuids=["GPU-5b3c1f0e-8a57-4d2e-9c41-0f6f2f9f7d10"])'])
    """The graphics cards that it runs on; none = the processor alone."""
    environment: Mapping[VariableName, VariableText] = Field(
        default_factory=dict, examples=['environment={"NCCL_P2P_DISABLE": "1"}']
    )
    """Further variables of its environment, for what no option says. Not for secrets."""

    held_variables: ClassVar[Mapping[str, str]] = {}
    """Variables that an option gives (variable → option) or the plan itself (`OURS`); `*` at the end: all that begin
    so."""

    @field_validator("environment")
    @classmethod
    def _gives_what_no_option_gives(cls, environment: Mapping[str, str]) -> Mapping[str, str]:
        check_variables(environment, {**_OF_ALL, **cls.held_variables})
        return environment

    @property
    def cards(self) -> Gpus | None:
        """The cards that it uses, whether the inventory names them or the installed build implies them."""
        return self.gpus

    def gpu_memory_share(self) -> float | None:
        """The share of each card's memory that it reserves at its start; none = it takes what it needs."""
        return None

    def leaves_for(self, model: ModelName) -> str | None:
        return None


class KeyedProvider(ModelServer):
    """A model server that can require a key. Ollama cannot."""

    abstract: ClassVar[bool] = True

    api_key: SerializeAsAny[Secret] = Field(GeneratedSecret(), examples=['api_key=EnvSecret("BACKEND_API_KEY")'])
    """The key that requests to it must carry; the gateway sends it. None given = made on the host, once."""


class Gateway(Service):
    """The one endpoint in front of all providers."""

    abstract: ClassVar[bool] = True

    default_fallbacks: Many[ModelName] = Field((), examples=['default_fallbacks=["qwen2.5-coder:7b"]'])
    """Public names to try, in order, when a route without `fallbacks` of its own fails; names of another mode than the
    route's are left out."""


class Cache(Service):
    """The gateway's cache for answers; gateways also share their state in it: cooldowns and used-up limits."""

    abstract: ClassVar[bool] = True

    password: SerializeAsAny[Secret] = Field(GeneratedSecret(), examples=['password=EnvSecret("REDIS_PASSWORD")'])
    """The password that requests to it must carry; none given = made on the host, once."""
    responses: Literal["always", "on-request"] = Field("always", examples=['responses="on-request"'])
    """Whether a repeated request gets the cached answer: unless the request says `"cache": {"no-cache": true}`, or only
    if it says `"cache": {"use-cache": true}`."""
    ttl: Seconds = Field(600, examples=["ttl=3600"])
    """Seconds that an answer is cached."""


class Monitor(Service):
    """What collects the metrics of all others, which show theirs once a stack has one."""

    abstract: ClassVar[bool] = True

    front_port: Port = Field(9101, examples=["front_port=9201"])
    """Loopback port at which the gateway's front shows its metrics."""
