"""Redis: what the gateway remembers answers in, and shares with other gateways."""

from roles.plan import Planner
from roles.redis.plan import plan_redis
from roles.redis.spec import Redis
from roles.spec import Service

PLANNERS: dict[type[Service], Planner] = {Redis: plan_redis}

__all__ = ["PLANNERS", "Redis"]
