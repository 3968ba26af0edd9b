"""vLLM."""

from roles.plan import register
from roles.vllm.options import LoraAdapter, Vllm, VllmPackage
from roles.vllm.plan import plan_vllm

ROOM = register("vllm", {Vllm: plan_vllm})

__all__ = ["ROOM", "LoraAdapter", "Vllm", "VllmPackage"]
