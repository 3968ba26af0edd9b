"""Redis: the gateway's cache, in which gateways also share their state."""

from roles.plan import register
from roles.redis.options import Redis
from roles.redis.plan import plan_redis

ROOM = register("redis", {Redis: plan_redis})

__all__ = ["ROOM", "Redis"]
