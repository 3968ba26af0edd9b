"""Redis: what the gateway remembers answers in, and shares with other gateways."""

from roles.options import Service
from roles.plan import Planner
from roles.redis.options import Redis
from roles.redis.plan import plan_redis

PLANNERS: dict[type[Service], Planner] = {Redis: plan_redis}

__all__ = ["PLANNERS", "Redis"]
