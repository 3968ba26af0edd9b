"""The list of service rooms. A new service is one new room and one line here."""

from __future__ import annotations

from roles import litellm, llama_cpp, ollama, redis, vllm
from roles.options import Service, Stack
from roles.plan import HostPlan, Planner, compile_stack

PLANNERS: dict[type[Service], Planner] = {
    **llama_cpp.PLANNERS,
    **ollama.PLANNERS,
    **vllm.PLANNERS,
    **redis.PLANNERS,
    **litellm.PLANNERS,
}


def plan_of(stack: Stack) -> HostPlan:
    """The host plan of a stack."""
    return compile_stack(stack, PLANNERS)
