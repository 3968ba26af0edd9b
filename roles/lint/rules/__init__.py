"""All rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from roles.lint.rule import Rule
from roles.lint.rules import environment, keys, providers, reading, routing, settings, shapes, values

GROUPS: Mapping[str, ModuleType] = {
    "The file": reading,
    "Shapes": shapes,
    "Keys": keys,
    "Routing": routing,
    "Providers": providers,
    "Values": values,
    "Environment and keys": environment,
    "Settings that hurt": settings,
}
"""Title → the module with its rules, in the order of the docs."""


def rules_of(module: ModuleType) -> tuple[Rule, ...]:
    """The rules of a module, in its order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Rule))


READING = rules_of(reading)
RULES: tuple[Rule, ...] = tuple(rule for module in GROUPS.values() for rule in rules_of(module))
