"""The host plan: everything that a stack means for one host, as plain data.

A plan is made without a host and without secrets: it can be printed, compared and stored.
`roles.plan.generation.resolve` fills in what is secret or depends on the host (its Python, its processor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from roles.contract.abilities import Abilities
from roles.contract.generation import Drain, GeneratedVariable, Live, PlatformKey
from roles.contract.manifest import PLAIN, Canary, CardWeights, Front, KeptModel, PlannedMemory, Tls, Traits
from roles.contract.recipes import Recipe
from roles.contract.requests import HostModel
from roles.fit.main_memory import MainPlan, main_plan
from roles.fit.uses import Use
from roles.options import Client, Deployment, GivenSecret, Gpus, Mode, NvidiaDriver, Route, Secret
from roles.plan.layout import Layout
from roles.plan.memory import Load
from roles.plan.outbound import OutboundPlan, ProxyLogin


@dataclass(frozen=True)
class DigestOf:
    """A variable that has only the digest of a secret: the host need not know more of it."""

    secret: GivenSecret


EnvValue: TypeAlias = str | GivenSecret | DigestOf | ProxyLogin
MEGABYTE = 10**6

STOP_SECONDS = 60
"""How long a unit's stop may take before systemd kills it, unless set otherwise."""


@dataclass(frozen=True)
class Install:
    """Something that is installed once, into a folder named by its digest, beside what is running.

    Attributes:
        name: its name in units: `<config>/install/<name>` links to its folder.
        title: shown to people while it is made.
        recipe: everything that its content depends on; its type says which installer makes it.
        needs: names of the installs that its recipe refers to.
        platform: facts of the host that its content depends on too.
        disk: bytes that it takes in the installs' folder, roughly, as measured on Debian 12.
        work_disk: bytes that making it takes in the cache, likewise, with empty caches.
        token: what fetching it needs. Its content does not depend on it.
        sent_from: path on the control machine of the file that is sent for it. Its content does not depend on it.
        machine: the processor that its programs are for, as `uname -m` prints it; none = any, or not known.
        cpu_flags: what an x86_64 processor must be able to for them, as /proc/cpuinfo names it.
        copies: how many copies of a model its server makes beside it, at most at one time. Likewise.
    """

    name: str
    title: str
    recipe: Recipe
    needs: tuple[str, ...] = ()
    platform: tuple[PlatformKey, ...] = ()
    disk: int = 0
    work_disk: int = 0
    token: GivenSecret | None = None
    sent_from: str | None = None
    machine: str | None = None
    cpu_flags: tuple[str, ...] = ()
    copies: int = 0

    @property
    def kind(self) -> str:
        return self.recipe.kind


@dataclass(frozen=True)
class PulledModel:
    """A model that a server fetches by itself from a registry, as OCI's distribution specification has them.

    Attributes:
        name: as the inventory has it.
        manifest_url: address of its manifest; its parts are below `blobs` beside `manifests`.
        digest: SHA-256 of the manifest; none = whatever the name refers to.
    """

    name: str
    manifest_url: str
    digest: str | None


@dataclass(frozen=True, kw_only=True)
class CardNeeds:
    """What a server needs of its cards and their driver.

    Attributes:
        what: what needs it, for people.
        gpus: the cards that it uses.
        count: how many of them at least.
        fewer: what to do with fewer.
        driver: NVIDIA's oldest driver; none = any.
        older: what to do with an older one, if no newer one is installed.
        capability: the lowest compute capability; none = any.
        instead: what to do with a lower one.
        toolkit: the CUDA toolkit of the host that compiles it: its folder, or empty for the one on PATH or in NVIDIA's
            folder; none = it needs none of the host's.
        compiles_for: whether that compiles for the cards of the host, and not for architectures that were given.
        shared_memory: bytes in /dev/shm.
    """

    what: str
    gpus: Gpus
    count: int = 1
    fewer: str = ""
    driver: str | None = None
    older: str = ""
    capability: str | None = None
    instead: str = ""
    toolkit: str | None = None
    compiles_for: bool = True
    shared_memory: int = 0


