"""The options reference: one table a group of options, from their own types, defaults and help lines."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from roles.data import VALUES
from roles.options import (
    FORMER_NAMES,
    Budget,
    Cache,
    Client,
    Deployment,
    EnvSecret,
    FileSecret,
    Gateway,
    GeneratedSecret,
    Gpus,
    HostFile,
    HostFolder,
    HubFile,
    HubModel,
    Journal,
    LocalFile,
    Monitor,
    NvidiaDriver,
    Options,
    Outbound,
    Price,
    Probe,
    Provider,
    PythonSdist,
    Route,
    Service,
    Stack,
    SystemScope,
    TextFile,
    UrlArchive,
    UrlFile,
    UserScope,
    Verification,
)
from roles.options.base import example, former_options
from roles.plan import Room, rooms

_SECTIONS: dict[str, Sequence[type[Options]] | type[Service] | type[Provider]] = {
    "The stack": (Stack, SystemScope, UserScope, Outbound, Verification, Journal),
    "Routes": (Route, Deployment, Price, Probe),
    "Clients": (Client, Budget),
    "The gateway": Gateway,
    "The gateway's cache": Cache,
    "Providers": Provider,
    "Monitoring": Monitor,
    "Further services": Service,
    "Graphics cards": (Gpus, NvidiaDriver),
    "Where files come from": (
        UrlFile,
        HubFile,
        HubModel,
        LocalFile,
        HostFile,
        HostFolder,
        UrlArchive,
        PythonSdist,
        TextFile,
    ),
    "Secrets": (EnvSecret, FileSecret, GeneratedSecret),
}
"""Title → groups of options, or the kind of service of which the rooms have some."""
_KINDS = (Gateway, Cache, Provider, Monitor, Service)


def sections(known: Sequence[Room] | None = None) -> dict[str, list[type[Options]]]:
    """Title → the groups of options there; none of `known` = all rooms."""
    found = {}
    for title, groups in _SECTIONS.items():
        if not isinstance(groups, type):
            found[title] = list(groups)
        elif of_rooms := [group for room in known or rooms() for group in _groups_of(room, groups)]:
            found[title] = of_rooms
    return found


def _groups_of(room: Room, kind: type[Service] | type[Provider]) -> list[type[Options]]:
    """The services of that kind that a room has, then the groups of options that they take and that are its own."""
    services = [each for each in room.planners if next(known for known in _KINDS if issubclass(each, known)) is kind]
    found: dict[type[Options], None] = dict.fromkeys(services)
    waiting: list[type[Options]] = [*services]
    while waiting:
        for field in waiting.pop(0).model_fields.values():
            own = [group for group in _named_in(field.annotation) if not group.__module__.startswith("roles.options.")]
            waiting += [group for group in own if group not in found]
            found |= dict.fromkeys(own)
    return list(found)


def _named_in(annotation: Any) -> Iterator[type[Options]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, Options):
            yield annotation
        return
    for argument in get_args(annotation):
        yield from _named_in(argument)


def options_reference(known: Sequence[Room] | None = None) -> str:
    """The text of `docs/options.md`."""
    lines = [
        "# Options",
        "",
        "Everything that an inventory may declare, and what `--data` gives to a run. `make golden` writes this page",
        "from the `options` modules and `roles.data`.",
    ]
    found = sections(known)
    for title, groups in found.items():
        lines += ["", f"## {title}"]
        for group in groups:
            lines += ["", f"### `{group.__name__}`", "", *_described(group)]
    lines += ["", "## What a run is given", "", *_data()]
    lines += ["", "## Renamed and removed", "", *_former(group for groups in found.values() for group in groups)]
    return "\n".join(lines) + "\n"


def _described(group: type[Options]) -> Iterator[str]:
    yield " ".join((group.__doc__ or "").split())
    if not group.model_fields:
        return
    yield ""
    yield "| option | type | default | meaning | example |"
    yield "|---|---|---|---|---|"
    # A group's own options before those that it shares with others.
    own = [name for name in group.model_fields if name in group.__annotations__]
    for name in [*own, *(name for name in group.model_fields if name not in own)]:
        field = group.model_fields[name]
        meaning = " ".join((field.description or "").split())
        yield f"| `{name}` | {_shown_type(field)} | {_shown_default(field)} | {meaning} | `{example(field)}` |"


def _data() -> Iterator[str]:
    yield "`--data NAME=VALUE` on pyinfra's command line; `python -m roles.data` lists the same. A name that is not"
    yield "here, or that the deploy does not read, is refused before any host gets a command. A value counts as it is"
    yield "written: `generation=000123` keeps its zeros. Each may also stand in a host's data in the inventory. Names"
    yield "of pyinfra's own (`ssh_user`, `_sudo`, …) are passed on."
    yield ""
    yield "| name | what it is | if not given | read by | meaning | example |"
    yield "|---|---|---|---|---|---|"
    for value in VALUES.values():
        yield (
            f"| `{value.name}` | {value.form.words} | {value.otherwise} | {value.readers} | {value.meaning} "
            f"| `--data {value.example}` |"
        )


def _former(groups: Iterable[type[Options]]) -> Iterator[str]:
    yield "What an inventory of an earlier version may have."
    yield ""
    yield "| it has | now |"
    yield "|---|---|"
    yield "| `from roles.spec import …` | write `from roles.options import …` |"
    for name, instead in FORMER_NAMES.items():
        yield f"| `{name}` | {instead} |"
    for group in groups:
        for option, instead in former_options(group).items():
            yield f"| `{group.__name__}({option}=…)` | {instead} |"


def _shown_type(field: FieldInfo) -> str:
    return _type_name(field.annotation).replace("|", "\\|")


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return " | ".join(f"`{argument}`" for argument in arguments)
    if origin in (typing.Union, UnionType):
        return " | ".join(_type_name(argument) for argument in arguments if argument is not type(None))
    if origin in (dict, Mapping):
        return f"{_type_name(arguments[0])} → {_type_name(arguments[1])}"
    if origin is not None:
        return f"list of {_type_name(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return f"`{annotation.__name__}`"
    names: dict[Any, str] = {
        str: "text", int: "whole number", float: "number", bool: "yes or no", JsonValue: "anything"
    }  # fmt: skip
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _shown_default(field: FieldInfo) -> str:
    default = field.default
    if field.default_factory is not None:
        return "none"
    if default is PydanticUndefined:
        return "**required**"
    if default is None or default == ():
        return "none"
    return f"`{type(default).__name__}()`" if isinstance(default, Options) else f"`{default}`"
