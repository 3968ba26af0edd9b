"""The host plan: everything that a stack means for one host, as plain data.

A plan is made without a host and without secrets: it can be printed, compared and stored.
`roles.plan.generation.resolve` fills in what is secret or depends on the host (its Python, its processor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roles.contract.abilities import Abilities
from roles.contract.budgets import Budget
from roles.contract.generation import GeneratedVariable
from roles.contract.manifest import PLAIN, Canary, Front, Tls, Traits
from roles.contract.requests import HostModel
from roles.fit.main_memory import MainPlan, main_plan
from roles.fit.uses import Use
from roles.options import Client, Deployment, Gpus, NvidiaDriver, Route
from roles.plan.backends import Backend, Login, MetricsPage
from roles.plan.installs import CardNeeds, Install, PulledModel
from roles.plan.layout import Layout
from roles.plan.memory import Load
from roles.plan.outbound import OutboundPlan
from roles.plan.units import ServerUnit, TaskUnit, Unit

STAGED_FOLDER = "@generation@"
STAGED_PORT = "@port@"
STAGED_PORTS = (61000, 61009)
"""First and last of the ports for trying out a gateway: beyond those that the kernel gives to connections."""


@dataclass(frozen=True)
class Staging:
    """A trial of the gateway beside the running one, before the host is switched to its generation.

    Attributes:
        unit: name of the transient unit.
        text: its unit file, with `STAGED_FOLDER` for the new generation's folder and `STAGED_PORT` for a spare port.
        environment: name of the install with the Python that sends the requests.
        verifier: name of the install with the program that Python runs.
        ready_path: gives status 200 once it is ready.
        start_timeout: seconds that it may take until then.
        gateways: the units that it tries out: if they run what they should, no trial is needed.
    """

    unit: str
    text: str
    environment: str
    verifier: str
    ready_path: str
    start_timeout: int
    gateways: tuple[str, ...]


@dataclass(frozen=True)
class GatewayPlan:
    """What the manifest says of the gateway.

    Attributes:
        endpoint: the unit that clients talk to.
        instances: the units behind it.
        url: base URL of the endpoint, from the host itself.
        key_file: environment file with the clients' key: below the generation, or absolute if it is not one of the
            generation's files.
        instance_key_file: that with the key that the instances require.
        instance_url: the URL of one of the instances.
        cooldown: seconds for which it skips a backend after a failure.
        cache_cooldown: seconds for which it does not use its cache after failures.
        shares_by_weight: a request goes to any of a route's first deployments, by their weights.
        front: how to ask the endpoint about the instances.
        tls: its TLS side; none = it speaks plain HTTP.
    """

    endpoint: ServerUnit
    instances: tuple[ServerUnit, ...]
    url: str
    key_file: str
    key_variable: str
    instance_key_file: str
    instance_key_variable: str
    instance_url: str
    cooldown: int
    cache_cooldown: int
    shares_by_weight: bool
    front: Front | None
    canary: Canary | None
    tls: Tls | None = None


@dataclass(frozen=True)
class ServicePlan:
    """A service's part of a host plan."""

    units: tuple[Unit, ...]
    installs: tuple[Install, ...] = ()
    packages: tuple[str, ...] = ()
    keep_off: tuple[str, ...] = ()
    """Units that those packages bring, enable and start, and that must not run: ours replace them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path below the generation → text."""
    host_files: tuple[str, ...] = ()
    """Files that must lie on the host already: others keep them."""
    host_models: tuple[HostModel, ...] = ()
    """Models that must be there already, and readable."""
    generated_secrets: tuple[GeneratedVariable, ...] = ()
    backend: Backend | None = None
    """How the gateway reaches a provider."""
    gateway: GatewayPlan | None = None
    """What the verifier needs to know of a gateway."""
    kind: str = ""
    """The manifest's name for any other service."""
    traits: Traits = PLAIN
    """How such a service behaves; a backend has its own traits."""
    login: Login | None = None
    """The secret that a cache requires from the gateway; a backend has its own."""
    gpus: Gpus | None = None
    """The cards that it uses."""
    card_needs: tuple[CardNeeds, ...] = ()
    """What it needs of them."""
    staging: Staging | None = None
    """How the gateway is tried out."""
    loads: tuple[Load, ...] = ()
    """The models that it loads."""
    pulled: tuple[PulledModel, ...] = ()
    """Models that it fetches by itself."""
    pages: tuple[MetricsPage, ...] = ()
    """Its metrics, in a stack with monitoring."""
    prune_commands: tuple[tuple[str, ...], ...] = ()
    """Commands that free what it keeps but is no longer declared, and report what they freed."""

    @property
    def servers(self) -> tuple[ServerUnit, ...]:
        return tuple(unit for unit in self.units if isinstance(unit, ServerUnit))

    @property
    def tasks(self) -> tuple[TaskUnit, ...]:
        return tuple(unit for unit in self.units if isinstance(unit, TaskUnit))


