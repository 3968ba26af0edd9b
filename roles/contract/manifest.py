"""The manifest: what a generation says of itself for the verifier, in two files.

`roles.plan.manifest` writes them, `roles.verify.generation` reads them. Keys of the files are names of fields here; a
field with a default may be missing in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from roles.contract.modes import Mode

PROVIDERS_FILE = "providers.yaml"
"""Path, below the generation, of who serves what, and where: `Providers`."""
MODELS_FILE = "model-mappings.yaml"
"""Path, below the generation, of the public names: `Models`."""
DIGESTS_FILE = "digests.json"
"""Where a task that brings models leaves their digests, beside its done file: name → digest."""

Scope: TypeAlias = Literal["system", "user"]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A unit and the address that it must own.

    Attributes:
        ready_url: gives status 200, or as `redis://` answers a PING, once the server can answer.
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
        default_tag: a name without a tag means the one with this; empty = names have no tags.
    """

    path: str
    items: str = "models"
    name: str = "name"
    digest: str = "digest"
    default_tag: str = ""


@dataclass(frozen=True)
class Traits:
    """How a kind of server behaves, where the verifier must know it. The plan of its room declares it.

    Attributes:
        talks_to_itself: its processes listen on loopback ports of their own, for each other.
        listens_elsewhere: why it may listen on all addresses on ports of its own, for reports; empty = it may not.
        fills_cards: it puts a part of its model on each of its cards.
        loaded_models: it loads models on demand, and lists here those that are in memory; none = it has its models in
            memory as long as it runs.
        kept_models: it keeps models of its own, outside of installs, and lists them here; none = it keeps none.
    """

    talks_to_itself: bool = False
    listens_elsewhere: str = ""
    fills_cards: bool = False
    loaded_models: ModelList | None = None
    kept_models: ModelList | None = None


PLAIN = Traits()
"""A server that listens where it is declared and nowhere else, and has what it serves in memory as long as it runs."""


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
    """A model whose layers are to be in the memory of cards.

    Attributes:
        file: its GGUF file on the host.
        layers: so many of them, the last ones, and the output counts as one; none = all.
        if_free: as many as fit: where there is no room, fewer are as they should be.
    """

    file: str
    layers: int | None = None
    if_free: bool = False


@dataclass(frozen=True, kw_only=True)
class NamedServer(Server):
    """A service of the stack.

    Attributes:
        kind: what it runs, e.g. `vllm`, for reports.
        tasks: the units without which it does not serve all that it should.
    """

    name: str
    kind: str
    tasks: tuple[str, ...] = ()
    traits: Traits = PLAIN


@dataclass(frozen=True, kw_only=True)
class Provider(NamedServer):
    """A model server.

    Attributes:
        api_base: where the gateway asks it.
        models: the names that requests to it may carry.
        kept_models: the models that it must keep.
        gpus: none = it computes on the processor.
        weights: the models of which it has one in the memory of its cards; empty = that is not known.
    """

    api_base: str
    models: tuple[str, ...]
    kept_models: tuple[KeptModel, ...] = ()
    gpus: Gpus | None = None
    weights: tuple[CardWeights, ...] = ()


@dataclass(frozen=True)
class Task:
    """A unit that does something after each start of the host or of its service, and ends.

    Attributes:
        done_file: where it leaves its digest once it has done its work, below the runtime folder of its manager.
        start_timeout: seconds that it is waited for.
        effect_command: prints what it has brought about, which must be what it has left beside its `done_file`; empty =
            that cannot be asked.
    """

    unit: str
    done_file: str
    start_timeout: float
    effect_command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Front:
    """How HAProxy, in front of the gateway's instances, is asked which of them get requests.

    Attributes:
        socket: its runtime socket, below the runtime folder of the systemd manager.
        backend: its name of the group of instances.
        servers: its names of them.
    """

    socket: str
    backend: str
    servers: tuple[str, ...]


@dataclass(frozen=True)
class Canary:
    """A model of the gateway whose only deployment is dead, and the route that it falls back to."""

    name: str
    route: str


@dataclass(frozen=True, kw_only=True)
class Gateway(Server):
    """The endpoint that clients talk to, and the processes behind it.

    Attributes:
        key_file, key_variable: where the key stands that clients send: a path below the generation, or an absolute one
            of a file that is none of its own. By the lasting link a generation would be asked with the key of another.
        instance_key_file, instance_key_variable: where that stands which the instances ask for.
        instance_url: one of the instances.
        cooldown: seconds for which it passes over a backend after a failure.
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


@dataclass(frozen=True, kw_only=True)
class Cache(Server):
    """What keeps the gateway's answers.

    Attributes:
        cooldown: seconds for which the gateway leaves it alone after failures.
        password_file, password_variable: where its password stands; none = it wants none.
    """

    cooldown: float
    password_file: str | None = None
    password_variable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Providers:
    """The file of who serves what, and where.

    Attributes:
        disks: folders on whose file systems the stack writes.
        state: the folder of the host's history and of its kept verdicts.
        timer: the unit by which the host verifies itself.
        gateway: none on a host that runs providers only.
        services: those beside providers, cache and gateway.
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


@dataclass(frozen=True)
class Deployment:
    """One backend of a route: `id` and `api_base` are what the gateway's answers name as their origin. Those of the
    lowest `order` share the requests; others wait for these to fail."""

    id: str
    api_base: str
    provider: str
    weight: float = 1
    order: int = 1
    model: str = ""


@dataclass(frozen=True)
class Probe:
    """The question that verifies a route; `timeout` in seconds. A reranker puts the `documents` in order."""

    prompt: str
    expects: str | None
    max_tokens: int
    timeout: float
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """A public name and who may answer it.

    Attributes:
        balance: requests are shared out among the deployments of the lowest order by their weights alone.
        fallbacks: names of the routes that are asked, in order, when all of the deployments fail.
        context_window_fallbacks: the same when a request is too long for them.
        content_policy_fallbacks: the same when they refuse a request for its content.
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


@dataclass(frozen=True)
class Models:
    """The file of the public names: who answers them, what they fall back to, and how each is verified."""

    models: tuple[Model, ...]
