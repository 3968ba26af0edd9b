"""What an inventory declares. Typed, closed, checked as a whole; it reads only secrets and texts."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from roles.contract.modes import Mode
from roles.options.arguments import OURS, check_arguments
from roles.options.base import Many, Options, nearest
from roles.options.clients import Client
from roles.options.driver import NvidiaDriver
from roles.options.errors import OptionsError, calling_line
from roles.options.gpus import Gpus, GpuUuid
from roles.options.journal import Journal
from roles.options.money import Budget, Price
from roles.options.outbound import Outbound, authorities_in
from roles.options.routes import Deployment, Probe, Route, Speed
from roles.options.secrets import EnvSecret, FileSecret, GeneratedSecret, GivenSecret, Secret
from roles.options.service import (
    Cache,
    Gateway,
    KeyedProvider,
    MeteredProvider,
    ModelServer,
    Monitor,
    Provider,
    Service,
)
from roles.options.sources import (
    FileUrl,
    GgufSource,
    HostFile,
    HostFolder,
    HubFile,
    HubModel,
    LocalFile,
    ModelSource,
    PythonSdist,
    RelativePath,
    SourceTree,
    TextFile,
    UrlArchive,
    UrlFile,
)
from roles.options.spelling import is_address, quoted, spelled
from roles.options.stack import Stack, SystemScope, UserScope
from roles.options.values import (
    BindAddress,
    HostAddress,
    HostPath,
    MemorySize,
    ModelName,
    Name,
    Network,
    Port,
    Seconds,
    Sha256,
    Url,
)
from roles.options.verification import AskApis, Verification

__all__ = [
    "OURS",
    "AskApis",
    "BindAddress",
    "Budget",
    "Cache",
    "Client",
    "Deployment",
    "EnvSecret",
    "FileSecret",
    "FileUrl",
    "Gateway",
    "GeneratedSecret",
    "GgufSource",
    "GivenSecret",
    "GpuUuid",
    "Gpus",
    "HostAddress",
    "HostFile",
    "HostFolder",
    "HostPath",
    "HubFile",
    "HubModel",
    "Journal",
    "KeyedProvider",
    "LocalFile",
    "Many",
    "MemorySize",
    "MeteredProvider",
    "Mode",
    "ModelName",
    "ModelServer",
    "ModelSource",
    "Monitor",
    "Name",
    "Network",
    "NvidiaDriver",
    "Options",
    "OptionsError",
    "Outbound",
    "Port",
    "Price",
    "Probe",
    "Provider",
    "PythonSdist",
    "RelativePath",
    "Route",
    "Seconds",
    "Secret",
    "Service",
    "Sha256",
    "SourceTree",
    "Speed",
    "Stack",
    "SystemScope",
    "TextFile",
    "Url",
    "UrlArchive",
    "UrlFile",
    "UserScope",
    "Verification",
    "authorities_in",
    "check_arguments",
    "date",
    "is_address",
    "quoted",
    "spelled",
]

FORMER_NAMES: Mapping[str, str] = {
    "RERANK_PROBE": 'remove it; a route of `mode="rerank"` without a `probe` asks the same',
    "SpecError": "write `OptionsError`",
}
"""Names that an earlier version had here or in `roles.spec`, and what to write instead."""

if not TYPE_CHECKING:  # a type checker would take every name for a known one

    def __getattr__(name: str) -> object:
        """Refuse a former name with what to write instead, and a misspelled one with the right one."""
        if instead := FORMER_NAMES.get(name):
            raise OptionsError(f'{calling_line()}: "{name}" of `roles.options` no longer exists: {instead}')
        if name[:1].isupper() and (close := nearest(name, __all__)):
            raise OptionsError(f'{calling_line()}: `roles.options` has no "{name}"{close}')
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
