"""vLLM."""

from roles.options import Service
from roles.plan import Planner
from roles.vllm.options import Vllm, VllmPackage
from roles.vllm.plan import plan_vllm

PLANNERS: dict[type[Service], Planner] = {Vllm: plan_vllm}

__all__ = ["PLANNERS", "Vllm", "VllmPackage"]
