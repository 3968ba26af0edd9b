"""What the verifier asks a Redis itself, in Redis's own protocol: of an answer it needs no more than the first line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from roles.verify.verdict.claim import CheckFailed
from roles.verify.verdict.codes import Code


async def ask_redis(url: str, commands: Sequence[Sequence[str]], timeout: float) -> str:
    """The first line of the answer to the last of the commands, or to the first that is refused: `+PONG`, `:1`,
    `-NOAUTH Authentication required.`

    Args:
        url: redis://<address>:<port>
        commands: each by its words.
        timeout: seconds for all of it.

    Raises:
        CheckFailed: it does not answer.
    """
    host, _, port = url.removeprefix("redis://").rpartition(":")
    connected, answer = "", ""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, int(port))
            connected = "a connection, and "
            try:
                for words in commands:
                    writer.write(_encoded(words))
                    answer = (await reader.readline()).decode(errors="replace").strip()
                    if not answer or answer.startswith("-"):
                        break
            finally:
                writer.close()
    except TimeoutError:
        code: Code = "answer-timeout" if connected else "connect-timeout"
        raise CheckFailed(code, f"{connected or 'no connection, and '}no answer within {timeout:.0f} s") from None
    except OSError as error:
        raise CheckFailed("connection-failed", f"no answer: {error.strerror}") from None
    return answer


def _encoded(words: Sequence[str]) -> bytes:
    """A command as an array of strings: <https://redis.io/docs/latest/develop/reference/protocol-spec/>."""
    strings = [word.encode() for word in words]
    return b"".join([b"*%d\r\n" % len(strings), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in strings)])
