"""Takes an instance of the gateway out of work that is frozen, and not one that is merely busy.

    python3 watch-instances SOCKET BACKEND NAME=PORT …

HAProxy's own checks are requests: an instance at full load answers them late, so they have much time, and one that is
frozen, whose kernel still takes connections for it, would be sent requests all that while. Here each instance is only
asked to see that a connection has ended: its event loop does that however many requests wait, and writes no line in
its log. One that is late with that too is busy as long as its answers go on. Whoever is taken for frozen loses nothing:
what was sent to it stays with it, and it has work again with its first answer.

It runs beside HAProxy in the front's unit, stands alone, and needs nothing but Python.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import time

PAUSE = 0.5
PATIENCE = 2.0
"""Seconds. With the pause before it: a frozen instance gets requests for 2.5 s at most."""
_ANSWER_SECONDS = 5.0


class Front:
    """HAProxy's runtime socket."""

    def __init__(self, socket: str, backend: str) -> None:
        self._socket, self._backend = socket, backend

    async def servers(self) -> dict[str, dict[str, str]]:
        """What HAProxy tells of each: `bout` are the bytes that it has answered with."""
        table = (await self._ask(f"show stat {self._backend} 4 -1")).removeprefix("# ")
        return {row["svname"]: row for row in csv.DictReader(table.strip().splitlines())}

    async def take_out(self, server: str) -> None:
        """Until HAProxy's own check sees that it answers."""
        await self._ask(f"set server {self._backend}/{server} health down")

    async def _ask(self, command: str) -> str:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(f"{command}\n".encode())
                await writer.drain()
                return (await reader.read()).decode()
            finally:
                writer.close()


async def is_frozen(port: int) -> bool:
    """Whether nobody sees that a connection has ended. Where there is none, HAProxy's own check is enough."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write_eof()
                await reader.read()
            finally:
                writer.close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


async def watch(front: Front, server: str, port: int) -> None:
    since: float | None = None
    while True:
        try:
            before = await front.servers()
            frozen = await is_frozen(port)
            now = await front.servers() if frozen else before
            if not frozen or now[server]["bout"] != before[server]["bout"]:
                if since is not None:
                    print(f"{server} goes on after {time.monotonic() - since:.0f} s", flush=True)
                since = None
            else:
                if since is None:
                    since = time.monotonic()
                    print(f"{server} is frozen", flush=True)
                up = {name for name, row in now.items() if row["status"].startswith("UP")}
                # The last one stays: to wait for it is better than to be refused.
                if server in up and up - {server}:
                    await front.take_out(server)
                    print(f"{server} is out of work", flush=True)
        except (OSError, TimeoutError) as error:
            print(f"HAProxy can not be asked: {error}", flush=True)
        await asyncio.sleep(PAUSE)


async def main(socket: str, backend: str, *servers: str) -> None:
    front = Front(socket, backend)
    ports = [server.split("=") for server in servers]
    await asyncio.gather(*(watch(front, name, int(port)) for name, port in ports))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
