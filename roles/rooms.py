"""The list of rooms: each registers itself when it is imported. A new service of the project is one line here."""

from __future__ import annotations

from collections.abc import Mapping

import roles.external
import roles.litellm
import roles.llama_cpp
import roles.monitoring
import roles.ollama
import roles.redis
import roles.vllm
from roles.options import Stack
from roles.plan import (
    ALONE,
    NO_PINS,
    HostPlan,
    KnownFacts,
    Member,
    Pins,
    Place,
    compile_stack,
    fleet_of,
    not_known,
    planned_backend,
    planners,
)


def plan_of(stack: Stack, pins: Pins = NO_PINS, *, known: KnownFacts = not_known, place: Place = ALONE) -> HostPlan:
    """The host plan of a stack, with what its lock pins.

    Args:
        known: the facts of the models that it names, for the memory plan.
        place: its host's place among the others.
    """
    return compile_stack(stack, planners(), pins, facts_of=known, place=place)


def members_of(stacks: Mapping[str, Stack]) -> dict[str, Member]:
    """The hosts of an inventory, and what they have to do with each other.

    Raises:
        OptionsError: as `fleet_of`.
    """
    return fleet_of(stacks, lambda stack, server: planned_backend(stack, server, planners()))
