"""What is deployed, as the verifier sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from roles.contract.environment_file import parse_environment
from roles.contract.generation import DIGEST_VARIABLE
from roles.contract.manifest import (
    PLAIN,
    AskedModel,
    Canary,
    Deployment,
    Front,
    Gpus,
    KeptModel,
    Listing,
    Model,
    ModelList,
    PlannedMemory,
    Probe,
    Scope,
    Tls,
    Traits,
)
from roles.contract.modes import Mode
from roles.verify.verdict.claim import CannotCheck
from roles.verify.verdict.quoting import read_foreign

__all__ = [
    "DIGEST_VARIABLE",
    "PLAIN",
    "Beside",
    "Cache",
    "Canary",
    "CardWeights",
    "Deployment",
    "External",
    "Front",
    "Gateway",
    "Generation",
    "Gpus",
    "KeptModel",
    "Mode",
    "ModelList",
    "PlannedMemory",
    "Probe",
    "Provider",
    "Route",
    "Scope",
    "Service",
    "Task",
    "Tls",
    "Traits",
]

_DIGEST_LINE = re.compile(rf"^Environment={DIGEST_VARIABLE}=(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Service:
    """A unit and the address that it must listen on.

    Attributes:
        ready_url: returns status 200 once the service can answer.
        start_timeout: seconds that it may take from its start until then.
        unit_file: the unit's file in the generation, with the digest that the process should carry.
        local_ports: further ports that it may listen on, on loopback.
    """

    unit: str
    bind: str
    port: int
    ready_url: str
    start_timeout: float
    unit_file: Path
    local_ports: tuple[int, ...] = ()

    def wanted_digest(self) -> str:
        """The digest in the unit's file.

        Raises:
            CannotCheck: the file cannot be read or contains none.
        """
        return _digest_in(self.unit_file)


@dataclass(frozen=True)
class CardWeights:
    """A model whose layers must be in the memory of cards.

    Attributes:
        file: its GGUF file.
        layers: this many of them, the last ones, where the output counts as one; None = all.
        if_free: as many as fit: if there is too little memory, fewer are correct.
    """

    file: Path
    layers: int | None = None
    if_free: bool = False


@dataclass(frozen=True)
class Provider:
    """A model server: its unit, and the names of the tasks without which it does not serve all of its models.

    Attributes:
        kind: its software, e.g. `vllm`, for reports.
        api_base: where the gateway reaches it; shown in reports, as its `models` are, and not checked.
        gpus: None = it computes on the processor.
        weights: the models of which one is in the memory of its cards; empty = not known.
        kept_models: the models that it must store.
        version: the one that it must answer as; empty = not known.
        queue: most requests that may wait there; None = any number.
        memory: what it takes by the memory plan; None = nothing is planned.
        asked: what gateways of other hosts ask it for.
        key_file, key_variable: where the key is that it requires of them; None = it requires none.
    """

    name: str
    service: Service
    tasks: tuple[str, ...]
    kind: str = ""
    api_base: str = ""
    models: tuple[str, ...] = ()
    gpus: Gpus | None = None
    weights: tuple[CardWeights, ...] = ()
    kept_models: tuple[KeptModel, ...] = ()
    traits: Traits = PLAIN
    version: str = ""
    queue: int | None = None
    memory: PlannedMemory | None = None
    asked: tuple[AskedModel, ...] = ()
    key_file: Path | None = None
    key_variable: str = ""

    @property
    def origin(self) -> str:
        """Where it answers on its own host, without a path."""
        return "/".join(self.service.ready_url.split("/", 3)[:3])

    def key(self) -> str | None:
        """The key that requests of other hosts to it carry; None = it requires none.

        Raises:
            CannotCheck: it cannot be read.
        """
        return _read_key(self.key_file, self.key_variable) if self.key_file else None


@dataclass(frozen=True)
class External:
    """A provider that others run, or another host of the inventory.

    Attributes:
        kind: how it is declared, for reports.
        metered: its owner may charge for requests.
        key_file, key_variable: where its key is; None = it requires none.
        listing: how it is asked for its models.
        api_version: of Azure's API; empty = for all others.
        ca_file: authorities to trust with it beside the usual ones; None = those alone.
        host: the other host of the inventory that runs it; empty = none of them.
    """

    name: str
    kind: str
    api_base: str
    models: tuple[str, ...]
    metered: bool
    key_file: Path | None = None
    key_variable: str = ""
    listing: Listing = "openai"
    api_version: str = ""
    ca_file: Path | None = None
    host: str = ""

    def key(self) -> str | None:
        """The key that requests to it carry; None = it requires none.

        Raises:
            CannotCheck: it cannot be read.
        """
        return _read_key(self.key_file, self.key_variable) if self.key_file else None


@dataclass(frozen=True)
class Beside:
    """A service beside providers, cache and gateway: its unit, and the names of the tasks that it needs."""

    name: str
    service: Service
    kind: str
    tasks: tuple[str, ...] = ()
    traits: Traits = PLAIN


@dataclass(frozen=True)
class Task:
    """A unit that does something after each start of the host or of its service, and ends.

    Attributes:
        done_file: where it writes its digest once it has finished, below the runtime folder of its service manager.
        start_timeout: seconds that it is waited for.
        effect_command: prints the result that is now in effect, which must equal what the task wrote beside its
            `done_file`; empty = there is no such command.
    """

    unit: str
    done_file: str
    start_timeout: float
    unit_file: Path
    effect_command: tuple[str, ...] = ()

    def wanted_digest(self) -> str:
        """As `Service.wanted_digest`."""
        return _digest_in(self.unit_file)


@dataclass(frozen=True)
class Cache:
    """What stores the gateway's answers.

    Attributes:
        cooldown: seconds for which the gateway does not use it after failures.
        password_file, password_variable: where its password is; None = it requires none.
    """

    service: Service
    cooldown: float
    password_file: Path | None = None
    password_variable: str = ""

    def password(self) -> str | None:
        """The password; None = it requires none.

        Raises:
            CannotCheck: it cannot be read.
        """
        return _read_variable(self.password_file, self.password_variable) if self.password_file else None


@dataclass(frozen=True)
class Gateway:
    """The endpoint that clients talk to.

    Attributes:
        service: what listens on the endpoint: the front.
        key_file, key_variable: where the clients' key is.
        instance_key_file, instance_key_variable: where the instances' key is, which only the front sends them.
        instance_url: one of the instances.
        instances: LiteLLM's processes behind the front.
        cooldown: seconds for which it skips a backend after a failure.
        folder: the generation's.
        tls: its TLS side; None = it speaks plain HTTP on its port.
    """

    service: Service
    url: str
    key_file: Path
    key_variable: str
    instance_key_file: Path
    instance_key_variable: str
    instance_url: str
    cooldown: float
    folder: Path = Path()
    instances: tuple[Service, ...] = ()
    front: Front | None = None
    canary: Canary | None = None
    tls: Tls | None = None

    def key(self) -> str:
        """The key that clients send.

        Raises:
            CannotCheck: it cannot be read, or no HTTP header can contain it.
        """
        return _read_key(self.key_file, self.key_variable)

    def key_variables(self, front: Front) -> dict[str, str]:
        """The variables that the front's map of keys is made of.

        Raises:
            CannotCheck: they cannot be read, or the gateway's own key is not among them.
        """
        variables: dict[str, str] = {}
        for number, path in enumerate(front.key_files, start=1):
            file = self.folder / path
            if file.exists() or number == len(front.key_files):
                variables |= _read_variables(file)
        if self.key_variable not in variables:
            raise CannotCheck(f"none of {', '.join(front.key_files)} has {self.key_variable}", code="key-unreadable")
        return variables

    def instance_key(self) -> str:
        """The key that each instance requires, on loopback.

        Raises:
            CannotCheck: likewise.
        """
        return _read_key(self.instance_key_file, self.instance_key_variable)


@dataclass(frozen=True, kw_only=True)
class Route(Model):
    """A public name and the deployments that may answer it."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def sharers(self) -> tuple[Deployment, ...]:
        """The deployments among which the gateway shares the requests while all are well."""
        first = min(deployment.order for deployment in self.deployments)
        return tuple(deployment for deployment in self.deployments if deployment.order == first)

    @property
    def is_metered(self) -> bool:
        """Whether a request to it may cost money while all is well."""
        return any(deployment.metered for deployment in self.sharers)


