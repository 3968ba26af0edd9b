"""The LiteLLM gateway."""

from roles.litellm.plan import plan_gateway
from roles.litellm.spec import LiteLLM
from roles.plan import Planner
from roles.spec import Service

PLANNERS: dict[type[Service], Planner] = {LiteLLM: plan_gateway}

__all__ = ["PLANNERS", "LiteLLM"]
