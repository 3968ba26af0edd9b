"""The manifest: a generation's description of itself for the verifier, in two files.

`roles.plan.manifest` writes them, `roles.verify.generation` reads them. The keys in the files are the names of the
fields here; a field with a default may be missing in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roles.contract.abilities import UNKNOWN, Abilities
from roles.contract.budgets import Budget
from roles.contract.modes import Mode
from roles.contract.speeds import WhenSlower

PROVIDERS_FILE = "providers.yaml"
"""Path, below the generation, of the servers and their addresses: `Providers`."""
MODELS_FILE = "model-mappings.yaml"
"""Path, below the generation, of the public names: `Models`."""
DIGESTS_FILE = "digests.json"
"""Where a task that brings models writes their digests, beside its done file: name → digest."""

Scope: TypeAlias = Literal["system", "user"]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A unit and the address that it must own.

    Attributes:
        ready_url: gives status 200, or as `redis://` answers a PING, once the server is ready.
        start_timeout: seconds that it may take from its start until then.
    """

    unit: str
    bind: str
    port: int
    ready_url: str
    start_timeout: float


@dataclass(frozen=True)
class ModelList:
    """Where a server lists models over HTTP: `{"models": [{"name": …, "digest": …}, …]}`.

    Attributes:
        path: asked with GET, without a key.
        items: the key of the list.
        name, digest: keys of an item.
        default_tag: the tag of a name without one; empty = names have no tags.
    """

    path: str
    items: str = "models"
    name: str = "name"
    digest: str = "digest"
    default_tag: str = ""


@dataclass(frozen=True)
class Traits:
    """How a kind of server behaves, as far as the verifier must know it. The plan of its room declares it.

    Attributes:
        talks_to_itself: its processes listen on further loopback ports, for each other.
        listens_elsewhere: why it may listen on all addresses on further ports, for reports; empty = it may not.
        fills_cards: it puts a part of its model on each of its cards.
        loaded_models: it loads models on demand, and lists those in memory here; none = its models are in memory as
            long as it runs.
        kept_models: it keeps models of its own, outside of installs, and lists them here; none = it keeps none.
        version_path: it says its version here, asked with GET, without a key: `{"version": …}`; empty = nowhere.
    """

    talks_to_itself: bool = False
    listens_elsewhere: str = ""
    fills_cards: bool = False
    loaded_models: ModelList | None = None
    kept_models: ModelList | None = None
    version_path: str = ""


PLAIN = Traits()
"""A server that listens only where it is declared, and whose models are in memory as long as it runs."""


@dataclass(frozen=True)
class KeptModel:
    """A model that a server must keep. Digest none = the one that it had when a task brought it."""

    name: str
    digest: str | None = None


@dataclass(frozen=True)
class Gpus:
    """The cards that a server uses: those of the UUIDs; none given = those of the host that it needs."""

    vendor: str
    uuids: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardWeights:
    """A model whose layers must be in the memory of cards.

    Attributes:
        file: its GGUF file on the host.
        layers: how many of them, counted from the last, with the output as one; none = all.
        if_free: as many as fit: if there is no room, fewer are fine too.
    """

    file: str
    layers: int | None = None
    if_free: bool = False


@dataclass(frozen=True)
class PlannedModel:
    """What the memory plan says of a model.

    Attributes:
        model: as its server lists it; of what is loaded beside a model, as messages call it.
        card: bytes of all its cards together; none = it is on no card, or not known.
        main: bytes of main memory; none = not known.
        unknown: why not all of it is known; empty = it is.
    """

    model: str
    card: int | None = None
    main: int | None = None
    unknown: str = ""


@dataclass(frozen=True)
class PlannedMemory:
    """What the memory plan says of a server.

    Attributes:
        at_once: so many of its models are loaded at the same time; none = all.
        share: of each of its cards that it reserves, whatever its models take; none = it takes what they need.
        grows: bytes of main memory that it may take besides, as it is used; none = any number.
    """

    models: tuple[PlannedModel, ...] = ()
    at_once: int | None = None
    share: float | None = None
    grows: int | None = 0


