"""The servers of a host plan as others reach them: the gateway, the verifier, and what collects metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roles.contract.abilities import Abilities
from roles.contract.generation import GeneratedVariable
from roles.contract.manifest import PLAIN, CardWeights, KeptModel, Listing, PlannedMemory, Traits
from roles.contract.recipes import Json
from roles.options import GivenSecret, Gpus, Mode, Price, Probe, Secret
from roles.plan.units import EnvValue, ServerUnit


@dataclass(frozen=True)
class Login:
    """The secret that a service requires from its callers: given by the inventory, or made on the host for both sides.
    The two processes that need it know it by variables with names of their own.

    Attributes:
        file: its path if it is made on the host. Its name must identify the unit, and so the variables: a different
            kind of server then gets a different file, and no old file remains that lacks a variable.
        server_variable: the service's name for it.
        client_variable: the gateway's name for it.
    """

    secret: Secret
    file: str
    server_variable: str
    client_variable: str

    @property
    def generated(self) -> tuple[GeneratedVariable, ...]:
        """What is made on the host; empty = it is given."""
        if isinstance(self.secret, GivenSecret):
            return ()
        return (GeneratedVariable(path=self.file, variable=self.server_variable, also=self.client_variable),)

    @property
    def files(self) -> tuple[str, ...]:
        """The environment files outside of the generation that both processes read."""
        return tuple(variable.path for variable in self.generated)

    def given(self, variable: str) -> dict[str, EnvValue]:
        """The variables of a process's own environment file, under that name."""
        return {variable: self.secret} if isinstance(self.secret, GivenSecret) else {}


@dataclass(frozen=True)
class MetricsPage:
    """A page of metrics in Prometheus' format.

    Attributes:
        job: what kind of server has it.
        instance: which one, unique among all pages of the host.
        address: IP address and port.
        path: where on its server.
        parameters: of the request.
        login: the key that requests for it must carry; none = it requires none.
    """

    job: str
    instance: str
    address: str
    path: str = "/metrics"
    parameters: Mapping[str, str] = field(default_factory=dict)
    login: Login | None = None


@dataclass(frozen=True)
class AskedModel:
    """What gateways of other hosts ask a provider for, and the question that verifies it."""

    model: str
    mode: Mode
    probe: Probe


@dataclass(frozen=True, kw_only=True)
class CloudTraits:
    """What LiteLLM must know to ask a cloud in the cloud's own API.

    Attributes:
        parameters: of LiteLLM, besides the model and the key; without `api_base` it knows the address by itself.
        modes: of each model, the kinds of requests that it answers.
        prices: what models cost; for those that are missing LiteLLM's own list says it.
        listing: how it is asked for its models.
        api_version: of Azure's API; empty = for all others.
        fields: for each kind of request, what its body has to have, whatever a client says.
    """

    parameters: Mapping[str, str]
    modes: Mapping[str, tuple[Mode, ...]]
    prices: Mapping[str, Price]
    listing: Listing
    api_version: str = ""
    fields: Mapping[Mode, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A provider as the gateway reaches it.

    Attributes:
        kind: its name in the manifest.
        prefixes: LiteLLM's provider prefix for each of its modes; for chats one that keeps tools and templates.
        api_base: address as those prefixes expect it, with or without `/v1`.
        models: the model names that its requests may use.
        login: the key that requests to it must carry; none = it cannot require one.
        abilities: what it can do with each model beyond plain text; a model that is missing = its server decides.
        metered: its owner may charge for requests.
        cloud: what LiteLLM must know of a cloud; none = it is asked at `api_base` as its prefixes say, and what it
            costs is declared.
        authorities: certificates of authorities, in PEM form, that the gateway must trust; none = the usual ones alone.
        host: the other host of the inventory that runs it; empty = none of them.
        listing: how it is asked for its models, if others or another host run it.
    """

    provider: str
    kind: str
    prefixes: Mapping[Mode, str]
    api_base: str
    models: tuple[str, ...]
    login: Login | None = None
    abilities: Mapping[str, Abilities] = field(default_factory=dict)
    metered: bool = False
    cloud: CloudTraits | None = None
    authorities: str | None = None
    host: str = ""
    listing: Listing = "openai"

    def modes_of(self, model: str) -> tuple[Mode, ...]:
        """The kinds of requests that one of its models answers."""
        return self.cloud.modes[model] if self.cloud else tuple(self.prefixes)


@dataclass(frozen=True, kw_only=True)
class ServerBackend(Backend):
    """A model server of the host.

    Attributes:
        unit: the unit that runs it.
        traits: how it behaves, for the verifier.
        kept_models: the models that it keeps outside of installs.
        tasks: the units without which it does not serve all of its models.
        gpus: the cards that it uses.
        weights: the models of which one is in the memory of its cards; empty = unknown.
        version: what it must answer as, where its traits say how to ask; empty = unknown.
        queue: most requests that it lets wait; none = any number.
        memory: what it takes, as planned; none = nothing is planned.
        asked: what gateways of other hosts ask it for.
    """

    unit: ServerUnit
    traits: Traits = PLAIN
    kept_models: tuple[KeptModel, ...] = ()
    tasks: tuple[str, ...] = ()
    gpus: Gpus | None = None
    weights: tuple[CardWeights, ...] = ()
    version: str = ""
    queue: int | None = None
    memory: PlannedMemory | None = None
    asked: tuple[AskedModel, ...] = ()


@dataclass(frozen=True)
class Beside:
    """A server of a service beside providers, cache and gateway, for the manifest.

    Attributes:
        tasks: the units that it needs.
        traits: how it behaves, for the verifier.
    """

    name: str
    kind: str
    unit: ServerUnit
    tasks: tuple[str, ...] = ()
    traits: Traits = PLAIN
