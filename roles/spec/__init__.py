"""What an inventory declares. Typed, closed, checked as a whole; no input or output but the reading of secrets."""

from roles.spec.errors import SpecError
from roles.spec.options import Many, Options
from roles.spec.routes import Deployment, Probe, Route
from roles.spec.secrets import EnvSecret, FileSecret, GeneratedSecret, Secret
from roles.spec.service import Gateway, Provider, Service
from roles.spec.sources import GgufSource, HubFile, HubModel, PythonSdist, SourceTree, UrlArchive, UrlFile
from roles.spec.stack import Stack, SystemScope, UserScope
from roles.spec.values import MemorySize, Mode, ModelName, Name, Port, Seconds

__all__ = [
    "Deployment",
    "EnvSecret",
    "FileSecret",
    "Gateway",
    "GeneratedSecret",
    "GgufSource",
    "HubFile",
    "HubModel",
    "Many",
    "MemorySize",
    "Mode",
    "ModelName",
    "Name",
    "Options",
    "Port",
    "Probe",
    "Provider",
    "PythonSdist",
    "Route",
    "Seconds",
    "Secret",
    "Service",
    "SourceTree",
    "SpecError",
    "Stack",
    "SystemScope",
    "UrlArchive",
    "UrlFile",
    "UserScope",
]
