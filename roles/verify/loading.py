"""Reads a host's generation, without the code that wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from roles.contract import manifest
from roles.contract.generation import PACKAGES_FILE
from roles.verify.generation import (
    Beside,
    Cache,
    CardWeights,
    External,
    Gateway,
    Generation,
    Provider,
    Route,
    Service,
    Task,
)

_T = TypeVar("_T")


class ConfigError(Exception):
    """The configuration folder cannot be read; the message names the file, the place in it, and the problem."""


def load_generation(config: Path) -> Generation:
    """The generation in the folder `config`, which may be a symbolic link to it.

    Raises:
        ConfigError: when a file is missing, unreadable, or lacks what the verifier needs.
    """
    try:
        folder = config.resolve(strict=True)
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}") from None
    read = _read_manifest(manifest.Providers, folder / manifest.PROVIDERS_FILE)
    models = _read_manifest(manifest.Models, folder / manifest.MODELS_FILE).models
    return Generation(
        folder=folder,
        scope=read.scope,
        gateway=_gateway(read.gateway, folder) if read.gateway else None,
        providers=tuple(_provider(each, folder) for each in read.providers),
        routes=tuple(Route(**vars(model)) for model in models),
        tasks=tuple(_task(each, folder) for each in read.tasks),
        cache=_cache(read.cache, folder) if read.cache else None,
        disks=tuple(map(Path, read.disks)),
        config=config,
        state=Path(read.state),
        timer=read.timer,
        packages=_packages(folder / PACKAGES_FILE),
        beside=tuple(
            Beside(each.name, _service(each, folder), each.kind, each.tasks, each.traits) for each in read.services
        ),
        externals=tuple(_external(each, folder) for each in read.externals),
    )


@dataclass(frozen=True)
class _Packages:
    packages: tuple[str, ...]


def _packages(file: Path) -> tuple[str, ...]:
    return _read_manifest(_Packages, file).packages if file.exists() else ()


def _gateway(read: manifest.Gateway, folder: Path) -> Gateway:
    local_ports = (read.tls.local_port if read.tls else None, read.metrics_port)
    return Gateway(
        service=replace(_service(read, folder), local_ports=tuple(port for port in local_ports if port)),
        url=read.url.rstrip("/"),
        key_file=folder / read.key_file,
        key_variable=read.key_variable,
        instance_key_file=folder / read.instance_key_file,
        instance_key_variable=read.instance_key_variable,
        instance_url=read.instance_url,
        cooldown=read.cooldown,
        folder=folder,
        instances=tuple(_service(instance, folder) for instance in read.instances),
        front=read.front,
        canary=read.canary,
        tls=read.tls,
    )


def _cache(read: manifest.Cache, folder: Path) -> Cache:
    password_file = folder / read.password_file if read.password_file else None
    return Cache(_service(read, folder), read.cooldown, password_file, read.password_variable or "")


def _provider(read: manifest.Provider, folder: Path) -> Provider:
    return Provider(
        name=read.name,
        service=_service(read, folder),
        tasks=read.tasks,
        kind=read.kind,
        api_base=read.api_base,
        models=read.models,
        gpus=read.gpus,
        weights=tuple(CardWeights(Path(each.file), each.layers, each.if_free) for each in read.weights),
        kept_models=read.kept_models,
        traits=read.traits,
        version=read.version,
        queue=read.queue,
        memory=read.memory,
        asked=read.asked,
        key_file=folder / read.key_file if read.key_file else None,
        key_variable=read.key_variable,
    )


def _external(read: manifest.External, folder: Path) -> External:
    return External(
        name=read.name,
        kind=read.kind,
        api_base=read.api_base,
        models=read.models,
        metered=read.metered,
        host=read.host,
        key_file=folder / read.key_file if read.key_file else None,
        key_variable=read.key_variable,
        listing=read.listing,
        api_version=read.api_version,
        ca_file=folder / read.ca_file if read.ca_file else None,
    )


def _service(read: manifest.Server, folder: Path) -> Service:
    return Service(
        unit=read.unit,
        bind=read.bind,
        port=read.port,
        ready_url=read.ready_url,
        start_timeout=read.start_timeout,
        unit_file=folder / "units" / read.unit,
    )


def _task(read: manifest.Task, folder: Path) -> Task:
    return Task(
        unit=read.unit,
        done_file=read.done_file,
        effect_command=read.effect_command,
        start_timeout=read.start_timeout,
        unit_file=folder / "units" / read.unit,
    )


def _read_manifest(shape: type[_T], file: Path) -> _T:
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise ConfigError(f"{file}: it has more than {_LONGEST} characters, which no deploy writes")
        # Via JSON its lists become tuples, and no other type is converted.
        content = json.dumps(yaml.load(text, _WithoutAliases), default=str)
        return TypeAdapter(shape).validate_json(content, strict=True)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigError(f"{file}: {_problem(**error.errors()[0])}") from None
    # Besides errors of YAML: bytes that are no text, a day that is none, a key that is a list; too deep a nesting.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split())
        raise ConfigError(f"{file}: {what[:_LONGEST_SHOWN] or type(error).__name__}") from None


class _WithoutAliases(yaml.SafeLoader):
    """Deploys write none, and with them a few lines grow beyond any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (`*…`), which no deploy writes")
        return super().compose_node(parent, index)


_LONGEST = 16 << 20
_LONGEST_SHOWN = 500
_WANTED = {
    "string_type": "a text",
    "int_type": "a number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
}


def _problem(type: str, loc: Sequence[str | int], input: object, msg: str, **more: Any) -> str:
    """The problem at a place of a file, from one of pydantic's errors."""
    *outer, key = loc or [""]
    match type:
        case "missing":
            return f"{_place(outer)} lacks {key}".lstrip()
        case "dataclass_type":
            return f"{_place(loc)} must be a mapping".lstrip()
        case "string_type" if isinstance(key, int):
            return f"{_place(outer)} must be a list of texts"
        case "literal_error":
            choices = ", ".join(re.findall(r"'([^']*)'", more["ctx"]["expected"]))
            return f"{_place(loc)} is {input!r}, not one of {choices}"
        case _ if type in _WANTED:
            return f"{_place(loc)} is {input!r}, not {_WANTED[type]}"
        case _:
            return f"{_place(loc)} is {input!r}: {msg}"


def _place(loc: Sequence[str | int]) -> str:
    """The path to a value, with keys and item numbers: `models[0] deployments[1] weight`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f" {part}" for part in loc).lstrip()
