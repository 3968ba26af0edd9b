"""Redis's part of a host plan: Debian's program under a unit of our own."""

from __future__ import annotations

from importlib import resources

from roles.plan import Context, Endpoint, EnvValue, ServicePlan, Unit, render, unit_file
from roles.redis.spec import Redis

_UNIT = "ai-backend-redis.service"
_DEBIANS_UNIT = "redis-server.service"
_CONFIG = "redis/redis.conf"
_START = "bin/start-redis"
_PASSWORD_VARIABLE = "REDIS_PASSWORD"


def plan_redis(redis: Redis, context: Context) -> ServicePlan:
    """`ai-backend-redis.service`."""
    layout = context.layout
    config = f"{layout.config}/{_CONFIG}"
    files = {_CONFIG: render("redis.conf.j2", redis=redis)}
    secrets: dict[str, EnvValue] = {}
    command = ["/usr/bin/redis-server", config]
    if redis.password:
        files[_START] = (resources.files("roles") / "redis" / "start.sh").read_text()
        secrets[_PASSWORD_VARIABLE] = redis.password
        command = ["/bin/sh", f"{layout.config}/{_START}", config]
    unit = Unit(
        name=_UNIT,
        text=unit_file(
            "redis.service.j2",
            layout=layout,
            unit=_UNIT,
            service=redis,
            command=command,
            environment={},
            secrets=secrets,
            memory_max=redis.memory_max,
            before_gateway=True,
            loopback_only=redis.is_local,
        ),
        environment=secrets,
        reads=tuple(files),
        installs=(),
        start_timeout=redis.start_timeout,
        endpoint=Endpoint(redis.bind, redis.port, f"redis://{redis.reachable_at}:{redis.port}"),
    )
    return ServicePlan(
        units=(unit,),
        packages=("redis-server",),
        keep_off=(_DEBIANS_UNIT,),
        files=files,
    )
