"""What is deployed: the files of the generation that a host runs, read without help from what wrote them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import yaml

from roles.verify.probe.environment_file import parse_environment
from roles.verify.verdict.claim import CannotCheck
from roles.verify.verdict.quoting import read_foreign

Scope: TypeAlias = Literal["system", "user"]
Mode: TypeAlias = Literal["chat", "completion", "embedding", "rerank"]

DIGEST_VARIABLE = "AI_BACKEND_DIGEST"
"""Environment variable in which each process carries its unit's digest."""

_DIGEST_LINE = re.compile(rf"^Environment={DIGEST_VARIABLE}=(\S+)$", re.MULTILINE)


class ConfigError(Exception):
    """The configuration folder cannot be read; the message names the file, the place in it, and what is wrong."""


@dataclass(frozen=True)
class Service:
    """A unit and the address that it must own.

    Attributes:
        ready_url: gives status 200 once the service can answer.
        start_timeout: seconds that it may take from its start until then.
        unit_file: the unit's file in the generation; it holds the digest that the process should carry.
    """

    unit: str
    bind: str
    port: int
    ready_url: str
    start_timeout: float
    unit_file: Path

    def wanted_digest(self) -> str:
        """The digest in the unit's file.

        Raises:
            CannotCheck: when the file cannot be read or holds none.
        """
        return _digest_in(self.unit_file)


@dataclass(frozen=True)
class Gpus:
    """The cards that a provider uses: those of the UUIDs; none given = those of the host that it needs."""

    vendor: str
    uuids: tuple[str, ...]


@dataclass(frozen=True)
class CardWeights:
    """A model whose layers are to be in the memory of cards.

    Attributes:
        file: its GGUF file.
        layers: so many of them, the last ones, and the output counts as one; none = all.
        if_free: as many as fit: where there is no room, fewer are as they should be.
    """

    file: Path
    layers: int | None = None
    if_free: bool = False


@dataclass(frozen=True)
class Provider:
    """A model server: its unit, and the names of the tasks without which it does not serve all of its models.

    Attributes:
        kind: what it runs, e.g. `vllm`.
        api_base: where the gateway asks it; told in reports, as its `models` are, and not checked.
        gpus: none = it computes on the processor.
        weights: the models of which it has one in the memory of its cards; empty = that is not known.
    """

    name: str
    service: Service
    tasks: tuple[str, ...]
    kind: str = ""
    api_base: str = ""
    models: tuple[str, ...] = ()
    gpus: Gpus | None = None
    weights: tuple[CardWeights, ...] = ()


@dataclass(frozen=True)
class Task:
    """A unit that does something after each start of the host or of its service, and ends.

    Attributes:
        done_file: where it leaves its digest once it has done its work, below the runtime folder of its manager.
        start_timeout: seconds that it is waited for.
        holds: prints what it has brought about, which must be what it has left beside its `done_file`; empty = that
            cannot be asked.
    """

    unit: str
    done_file: str
    start_timeout: float
    unit_file: Path
    holds: tuple[str, ...] = ()

    def wanted_digest(self) -> str:
        """As `Service.wanted_digest`."""
        return _digest_in(self.unit_file)


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


@dataclass(frozen=True)
class Cache:
    """What keeps the gateway's answers.

    Attributes:
        rest: seconds for which the gateway leaves it alone after failures.
        password_file, password_variable: where its password stands; none = it wants none.
    """

    service: Service
    rest: float
    password_file: Path | None = None
    password_variable: str = ""

    def password(self) -> str | None:
        """The password; None = it wants none.

        Raises:
            CannotCheck: when it cannot be read.
        """
        return _read_variable(self.password_file, self.password_variable) if self.password_file else None


@dataclass(frozen=True)
class Gateway:
    """The endpoint that clients talk to.

    Attributes:
        service: what owns the endpoint: the front.
        key_file, key_variable: where the key stands that clients send.
        instance_key_file, instance_key_variable: where that stands which the instances ask for, and the front alone
            sends them.
        instance_url: one of the instances.
        instances: LiteLLM's processes behind the front.
        cooldown: seconds for which it passes over a backend after a failure.
    """

    service: Service
    url: str
    key_file: Path
    key_variable: str
    instance_key_file: Path
    instance_key_variable: str
    instance_url: str
    cooldown: float
    instances: tuple[Service, ...] = ()
    front: Front | None = None
    canary: Canary | None = None

    def key(self) -> str:
        """The key that clients send.

        Raises:
            CannotCheck: when it cannot be read, or no HTTP header can carry it.
        """
        return _read_key(self.key_file, self.key_variable)

    def instance_key(self) -> str:
        """The key that each instance asks for, on loopback.

        Raises:
            CannotCheck: likewise.
        """
        return _read_key(self.instance_key_file, self.instance_key_variable)


@dataclass(frozen=True)
class Deployment:
    """One backend of a route: `id` and `api_base` are what the gateway's answers name as their origin. Those of the
    lowest `order` share the requests; others wait for these to fail."""

    id: str
    api_base: str
    provider: str
    weight: float = 1
    order: int = 1


