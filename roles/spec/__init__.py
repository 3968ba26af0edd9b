"""What an inventory declares. Typed, closed, checked as a whole; it reads nothing but secrets and texts."""

from roles.spec.errors import SpecError
from roles.spec.gpus import Gpus, GpuUuid
from roles.spec.options import Many, Options
from roles.spec.routes import RERANK_PROBE, Deployment, Probe, Route
from roles.spec.secrets import EnvSecret, FileSecret, GeneratedSecret, Secret
from roles.spec.service import Cache, Gateway, KeyedProvider, Provider, Service
from roles.spec.sources import (
    GgufSource,
    HubFile,
    HubModel,
    LocalFile,
    PythonSdist,
    RelativePath,
    SourceTree,
    TextFile,
    UrlArchive,
    UrlFile,
)
from roles.spec.stack import Stack, SystemScope, UserScope
from roles.spec.values import BindAddress, MemorySize, Mode, ModelName, Name, Network, Port, Seconds, Sha256, Url
from roles.spec.verification import Verification

__all__ = [
    "RERANK_PROBE",
    "BindAddress",
    "Cache",
    "Deployment",
    "EnvSecret",
    "FileSecret",
    "Gateway",
    "GeneratedSecret",
    "GgufSource",
    "GpuUuid",
    "Gpus",
    "HubFile",
    "HubModel",
    "KeyedProvider",
    "LocalFile",
    "Many",
    "MemorySize",
    "Mode",
    "ModelName",
    "Name",
    "Network",
    "Options",
    "Port",
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
    "SpecError",
    "Stack",
    "SystemScope",
    "TextFile",
    "Url",
    "UrlArchive",
    "UrlFile",
    "UserScope",
    "Verification",
]
