"""The clients of a host: what they may do, whether they have a key, and the making of keys."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FactBase, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from roles.contract.clients import KeysState, MakeKeys, ReadKeys
from roles.host.program import HostProgram, answer, program_command
from roles.host.target import Target
from roles.options import Client, GivenSecret
from roles.plan import Layout


class ClientKeys(FactBase[KeysState]):
    """Which clients have a key, in the generation that runs. Reads only.

    Asked with `_stdin=StandardInput(keys_request(layout))`.
    """

    def command(self) -> StringCommand:
        return program_command(ReadKeys.program)

    def process(self, output: list[str]) -> KeysState:
        return answer(KeysState, output)


def keys_request(layout: Layout) -> ReadKeys:
    return ReadKeys(scope=layout.scope, config=layout.config)


@operation()
def make_keys(*, rotate: str | None = None) -> Generator[PyinfraCommand, None, None]:
    """Make the keys that are missing, and a new one for the client to rotate. Each is printed once."""
    layout = Target.of(host).plan.layout
    yield HostProgram(MakeKeys(state=layout.state, scope=layout.scope, config=layout.config, rotate=rotate))


def described(client: Client, state: KeysState) -> str:
    """One line on a client of the inventory."""
    if client.name in state.without_key:
        key = "no key yet"
    elif client.name in state.with_key:
        given = isinstance(client.key, GivenSecret)
        key = f"key given by {client.key.source()}" if given else "key made on the host"
    else:
        key = "not deployed yet: run deploys/full.py"
    limits = limits_of({**client.model_dump(include={"rpm", "tpm", "max_parallel", "budget"}), "models": client.routes})
    end = f"until the end of {client.expires} (UTC)" if client.expires else "without an end"
    return f"{client.name}: {limits}; {end}; {key}"


def limits_of(client: Mapping[str, Any]) -> str:
    """What a client may do, in words; the names are those of `roles.contract.clients.Limits`."""
    models: Sequence[str] = client.get("models") or ()
    parts = [f"routes {', '.join(models)}" if models else "all routes"]
    units = {"rpm": "requests a minute", "tpm": "tokens a minute", "max_parallel": "at the same time"}
    parts += [f"{client[limit]} {unit}" for limit, unit in units.items() if client.get(limit) is not None]
    if budget := client.get("budget"):
        parts.append(f"{budget['usd']:g} US dollars a {budget['per']}")
    return ", ".join(parts)