@dataclass(frozen=True)
class Probe:
    """The question that verifies a route; `timeout` in seconds. A reranker puts the `documents` in order."""

    prompt: str
    expects: str | None
    max_tokens: int
    timeout: float
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A public name and who may answer it.

    Attributes:
        fallbacks: names of the routes that are asked, in order, when all of the deployments fail.
        context_window_fallbacks: the same when a request is too long for them.
        content_policy_fallbacks: the same when they refuse a request for its content.
        balance: requests are shared out among the deployments of the lowest order by their weights alone.
    """

    name: str
    aliases: tuple[str, ...]
    mode: Mode
    deployments: tuple[Deployment, ...]
    probe: Probe
    tools: bool = False
    structured_outputs: bool = False
    balance: bool = False
    fallbacks: tuple[str, ...] = ()
    context_window_fallbacks: tuple[str, ...] = ()
    content_policy_fallbacks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def sharers(self) -> tuple[Deployment, ...]:
        """Those among which the gateway shares out the requests while all are well."""
        first = min(deployment.order for deployment in self.deployments)
        return tuple(deployment for deployment in self.deployments if deployment.order == first)


@dataclass(frozen=True)
class Generation:
    """All that the verifier knows about a host.


    Attributes:
        folder: where it lies, below its own name.
        gateway: None on a host that runs providers only.
        cache: None on a host whose gateway remembers nothing.
        timer: the unit by which the host verifies itself.
        disks: folders on whose file systems the stack writes.
        config: the folder that it was read from, by its lasting name.
        state: the folder of the host's history and of its kept verdicts.
        packages: the Debian packages that it runs from; none in a generation of a version that did not write them down.
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

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def services(self) -> tuple[Service, ...]:
        gateways = (self.gateway.service, *self.gateway.instances) if self.gateway else ()
        cache = (self.cache.service,) if self.cache else ()
        return (*gateways, *cache, *(provider.service for provider in self.providers))


def load_generation(config: Path) -> Generation:
    """The generation that is, or that the symbolic link leads to, in the folder `config`.

    Raises:
        ConfigError: when a file is missing, unreadable, or lacks what the verifier needs.
    """
    try:
        folder = config.resolve(strict=True)
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}") from None
    providers = _Entry.of_file(folder / "providers.yaml")
    mappings = _Entry.of_file(folder / "model-mappings.yaml")
    gateway = providers.entry("gateway") if "gateway" in providers.values else None
    cache = providers.entry("cache") if "cache" in providers.values else None
    return Generation(
        folder=folder,
        scope=cast(Scope, providers.choice("scope", ("system", "user"))),
        gateway=_gateway(gateway, folder) if gateway else None,
        providers=tuple(_provider(entry, folder) for entry in providers.entries("providers")),
        routes=tuple(_route(entry) for entry in mappings.entries("models")),
        tasks=tuple(_task(entry, folder) for entry in providers.entries("tasks")),
        cache=_cache(cache, folder) if cache else None,
        disks=tuple(map(Path, providers.texts("disks"))),
        config=config,
        state=Path(providers.text("state")),
        timer=providers.text("timer"),
        packages=_packages(folder / "packages.yaml"),
    )


def _packages(file: Path) -> tuple[str, ...]:
    return _Entry.of_file(file).texts("packages") if file.exists() else ()


def _gateway(entry: _Entry, folder: Path) -> Gateway:
    return Gateway(
        service=_service(entry, folder),
        url=entry.text("url").rstrip("/"),
        key_file=folder / entry.text("key_file"),
        key_variable=entry.text("key_variable"),
        instance_key_file=Path(entry.text("instance_key_file")),
        instance_key_variable=entry.text("instance_key_variable"),
        instance_url=entry.text("instance_url"),
        cooldown=entry.number("cooldown"),
        instances=tuple(_service(instance, folder) for instance in entry.entries("instances")),
        front=None if entry.values.get("front") is None else _front(entry.entry("front")),
        canary=None if entry.values.get("canary") is None else _canary(entry.entry("canary")),
    )


def _cache(entry: _Entry, folder: Path) -> Cache:
    service, rest = _service(entry, folder), entry.number("rest")
    if entry.values.get("password_file") is None:
        return Cache(service, rest)
    return Cache(service, rest, folder / entry.text("password_file"), entry.text("password_variable"))


def _canary(entry: _Entry) -> Canary:
    return Canary(name=entry.text("name"), route=entry.text("route"))


def _front(entry: _Entry) -> Front:
    return Front(socket=entry.text("socket"), backend=entry.text("backend"), servers=entry.texts("servers"))


def _provider(entry: _Entry, folder: Path) -> Provider:
    gpus = None if entry.values.get("gpus") is None else entry.entry("gpus")
    return Provider(
        name=entry.text("name"),
        service=_service(entry, folder),
        tasks=entry.texts("tasks"),
        kind=entry.text("kind"),
        gpus=Gpus(gpus.text("vendor"), gpus.texts("uuids")) if gpus else None,
        # A generation of a version that did not compare them says nothing of them.
        weights=tuple(map(_weights, entry.entries("weights"))) if "weights" in entry.values else (),
        api_base=entry.text("api_base"),
        models=entry.texts("models"),
    )