@dataclass(frozen=True)
class Endpoint:
    """Where a unit listens: the TCP port that it must own on address `bind`, and an address on its own host that gives
    status 200 once it is ready, or a `redis://` one that answers a PING.

    `local_port` is a further port of it, on loopback, for its own host, and `metrics_port` one with its metrics, for
    what collects them; none = it has none.
    """

    bind: str
    port: int
    ready_url: str
    local_port: int | None = None
    metrics_port: int | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, *(port for port in (self.local_port, self.metrics_port) if port))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit, and everything that its process depends on: one of the four types below.

    Attributes:
        name: file name, e.g. `llama-server@native.service`.
        text: the unit file, with a placeholder for the unit's digest.
        environment: the variables of its `environment_file`, which has mode 0600; empty = it has none.
        reads: files of the generation that the process reads when it starts.
        installs: names of the installs that it runs from.
        start_timeout: seconds that a server may take until its first answer, and a task between two signs of progress.
        stop_timeout: seconds that its stop may take.
        user: the system user that it runs as; none = a dynamic one, which exists only while it runs.
    """

    kind: ClassVar[Literal["server", "task", "timer", "triggered"]]

    name: str
    text: str
    environment: Mapping[str, EnvValue] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    installs: tuple[str, ...] = ()
    start_timeout: int
    stop_timeout: int = STOP_SECONDS
    user: str | None = None

    @property
    def environment_file(self) -> str:
        """Its path below the generation's folder."""
        return f"env/{self.name}.env"

    @property
    def all_environment(self) -> Mapping[str, EnvValue]:
        """All variables of its `environment_file`."""
        return self.environment


@dataclass(frozen=True, kw_only=True)
class ServerUnit(Unit):
    """It runs permanently and answers at its endpoint.

    Attributes:
        callers: the users, besides root, that may connect to it from this host, as it requires no login; none = it
            requires one from every caller.
        drain: how its requests are drained before a restart. Units with one are restarted one after the other.
        live: how a change of its `live_environment` is applied while it runs.
        live_environment: further variables of its `environment_file`, which it also reads at its start: a change of
            them does not restart it.
    """

    kind = "server"

    endpoint: Endpoint
    callers: tuple[str, ...] | None = None
    drain: Drain | None = None
    live: Live | None = None
    live_environment: Mapping[str, EnvValue] = field(default_factory=dict)

    @property
    def all_environment(self) -> Mapping[str, EnvValue]:
        return {**self.environment, **self.live_environment}


@dataclass(frozen=True, kw_only=True)
class TaskUnit(Unit):
    """It does something and ends, but stays active: it writes the digest that it ran with to its `done_file`.

    Attributes:
        effect_command: prints its effect. The task writes that beside its `done_file`, and must run again if the
            command prints something else; empty = the effect is not checked.
        last: it is restarted once all others run what they should.
    """

    kind = "task"

    effect_command: tuple[str, ...] = ()
    last: bool = False

    @property
    def done_file(self) -> str:
        """Where it writes its digest, below its systemd manager's folder for runtime files."""
        return f"{runtime_folder(self.name)}/done"


@dataclass(frozen=True, kw_only=True)
class TimerUnit(Unit):
    """It starts another unit at intervals, or when files change. It has no process, and so shows no digest."""

    kind = "timer"


@dataclass(frozen=True, kw_only=True)
class TriggeredUnit(Unit):
    """Only a `TimerUnit` starts it, and no deploy waits for it."""

    kind = "triggered"


def runtime_folder(unit: str) -> str:
    """The unit's own `RuntimeDirectory=`."""
    return f"ai-backend-{unit.removesuffix('.service').removeprefix('ai-backend-')}"


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
    """

    provider: str
    kind: str
    prefixes: Mapping[Mode, str]
    api_base: str
    models: tuple[str, ...]
    login: Login | None = None
    abilities: Mapping[str, Abilities] = field(default_factory=dict)
    metered: bool = False


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
    """One deployment of a route: `id` is LiteLLM's `model_info.id`, which identifies the origin of an answer."""

    id: str
    backend: Backend
    model: str
    options: Deployment


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
