"""Stack → host plan → generation: pure functions over plain data."""

from roles.plan.compile import Context, Planner, compile_stack
from roles.plan.generation import Generation, RenderedFile, ResolvedInstall, resolve
from roles.plan.hub import hub_install
from roles.plan.layout import Layout, layout_of
from roles.plan.model import (
    MEGABYTE,
    Backend,
    EnvValue,
    GeneratedVariable,
    HostPlan,
    Install,
    Json,
    PlatformKey,
    Ready,
    RoutePlan,
    ServicePlan,
    Unit,
)
from roles.plan.python_env import python_env, read_lock
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_VARIABLE, unit_file
from roles.plan.verifier import COMMAND as VERIFIER_COMMAND
from roles.plan.verifier import verifier_command, verifier_install

__all__ = [
    "DIGEST_VARIABLE",
    "MEGABYTE",
    "VERIFIER_COMMAND",
    "Backend",
    "Context",
    "EnvValue",
    "GeneratedVariable",
    "Generation",
    "HostPlan",
    "Install",
    "Json",
    "Layout",
    "Planner",
    "PlatformKey",
    "Ready",
    "RenderedFile",
    "ResolvedInstall",
    "RoutePlan",
    "ServicePlan",
    "Unit",
    "compile_stack",
    "hub_install",
    "layout_of",
    "python_env",
    "read_lock",
    "render",
    "resolve",
    "unit_file",
    "verifier_command",
    "verifier_install",
]
