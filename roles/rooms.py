"""The list of rooms: each registers itself when it is imported. A new service of the project is one line here."""

from __future__ import annotations

import roles.litellm
import roles.llama_cpp
import roles.ollama
import roles.redis
import roles.vllm
from roles.options import Stack
from roles.plan import HostPlan, compile_stack, planners


def plan_of(stack: Stack) -> HostPlan:
    """The host plan of a stack."""
    return compile_stack(stack, planners())
