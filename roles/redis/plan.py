"""Redis's part of a host plan: Debian's program under our own unit."""

from __future__ import annotations

from importlib import resources

from roles.plan import Endpoint, HostContext, Login, ServerUnit, ServicePlan, render, unit_file
from roles.redis.options import Redis

_UNIT = "ai-backend-redis.service"
_DEBIANS_UNIT = "redis-server.service"
_CONFIG = "redis/redis.conf"
_START = "bin/start-redis"
_PASSWORD_VARIABLE = "REDIS_PASSWORD"
_GATEWAYS_VARIABLE = "CACHE_PASSWORD"
"""LiteLLM would take a variable of the other name for one of its own settings."""


def plan_redis(redis: Redis, context: HostContext) -> ServicePlan:
    """`ai-backend-redis.service`."""
    layout = context.layout
    config = f"{layout.config}/{_CONFIG}"
    files = {
        _CONFIG: render("redis/redis.conf.j2", redis=redis),
        _START: (resources.files("roles") / "redis" / "start.sh").read_text(),
    }
    login = Login(redis.password, layout.secret_file(_UNIT), _PASSWORD_VARIABLE, _GATEWAYS_VARIABLE)
    secrets = login.given(_PASSWORD_VARIABLE)
    unit = ServerUnit(
        name=_UNIT,
        text=unit_file(
            "redis/redis.service.j2",
            layout=layout,
            unit=_UNIT,
            service=redis,
            command=["/bin/sh", f"{layout.config}/{_START}", config],
            environment={},
            secrets=secrets,
            environment_files=login.files,
            memory_max=redis.memory_max,
            before_gateway=True,
            loopback_only=redis.is_local,
        ),
        environment=secrets,
        reads=tuple(files),
        start_timeout=redis.start_timeout,
        endpoint=Endpoint(redis.bind, redis.port, f"redis://{redis.reachable_at}:{redis.port}"),
    )
    return ServicePlan(
        units=(unit,),
        packages=("redis-server",),
        keep_off=(_DEBIANS_UNIT,),
        files=files,
        generated_secrets=login.generated,
        login=login,
    )
