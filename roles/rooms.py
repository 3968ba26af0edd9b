"""The list of rooms: each registers itself when it is imported. A new service of the project is one line here."""

from __future__ import annotations

import roles.external
import roles.litellm
import roles.llama_cpp
import roles.monitoring
import roles.ollama
import roles.redis
import roles.vllm
from roles.options import Stack
from roles.plan import NO_PINS, HostPlan, KnownFacts, Pins, compile_stack, not_known, planners


def plan_of(stack: Stack, pins: Pins = NO_PINS, *, known: KnownFacts = not_known) -> HostPlan:
    """The host plan of a stack, with what its lock pins.

    Args:
        known: the facts of the models that it names, for the memory plan.
    """
    return compile_stack(stack, planners(), pins, facts_of=known)
