"""Stack → host plan → generation: pure functions over plain data."""

from roles.contract.generation import (
    ACTIVATION,
    DIGEST_VARIABLE,
    NO_GENERATION,
    Drain,
    GeneratedVariable,
    Live,
    PlatformKey,
    Spare,
)
from roles.contract.recipes import (
    Archive,
    ArchiveSource,
    BackendCheck,
    Json,
    ReleaseRecipe,
    SdistSource,
    SourceBuildRecipe,
)
from roles.contract.trace import FRONT_UNIT
from roles.plan.backends import AskedModel, Backend, CloudTraits, Login, MetricsPage
from roles.plan.compile import (
    BesideContext,
    GatewayContext,
    HostContext,
    MonitoringContext,
    Planner,
    compile_stack,
    planned_backend,
)
from roles.plan.firewall import FIREWALL_UNIT, FRONT_USER, GATEWAY_USER, LOADER_USER, PROMETHEUS_USER
from roles.plan.fleet import ALONE, Member, Place, fleet_of
from roles.plan.generation import Generation, RenderedFile, ResolvedInstall, resolve
from roles.plan.gpu_unit import gpu_files
from roles.plan.installs import MEGABYTE, CardNeeds, Install, PulledModel
from roles.plan.layout import Layout, layout_of
from roles.plan.memory import KnownFacts, Load, LoadSource, memory_plan, not_known
from roles.plan.model import (
    STAGED_FOLDER,
    STAGED_PORT,
    STAGED_PORTS,
    ClientPlan,
    DeploymentPlan,
    GatewayPlan,
    HostPlan,
    RoutePlan,
    ServicePlan,
    Staging,
)
from roles.plan.models import host_models, model_install, model_path
from roles.plan.outbound import OutboundPlan, ProxyLogin
from roles.plan.pins import NO_PINS, HubPin, HubReference, Pins
from roles.plan.provider_unit import Dialect, openai_prefixes, provider_plan
from roles.plan.python_env import Indexes, python_env, read_lock
from roles.plan.rooms import Room, planners, register, rooms
from roles.plan.sources import sources_of
from roles.plan.templates import render
from roles.plan.unit_file import GATEWAY_INSTANCES, unit_file, unit_prefix
from roles.plan.units import (
    DigestOf,
    Endpoint,
    EnvValue,
    SecretAddress,
    ServerUnit,
    TaskUnit,
    TimerUnit,
    TriggeredUnit,
    Unit,
    runtime_folder,
)
from roles.plan.verifier import COMMAND as VERIFIER_COMMAND
from roles.plan.verifier import ENVIRONMENT as VERIFIER_ENVIRONMENT
from roles.plan.verifier import SOURCES as VERIFIER
from roles.plan.watch import WATCH_TIMER, WATCH_UNIT

__all__ = [
    "ACTIVATION",
    "ALONE",
    "DIGEST_VARIABLE",
    "FIREWALL_UNIT",
    "FRONT_UNIT",
    "FRONT_USER",
    "GATEWAY_INSTANCES",
    "GATEWAY_USER",
    "LOADER_USER",
    "MEGABYTE",
    "NO_GENERATION",
    "NO_PINS",
    "PROMETHEUS_USER",
    "STAGED_FOLDER",
    "STAGED_PORT",
    "STAGED_PORTS",
    "VERIFIER",
    "VERIFIER_COMMAND",
    "VERIFIER_ENVIRONMENT",
    "WATCH_TIMER",
    "WATCH_UNIT",
    "Archive",
    "ArchiveSource",
    "AskedModel",
    "Backend",
    "BackendCheck",
    "BesideContext",
    "CardNeeds",
    "ClientPlan",
    "CloudTraits",
    "DeploymentPlan",
    "Dialect",
    "DigestOf",
    "Drain",
    "Endpoint",
    "EnvValue",
    "GatewayContext",
    "GatewayPlan",
    "GeneratedVariable",
    "Generation",
    "HostContext",
    "HostPlan",
    "HubPin",
    "HubReference",
    "Indexes",
    "Install",
    "Json",
    "KnownFacts",
    "Layout",
    "Live",
    "Load",
    "LoadSource",
    "Login",
    "Member",
    "MetricsPage",
    "MonitoringContext",
    "OutboundPlan",
    "Pins",
    "Place",
    "Planner",
    "PlatformKey",
    "ProxyLogin",
    "PulledModel",
    "ReleaseRecipe",
    "RenderedFile",
    "ResolvedInstall",
    "Room",
    "RoutePlan",
    "SdistSource",
    "SecretAddress",
    "ServerUnit",
    "ServicePlan",
    "SourceBuildRecipe",
    "Spare",
    "Staging",
    "TaskUnit",
    "TimerUnit",
    "TriggeredUnit",
    "Unit",
    "compile_stack",
    "fleet_of",
    "gpu_files",
    "host_models",
    "layout_of",
    "memory_plan",
    "model_install",
    "model_path",
    "not_known",
    "openai_prefixes",
    "planned_backend",
    "planners",
    "provider_plan",
    "python_env",
    "read_lock",
    "register",
    "render",
    "resolve",
    "rooms",
    "runtime_folder",
    "sources_of",
    "unit_file",
    "unit_prefix",
]
