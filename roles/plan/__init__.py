"""Stack → host plan → generation: pure functions over plain data."""

from roles.contract.generation import ACTIVATION, DIGEST_VARIABLE, Drain, GeneratedVariable, Live, PlatformKey, Spare
from roles.contract.recipes import (
    Archive,
    ArchiveSource,
    BackendCheck,
    Json,
    ReleaseRecipe,
    SdistSource,
    SourceBuildRecipe,
)
from roles.plan.compile import BesideContext, GatewayContext, HostContext, Planner, compile_stack
from roles.plan.firewall import FIREWALL_UNIT, FRONT_USER, GATEWAY_USER, LOADER_USER
from roles.plan.generation import Generation, RenderedFile, ResolvedInstall, resolve
from roles.plan.layout import Layout, layout_of
from roles.plan.model import (
    MEGABYTE,
    STAGED_FOLDER,
    STAGED_PORT,
    STAGED_PORTS,
    Backend,
    ClientPlan,
    DeploymentPlan,
    DigestOf,
    Endpoint,
    EnvValue,
    GatewayPlan,
    HostPlan,
    Install,
    Login,
    RoutePlan,
    ServerUnit,
    ServicePlan,
    Staging,
    TaskUnit,
    TimerUnit,
    TriggeredUnit,
    Unit,
    runtime_folder,
)
from roles.plan.models import model_install
from roles.plan.provider_unit import Dialect, openai_prefixes, provider_plan
from roles.plan.python_env import Indexes, python_env, read_lock
from roles.plan.rooms import Room, planners, register, rooms
from roles.plan.sources import sources_of
from roles.plan.templates import render
from roles.plan.unit_file import GATEWAY_INSTANCES, unit_file
from roles.plan.verifier import COMMAND as VERIFIER_COMMAND
from roles.plan.verifier import ENVIRONMENT as VERIFIER_ENVIRONMENT
from roles.plan.verifier import SOURCES as VERIFIER
from roles.plan.watch import WATCH_TIMER, WATCH_UNIT

__all__ = [
    "ACTIVATION",
    "DIGEST_VARIABLE",
    "FIREWALL_UNIT",
    "FRONT_USER",
    "GATEWAY_INSTANCES",
    "GATEWAY_USER",
    "LOADER_USER",
    "MEGABYTE",
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
    "Backend",
    "BackendCheck",
    "BesideContext",
    "ClientPlan",
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
    "Indexes",
    "Install",
    "Json",
    "Layout",
    "Live",
    "Login",
    "Planner",
    "PlatformKey",
    "ReleaseRecipe",
    "RenderedFile",
    "ResolvedInstall",
    "Room",
    "RoutePlan",
    "SdistSource",
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
    "layout_of",
    "model_install",
    "openai_prefixes",
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
]
