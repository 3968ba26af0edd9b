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
import math
import sys
import time
from collections.abc import Mapping

PAUSE = 0.5
PATIENCE = 2.0
"""Seconds. With the pause before it: a frozen instance gets requests for 2.5 s at most."""
_ANSWER_SECONDS = 5.0


class Front:
    """HAProxy's runtime socket."""

    def __init__(self, socket: str, backend: str) -> None:
        self._socket, self._backend = socket, backend

    async def servers(self) -> dict[str, dict[str, str]]:
        """What HAProxy reports of each: `bout` is the number of bytes of its answers."""
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
    """Whether nobody sees that a connection has ended.

    Raises:
        ConnectionError: nobody listens, or no longer.
    """
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
    return False


class Watch:
    """Looks at all instances side by side, and decides on one at a time."""

    def __init__(self, front: Front, ports: Mapping[str, int]) -> None:
        self._front, self._ports = front, ports
        self._answered = dict.fromkeys(ports, -math.inf)
        """When each was last seen at work, on the monotonic clock."""
        self._deciding = asyncio.Lock()

    async def run(self) -> None:
        await asyncio.gather(*map(self._watch, self._ports))

    async def _watch(self, server: str) -> None:
        since: float | None = None
        while True:
            began = time.monotonic()
            try:
                at_work = await self._is_at_work(server)
                if at_work:
                    self._answered[server] = time.monotonic()
                if at_work is not False:
                    if since is not None:
                        print(f"{server} goes on after {time.monotonic() - since:.0f} s", flush=True)
                    since = None
                else:
                    if since is None:
                        since = began
                        print(f"{server} does not answer", flush=True)
                    await self._take_out(server, since)
            except (OSError, TimeoutError) as error:
                print(f"HAProxy cannot be asked: {error}", flush=True)
            await asyncio.sleep(PAUSE)

    async def _is_at_work(self, server: str) -> bool | None:
        """None where nobody listens: HAProxy's own check is enough for that."""
        before = await self._front.servers()
        try:
            if not await is_frozen(self._ports[server]):
                return True
        except ConnectionError:
            return None
        now = await self._front.servers()
        return now[server]["bout"] != before[server]["bout"]

    async def _take_out(self, server: str, since: float) -> None:
        """Only while another one that is at work stays: to wait for an answer is better than to be refused."""
        async with self._deciding:
            up = {name for name, row in (await self._front.servers()).items() if row["status"].startswith("UP")}
            if server in up and any(self._answered[name] > since for name in up - {server}):
                await self._front.take_out(server)
                print(f"{server} is out of work", flush=True)


async def main(socket: str, backend: str, *servers: str) -> None:
    ports = {name: int(port) for name, port in (server.split("=") for server in servers)}
    await Watch(Front(socket, backend), ports).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
