"""What befalls a server of `routes_stack.py`, and a client that goes on sending its mistakes meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.lab.mistakes import KINDS, Kind
from tests.lab.routes_host import Deployed
from tests.lab.routes_stack import PORTS
from tests.lab.traffic import Gateway

ONE = "llama-server@one"


def _restored(deployed: Deployed, command: str) -> None:
    deployed.host.run(command)
    deployed.host.run(f"timeout 20 sh -c 'until curl -sf http://127.0.0.1:{PORTS['one']}/health; do sleep 0.1; done'")


def kill(deployed: Deployed) -> Callable[[], None]:
    folder = f"/run/systemd/system/{ONE}.service.d"
    deployed.host.run(f"mkdir -p {folder} && printf '[Service]\\nRestart=no\\n' > {folder}/dead.conf")
    deployed.host.run(f"systemctl daemon-reload && systemctl kill --signal=KILL {ONE}")
    again = f"systemctl daemon-reload && systemctl reset-failed {ONE} && systemctl start {ONE}"
    return lambda: _restored(deployed, f"rm -r {folder} && {again}")


def stop(deployed: Deployed) -> Callable[[], None]:
    deployed.host.run(f"systemctl stop {ONE}")
    return lambda: _restored(deployed, f"systemctl start {ONE}")


def freeze(deployed: Deployed) -> Callable[[], None]:
    deployed.host.run(f"systemctl kill --signal=STOP {ONE}")
    return lambda: _restored(deployed, f"systemctl kill --signal=CONT {ONE}")


def drop(deployed: Deployed) -> Callable[[], None]:
    port = PORTS["one"]
    hook = "type filter hook input priority 0;"
    rules = f"table inet fault {{ chain input {{ {hook} tcp dport {port} drop; tcp sport {port} drop; }}; }}\n"
    deployed.host.run("command -v nft >/dev/null || apt-get -qq install -y nftables", timeout=120)
    deployed.host.run("nft -f -", input=rules)
    return lambda: _restored(deployed, "nft delete table inet fault")


def restart(deployed: Deployed) -> Callable[[], None]:
    """Again and again: it answers for a moment, cuts what it has begun, refuses connections, says that it loads."""
    loop = f"while :; do systemctl restart {ONE}; sleep 0.5; done"
    deployed.host.run(f"systemd-run --quiet --unit=fault sh -c '{loop}'")
    # Each start counts towards the unit's limit.
    return lambda: _restored(deployed, f"systemctl stop fault && systemctl reset-failed {ONE}; systemctl start {ONE}")


_SENT = (
    "a picture",
    "temperature too high",
    "messages as a text",
    "two answers",
    "tool_choice without tools",
    # No server can take it. It is only found by one that is asked.
    "a chat that is too long by its server's count",
    # Not even a mistake: answered as any other.
    "a field that is none",
)
_PAUSE = 0.2


@dataclass
class Mistakes:
    """What became of the mistakes.

    Attributes:
        wrong: what was not as it should be.
        known: seconds of each that is one whatever the server is: none of them has to be asked.
    """

    wrong: list[str] = field(default_factory=list)
    known: list[float] = field(default_factory=list)


@contextmanager
def mistakes_meanwhile(deployed: Deployed, names: Sequence[str]) -> Iterator[Mistakes]:
    """One of each of some kinds at a time to each of these routes, while the block runs and once at least."""
    sent, enough, gateway = Mistakes(), threading.Event(), Gateway(deployed.host)
    kinds = [
        replace(kind, fields={**kind.fields, "model": name}) for kind in KINDS if kind.name in _SENT for name in names
    ]
    assert len(kinds) == len(_SENT) * len(names)
    thread = threading.Thread(target=lambda: asyncio.run(_send(gateway, kinds, sent, enough)), daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        enough.set()
        thread.join()


async def _send(gateway: Gateway, kinds: Sequence[Kind], sent: Mistakes, enough: threading.Event) -> None:
    async with gateway.client() as client:

        async def one(kind: Kind) -> None:
            began = time.monotonic()
            reply = await gateway.post(client, kind.path, kind.body("native", stream=False))
            if wrong := kind.wrong("native", reply.status_code, reply.text):
                sent.wrong.append(f"{kind.fields['model']}, {kind.name}: {wrong}")
            if kind.outcome and "too long" not in kind.name:
                sent.known.append(time.monotonic() - began)

        while True:
            await asyncio.gather(*map(one, kinds))
            if enough.is_set():
                return
            await asyncio.sleep(_PAUSE)