@dataclass(frozen=True)
class DeploymentPlan:
    """One deployment of a route: `id` is LiteLLM's `model_info.id`, which identifies the origin of an answer. What is
    asked of one that is `elsewhere` leaves the host, and the other hosts of its inventory. The `budget` is its
    provider's."""

    id: str
    backend: Backend
    model: str
    options: Deployment
    elsewhere: bool = False
    budget: Budget | None = None


@dataclass(frozen=True)
class RoutePlan:
    """A public name, resolved: its deployments, its aliases, its fallbacks, and what all of its deployments can do."""

    name: str
    deployments: tuple[DeploymentPlan, ...]
    aliases: tuple[str, ...]
    fallbacks: tuple[str, ...]
    context_window_fallbacks: tuple[str, ...]
    content_policy_fallbacks: tuple[str, ...]
    abilities: Abilities
    options: Route

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def is_metered(self) -> bool:
        """Whether a request to it may cost money while all is well."""
        first = min(each.options.order for each in self.deployments)
        return any(each.backend.metered for each in self.deployments if each.options.order == first)


@dataclass(frozen=True)
class ClientPlan:
    """A client of the gateway.

    Attributes:
        names: the public names and aliases that it may use; empty = all.
    """

    name: str
    names: tuple[str, ...]
    options: Client


@dataclass(frozen=True)
class HostPlan:
    """Everything that a stack means for one host."""

    layout: Layout
    packages: tuple[str, ...]
    keep_off: tuple[str, ...]
    """Units of those packages that must not run."""
    installs: tuple[Install, ...]
    files: Mapping[str, str]
    host_files: tuple[str, ...]
    """Files that must lie on the host already."""
    host_models: tuple[HostModel, ...]
    """Models that must be there already, and readable."""
    units: tuple[Unit, ...]
    generated_secrets: tuple[GeneratedVariable, ...]
    gpus: tuple[Gpus, ...]
    """The cards that the host must have, one entry per service that uses any."""
    card_needs: tuple[CardNeeds, ...]
    """What services need of them."""
    driver: NvidiaDriver | None
    """Their driver, if it is part of the deploy."""
    staging: Staging | None
    """How the gateway is tried out before the host is switched."""
    uses: tuple[Use, ...]
    """The models in its providers' memory."""
    card_sizes: Mapping[str, int]
    """UUID → bytes that programs can have of each card, where the inventory declares it; "" = of those not named."""
    main_memory: int | None
    """Bytes of the host's main memory, where the inventory declares them."""
    gateways: int
    """Processes of the gateway, for which main memory is kept."""
    pulled: tuple[PulledModel, ...]
    """Models that servers fetch by themselves."""
    outbound: OutboundPlan | None
    """How it reaches what it fetches; none = directly."""
    prune_commands: tuple[tuple[str, ...], ...]
    """As in the service plans, of all of them."""

    def main_memory_plan(self, size: int | None) -> MainPlan:
        """What its servers take of main memory.

        Args:
            size: bytes that the host has; none = not known.
        """
        return main_plan(self.uses, size, gateways=self.gateways)

    @property
    def servers(self) -> tuple[ServerUnit, ...]:
        return tuple(unit for unit in self.units if isinstance(unit, ServerUnit))

    @property
    def tasks(self) -> tuple[TaskUnit, ...]:
        return tuple(unit for unit in self.units if isinstance(unit, TaskUnit))

    @property
    def users(self) -> tuple[str, ...]:
        """The system users that units run as."""
        return tuple(sorted({unit.user for unit in self.units if unit.user}))