@dataclass(frozen=True)
class Generation:
    """All that the verifier knows about a host.

    Attributes:
        folder: its own one, named by its digest.
        gateway: None on a host that runs providers only.
        cache: None on a host whose gateway has none.
        timer: the unit that starts the host's own verification.
        disks: folders on whose file systems the stack writes.
        config: the folder that it was read from, by its permanent name.
        state: the folder of the host's history and of its kept verdicts.
        packages: the Debian packages that it needs; none if written by a version that did not record them.
        beside: the services beside providers, cache and gateway.
        externals: the providers of routes that others run.
    """

    folder: Path
    config: Path
    state: Path
    scope: Scope
    gateway: Gateway | None
    providers: tuple[Provider, ...]
    routes: tuple[Route, ...]
    tasks: tuple[Task, ...] = ()
    cache: Cache | None = None
    disks: tuple[Path, ...] = ()
    timer: str | None = None
    packages: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()
    externals: tuple[External, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def services(self) -> tuple[Service, ...]:
        gateways = (self.gateway.service, *self.gateway.instances) if self.gateway else ()
        cache = (self.cache.service,) if self.cache else ()
        providers = (provider.service for provider in self.providers)
        return (*gateways, *cache, *providers, *(each.service for each in self.beside))

    def traits(self) -> dict[str, Traits]:
        """How the servers behave, by their units."""
        providers = {provider.service.unit: provider.traits for provider in self.providers}
        return providers | {each.service.unit: each.traits for each in self.beside}


def _digest_in(unit_file: Path) -> str:
    found = _DIGEST_LINE.search(_read(unit_file))
    if found is None:
        raise CannotCheck(f"{unit_file} has no {DIGEST_VARIABLE}")
    return found[1]


def _read_key(file: Path, variable: str) -> str:
    key = _read_variable(file, variable)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CannotCheck(f"{variable} in {file} is empty or no plain ASCII word", code="key-unreadable")
    return key


def _read_variables(file: Path) -> dict[str, str]:
    try:
        return parse_environment(_read(file))
    except CannotCheck as reason:
        raise CannotCheck(str(reason), code="key-unreadable") from None


def _read_variable(file: Path, variable: str) -> str:
    variables = _read_variables(file)
    if variable not in variables:
        raise CannotCheck(f"{file} has no {variable}", code="key-unreadable")
    return variables[variable]


def _read(file: Path) -> str:
    try:
        return read_foreign(file)
    except OSError as error:
        raise CannotCheck(f"{file}: {error.strerror}") from None