@dataclass(frozen=True)
class Probe:
    """The question that verifies a route; `timeout` in seconds. A reranker sorts the `documents`."""

    prompt: str
    expects: str | None
    max_tokens: int
    timeout: float
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskedModel:
    """A model of a server, the kind of requests that gateways of other hosts send for it, and the question to verify
    it."""

    model: str
    mode: Mode
    probe: Probe


@dataclass(frozen=True, kw_only=True)
class NamedServer(Server):
    """A service of the stack.

    Attributes:
        kind: what it runs, e.g. `vllm`, for reports.
        tasks: the units without which it does not serve everything that it should.
    """

    name: str
    kind: str
    tasks: tuple[str, ...] = ()
    traits: Traits = PLAIN


@dataclass(frozen=True, kw_only=True)
class Provider(NamedServer):
    """A model server.

    Attributes:
        api_base: address for the gateway.
        models: the model names that its requests may use.
        kept_models: the models that it must keep.
        gpus: none = it computes on the processor.
        weights: the models of which one is in the memory of its cards; empty = unknown.
        version: the declared one, which it says that it is; empty = unknown.
        queue: most requests that it lets wait: it refuses further ones; none = any number.
        memory: what it takes, as planned; none = nothing is planned.
        asked: what gateways of other hosts ask it for.
        key_file, key_variable: where the key is that it requires of them: a path below the generation; empty = it
            requires none.
    """

    api_base: str
    models: tuple[str, ...]
    kept_models: tuple[KeptModel, ...] = ()
    gpus: Gpus | None = None
    weights: tuple[CardWeights, ...] = ()
    version: str = ""
    queue: int | None = None
    memory: PlannedMemory | None = None
    asked: tuple[AskedModel, ...] = ()
    key_file: str = ""
    key_variable: str = ""


AUTHORITIES_FILE = "authorities.pem"
"""In a generation: the certificates of authorities that the inventory names for servers that others run."""

