"""The verifier's own queries of a Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.codes import Code

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")


class RedisRefuses(Exception):
    """Redis answers with an error. The message is as on the wire: `-NOAUTH Authentication required.`

    Attributes:
        code: the first word, e.g. `NOAUTH`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(f"-{text}")
        self.code = text.partition(" ")[0]


async def ask_redis(url: str, ask: Callable[[Redis], Awaitable[T]], timeout: float, password: str | None = None) -> T:
    """What `ask` gets from the client, over a connection of its own; each command is sent once.

    Args:
        url: redis://<address>:<port>
        timeout: seconds for all of it.

    Raises:
        RedisRefuses: it answers with an error.
        CheckFailed: it does not answer.
    """
    # The import takes 0.1 s of processor time, and most hosts have no Redis.
    import redis
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    client = Redis.from_url(
        url, single_connection_client=True, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0)
    )
    connected = ""
    try:
        async with asyncio.timeout(timeout), aclosing(client):
            await client.initialize()
            connected = "a connection, and "
            if password:
                await client.auth(password)
            return await ask(client)
    except (TimeoutError, redis.TimeoutError):
        code: Code = "answer-timeout" if connected else "connect-timeout"
        raise CheckFailed(code, f"{connected or 'no connection, and '}no answer within {timeout:.0f} s") from None
    except redis.RedisError as error:
        # The library strips the codes that it knows.
        if error.status_code or isinstance(error, redis.ResponseError):
            raise RedisRefuses(" ".join(filter(None, (error.status_code, str(error))))) from None
        ended = connected and isinstance(error, redis.ConnectionError)
        raise CheckFailed("connection-failed", "no answer" if ended else f"no answer: {error}") from None
