"""All rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from roles.lint.rule import Rule
from roles.lint.rules import (
    addresses,
    administration,
    cache,
    callbacks,
    enterprise,
    entries,
    environment,
    guardrails,
    keys,
    limits,
    master_key,
    mcp,
    providers,
    python_files,
    reading,
    routing,
    settings,
    shapes,
    types,
    values,
)

GROUPS: Mapping[str, ModuleType] = {
    "The file": reading,
    "Shapes": shapes,
    "Keys": keys,
    "Routing": routing,
    "Providers": providers,
    "Addresses": addresses,
    "Values": values,
    "Types": types,
    "Limits": limits,
    "Environment and keys": environment,
    "Master key": master_key,
    "Cache": cache,
    "Callbacks": callbacks,
    "Python files": python_files,
    "Guardrails": guardrails,
    "MCP servers": mcp,
    "Lists of other things": entries,
    "Administration": administration,
    "Enterprise": enterprise,
    "Settings that hurt": settings,
}
"""Title → the module with its rules, in the order of the docs."""


def rules_of(module: ModuleType) -> tuple[Rule, ...]:
    """The rules of a module, in its order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Rule))


READING = rules_of(reading)
RULES: tuple[Rule, ...] = tuple(rule for module in GROUPS.values() for rule in rules_of(module))