Listing: TypeAlias = Literal["openai", "anthropic", "gemini", "azure", "ollama", "none"]
"""Whose way it is to ask a server that others run for its models; `none` = it cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class External:
    """A provider that others run, or another host of the inventory.

    Attributes:
        kind: how it is declared, for reports.
        api_base: address for the gateway.
        models: the model names that its requests may use.
        metered: its owner may charge for requests.
        host: the other host of the inventory that runs it; empty = none of them.
        key_file, key_variable: where its key is: a path below the generation; empty = it requires none.
        listing: how it is asked for its models.
        api_version: of Azure's API; empty = for all others.
        ca_file: authorities to trust with it beside the usual ones: a path below the generation; empty = none.
    """

    name: str
    kind: str
    api_base: str
    models: tuple[str, ...]
    metered: bool
    host: str = ""
    key_file: str = ""
    key_variable: str = ""
    listing: Listing = "openai"
    api_version: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class Task:
    """A unit that does something after each start of the host or of its service, and ends.

    Attributes:
        done_file: where it writes its digest once it is done, below the runtime folder of its manager.
        start_timeout: seconds to wait for it.
        effect_command: prints its effect, which must equal what it wrote beside its `done_file`; empty = the effect
            cannot be checked.
    """

    unit: str
    done_file: str
    start_timeout: float
    effect_command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Front:
    """How to ask HAProxy, in front of the gateway's instances, which of them get requests.

    Attributes:
        socket: its runtime socket, below the runtime folder of the systemd manager.
        backend: its name of the group of instances.
        servers: its names of the instances.
        keys: its map of the digests of the keys, as in `roles.contract.generation.Live`; empty = a generation of an
            earlier version, which has none.
        key_files: the environment files that the map is made of, as paths below the generation or absolute ones; any
            but the last may be missing.
    """

    socket: str
    backend: str
    servers: tuple[str, ...]
    keys: str = ""
    key_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Canary:
    """A model of the gateway whose only deployment is dead, and the route that it falls back to."""

    name: str
    route: str


@dataclass(frozen=True)
class Tls:
    """TLS on the endpoint's port.

    Attributes:
        certificate: the file on the host whose first certificate must be the served one.
        server_name: the DNS name by which clients know the endpoint.
        warn_days: days before the certificate's end from which on it is due.
        local_port: where the endpoint speaks plain HTTP, on loopback, for the host itself.
        renewal: the unit that gives the endpoint a renewed certificate.
        watch: the unit that starts that one.
    """

    certificate: str
    server_name: str
    warn_days: int
    local_port: int
    renewal: str
    watch: str


@dataclass(frozen=True, kw_only=True)
class Gateway(Server):
    """The endpoint that clients talk to, and the processes behind it.

    Attributes:
        key_file, key_variable: where the clients' key is: a path below the generation, or an absolute one of a file
            outside of it. Through the lasting link, a generation would be tested with the key of another.
        instance_key_file, instance_key_variable: where the key is that the instances require.
        instance_url: the URL of one of the instances.
        cooldown: seconds for which it skips a backend after a failure.
        metrics_port: where the endpoint's process shows its metrics, on loopback; none = nowhere.
    """

    url: str
    key_file: str
    key_variable: str
    instance_key_file: str
    instance_key_variable: str
    instance_url: str
    cooldown: float
    instances: tuple[Server, ...] = ()
    front: Front | None = None
    canary: Canary | None = None
    tls: Tls | None = None
    metrics_port: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cache(Server):
    """The server that caches the gateway's answers.

    Attributes:
        cooldown: seconds for which the gateway does not use it after failures.
        password_file, password_variable: where its password is; none = it requires none.
    """

    cooldown: float
    password_file: str | None = None
    password_variable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Providers:
    """The file of the servers and their addresses.

    Attributes:
        disks: folders on whose file systems the stack writes.
        state: the folder of the host's history and of its kept verdicts.
        timer: the unit by which the host verifies itself.
        gateway: none on a host that runs providers only.
        services: those beside providers, cache and gateway.
        externals: the providers of routes that others run.
    """

    scope: Scope
    disks: tuple[str, ...]
    state: str
    timer: str
    gateway: Gateway | None = None
    cache: Cache | None = None
    providers: tuple[Provider, ...]
    services: tuple[NamedServer, ...] = ()
    tasks: tuple[Task, ...]
    externals: tuple[External, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """One backend of a route: the gateway's answers name `id` and `api_base` as their origin. Those of the lowest
    `order` share the requests; others wait for these to fail. A `metered` one is not asked more often than needed. What
    is asked of one that is `elsewhere` leaves the host, and the other hosts of its inventory. The `budget` is its
    provider's: what all requests there may cost; none = any amount."""

    id: str
    api_base: str
    provider: str
    weight: float = 1
    order: int = 1
    model: str = ""
    metered: bool = False
    elsewhere: bool = False
    budget: Budget | None = None


@dataclass(frozen=True)
class SpeedBounds:
    """How fast a route must be: at least so many tokens a second for one client, the first token after at most so many
    seconds; none = no bound but its speed before."""

    when_slower: WhenSlower = "report"
    tokens_per_second: float | None = None
    first_token: float | None = None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A public name and its deployments.

    Attributes:
        balance: requests are distributed over the deployments of the lowest order by their weights alone.
        fallbacks: names of the routes to try, in order, when all of the deployments fail.
        context_window_fallbacks: the same when a request is too long for them.
        content_policy_fallbacks: the same when they refuse a request for its content.
        abilities: what it can do beyond plain text.
        local_only: its requests go to no deployment that is `elsewhere`.
    """

    name: str
    mode: Mode
    deployments: tuple[Deployment, ...]
    aliases: tuple[str, ...]
    tools: bool
    structured_outputs: bool
    balance: bool
    fallbacks: tuple[str, ...]
    context_window_fallbacks: tuple[str, ...]
    content_policy_fallbacks: tuple[str, ...]
    probe: Probe
    abilities: Abilities = UNKNOWN
    speed: SpeedBounds = SpeedBounds()
    local_only: bool = False


@dataclass(frozen=True)
class Models:
    """The file of the public names: their deployments, their fallbacks, and how each is verified."""

    models: tuple[Model, ...]
