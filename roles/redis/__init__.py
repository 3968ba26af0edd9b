"""Redis: what the gateway remembers answers in, and shares with other gateways."""

from roles.plan import register
from roles.redis.options import Redis
from roles.redis.plan import plan_redis

ROOM = register("redis", {Redis: plan_redis})

__all__ = ["ROOM", "Redis"]
