"""vLLM."""

from roles.plan import Planner
from roles.spec import Service
from roles.vllm.plan import plan_vllm
from roles.vllm.spec import Vllm, VllmPackage

PLANNERS: dict[type[Service], Planner] = {Vllm: plan_vllm}

__all__ = ["PLANNERS", "Vllm", "VllmPackage"]
