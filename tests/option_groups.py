"""The groups of options, of the project and of the toy service, and what an inventory can import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import roles.options
import roles.rooms  # registers the rooms of services
import tests.toy_service
from roles.options import Options
from roles.plan import rooms


def _below(base: type[Options]) -> Iterator[type[Options]]:
    for group in base.__subclasses__():
        if group.__module__.startswith(("roles.", f"{tests.toy_service.__name__}.")):
            yield group
        yield from _below(group)


GROUPS = [group for group in dict.fromkeys(_below(Options)) if not group.__name__.startswith("_")]
"""Those that an inventory can write, and their public bases."""


def public_names() -> dict[str, Any]:
    """What an inventory can import: the public names of the options and of the rooms."""
    packages = [service.__module__.rpartition(".")[0] for room in rooms() for service in room.planners]
    modules = [roles.options, *(sys.modules[package] for package in packages)]
    return {name: getattr(module, name) for module in modules for name in module.__all__}
