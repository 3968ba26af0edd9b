"""The options reference: one table a group of options, from their own types, defaults and help lines."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from roles.litellm import LiteLLM
from roles.llama_cpp import (
    LlamaCppBuild,
    LlamaCppPython,
    LlamaCppRelease,
    LlamaServer,
    PythonServerModel,
    PythonWheel,
)
from roles.ollama import Ollama, OllamaModel, OllamaRelease
from roles.options import (
    Deployment,
    EnvSecret,
    FileSecret,
    GeneratedSecret,
    Gpus,
    HubFile,
    HubModel,
    LocalFile,
    Options,
    Probe,
    PythonSdist,
    Route,
    Stack,
    SystemScope,
    TextFile,
    UrlArchive,
    UrlFile,
    UserScope,
)
from roles.redis import Redis
from roles.vllm import Vllm, VllmPackage

SECTIONS: dict[str, Sequence[type[Options]]] = {
    "The stack": (Stack, SystemScope, UserScope),
    "Routes": (Route, Deployment, Probe),
    "The gateway": (LiteLLM, Redis),
    "Providers": (
        LlamaServer,
        LlamaCppPython,
        PythonServerModel,
        LlamaCppBuild,
        LlamaCppRelease,
        PythonWheel,
        Ollama,
        OllamaRelease,
        OllamaModel,
        Vllm,
        VllmPackage,
    ),
    "Graphics cards": (Gpus,),
    "Where files come from": (UrlFile, HubFile, HubModel, LocalFile, UrlArchive, PythonSdist, TextFile),
    "Secrets": (EnvSecret, FileSecret, GeneratedSecret),
}


def options_reference() -> str:
    """The text of `docs/options.md`."""
    lines = [
        "# Options",
        "",
        "Everything that an inventory may declare. `make golden` writes this page from the `options` modules.",
    ]
    for title, groups in SECTIONS.items():
        lines += ["", f"## {title}"]
        for group in groups:
            lines += ["", f"### `{group.__name__}`", "", *_described(group)]
    return "\n".join(lines) + "\n"


def _described(group: type[Options]) -> Iterator[str]:
    yield " ".join((group.__doc__ or "").split())
    if not group.model_fields:
        return
    yield ""
    yield "| option | type | default | meaning |"
    yield "|---|---|---|---|"
    # A group's own options before those that it shares with others.
    own = [name for name in group.model_fields if name in group.__annotations__]
    for name in [*own, *(name for name in group.model_fields if name not in own)]:
        field = group.model_fields[name]
        meaning = " ".join((field.description or "").split())
        yield f"| `{name}` | {_shown_type(field)} | {_shown_default(field)} | {meaning} |"


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
