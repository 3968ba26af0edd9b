"""Redis's part of a host plan: Debian's program under a unit of our own."""

from __future__ import annotations

from roles.plan import Context, Endpoint, EnvValue, ServicePlan, Unit, render, unit_file
from roles.redis.spec import Redis

_UNIT = "ai-backend-redis.service"
_DEBIANS_UNIT = "redis-server.service"
_CONFIG = "redis/redis.conf"
_PROGRAM = "/usr/bin/redis-server"
_PASSWORD_VARIABLE = "REDIS_PASSWORD"
# Redis takes the password from its configuration only, and its command line can be read by everybody: so it is told it
# over its standard input, and as a hash, which needs no quotes whatever the password holds.
_START_WITH_PASSWORD = f"""\
hash=$(printf %s "${_PASSWORD_VARIABLE}" | sha256sum | cut -c -64)
exec {_PROGRAM} "$1" - <<END
user default on #$hash ~* &* +@all
END
"""


def plan_redis(redis: Redis, context: Context) -> ServicePlan:
    """`ai-backend-redis.service`."""
    layout = context.layout
    config = f"{layout.config}/{_CONFIG}"
    secrets: dict[str, EnvValue] = {_PASSWORD_VARIABLE: redis.password} if redis.password else {}
    unit = Unit(
        name=_UNIT,
        text=unit_file(
            "redis.service.j2",
            layout=layout,
            unit=_UNIT,
            service=redis,
            command=["/bin/sh", "-c", _START_WITH_PASSWORD, "sh", config] if redis.password else [_PROGRAM, config],
            environment={},
            secrets=secrets,
            memory_max=redis.memory_max,
            before_gateway=True,
        ),
        environment=secrets,
        reads=(_CONFIG,),
        installs=(),
        start_timeout=redis.start_timeout,
        endpoint=Endpoint(redis.bind, redis.port, f"redis://{redis.reachable_at}:{redis.port}"),
    )
    return ServicePlan(
        units=(unit,),
        packages=("redis-server",),
        keep_off=(_DEBIANS_UNIT,),
        files={_CONFIG: render("redis.conf.j2", redis=redis)},
    )