def _weights(entry: _Entry) -> CardWeights:
    layers = None if entry.values.get("layers") is None else int(entry.number("layers"))
    return CardWeights(Path(entry.text("file")), layers, entry.flag("if_free"))


def _service(entry: _Entry, folder: Path) -> Service:
    unit = entry.text("unit")
    return Service(
        unit=unit,
        bind=entry.text("bind"),
        port=int(entry.number("port")),
        ready_url=entry.text("ready_url"),
        start_timeout=entry.number("start_timeout"),
        unit_file=folder / "units" / unit,
    )


def _task(entry: _Entry, folder: Path) -> Task:
    unit = entry.text("unit")
    return Task(
        unit=unit,
        done_file=entry.text("done_file"),
        holds=entry.texts("holds"),
        start_timeout=entry.number("start_timeout"),
        unit_file=folder / "units" / unit,
    )


def _route(entry: _Entry) -> Route:
    probe = entry.entry("probe")
    return Route(
        name=entry.text("name"),
        aliases=entry.texts("aliases"),
        mode=cast(Mode, entry.choice("mode", get_args(Mode))),
        deployments=tuple(
            Deployment(
                id=deployment.text("id"),
                api_base=deployment.text("api_base"),
                provider=deployment.text("provider"),
                weight=deployment.number("weight"),
                order=int(deployment.number("order")),
            )
            for deployment in entry.entries("deployments")
        ),
        probe=Probe(
            prompt=probe.text("prompt"),
            expects=None if probe.values.get("expects") is None else probe.text("expects"),
            max_tokens=int(probe.number("max_tokens")),
            timeout=probe.number("timeout"),
            documents=probe.texts("documents") if "documents" in probe.values else (),
        ),
        tools=entry.flag("tools"),
        structured_outputs=entry.flag("structured_outputs"),
        balance=entry.flag("balance"),
        fallbacks=entry.texts("fallbacks"),
        context_window_fallbacks=entry.texts("context_window_fallbacks"),
        content_policy_fallbacks=entry.texts("content_policy_fallbacks"),
    )


@dataclass(frozen=True)
class _Entry:
    """A mapping of a YAML file that knows its place, so that an error can name it."""

    place: str
    values: Mapping[str, Any]

    @classmethod
    def of_file(cls, file: Path) -> _Entry:
        try:
            content = yaml.safe_load(file.read_text())
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: {' '.join(str(error).split())}") from None
        return cls._of(f"{file}:", content)

    @classmethod
    def _of(cls, place: str, content: object) -> _Entry:
        if not isinstance(content, dict):
            raise ConfigError(f"{place} must be a mapping")
        return cls(place, content)

    def text(self, key: str) -> str:
        return cast(str, self._value(key, str, "a text"))

    def number(self, key: str) -> float:
        return cast(float, self._value(key, (int, float), "a number"))

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.place} {key} is {value!r}, not true or false")
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.text(key)
        if value not in choices:
            raise ConfigError(f"{self.place} {key} is {value!r}, not one of {', '.join(choices)}")
        return value

    def entry(self, key: str) -> _Entry:
        return self._of(f"{self.place} {key}", self._value(key, dict, "a mapping"))

    def entries(self, key: str) -> tuple[_Entry, ...]:
        items = self._value(key, list, "a list")
        return tuple(self._of(f"{self.place} {key}[{index}]", item) for index, item in enumerate(items))

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._value(key, list, "a list")
        if not all(isinstance(item, str) for item in items):
            raise ConfigError(f"{self.place} {key} must be a list of texts")
        return tuple(items)

    def _value(self, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        if key not in self.values:
            raise ConfigError(f"{self.place} lacks {key}")
        value = self.values[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{self.place} {key} is {value!r}, not {what}")
        return value


def _digest_in(unit_file: Path) -> str:
    found = _DIGEST_LINE.search(_read(unit_file))
    if found is None:
        raise CannotCheck(f"{unit_file} holds no {DIGEST_VARIABLE}")
    return found[1]


def _read_key(file: Path, variable: str) -> str:
    key = _read_variable(file, variable)
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CannotCheck(f"{variable} in {file} is empty or no plain ASCII word", code="key-unreadable")
    return key


def _read_variable(file: Path, variable: str) -> str:
    try:
        variables = parse_environment(_read(file))
    except CannotCheck as reason:
        raise CannotCheck(str(reason), code="key-unreadable") from None
    if variable not in variables:
        raise CannotCheck(f"{file} holds no {variable}", code="key-unreadable")
    return variables[variable]


def _read(file: Path) -> str:
    try:
        return read_foreign(file)
    except OSError as error:
        raise CannotCheck(f"{file}: {error.strerror}") from None
