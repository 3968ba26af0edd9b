"""Which clients of the generation that runs have a key. Changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from roles.contract.activation import read_activation
from roles.contract.clients import KeysState, ReadKeys
from roles.contract.generation import ACTIVATION, Live
from roles.contract.holders import clients_of
from roles.contract.wire import written
from roles.host.programs.console import HostError
from roles.host.programs.generations.front import Keys
from roles.host.programs.systemd import Manager


def main(request: ReadKeys) -> None:
    live = live_of(request.config)
    declared: list[str] = []
    missing: list[str] = []
    if live is not None:
        keys = Keys(Manager(request.scope).runtime, live)
        declared, missing = clients_of(keys.variables), keys.without_key
    state = KeysState(with_key=tuple(name for name in declared if name not in missing), without_key=tuple(missing))
    print(json.dumps(written(state)))


def live_of(config: str) -> Live | None:
    """How the front of the generation that runs gets keys; none = it knows of no clients.

    Raises:
        HostError: the generation is damaged.
    """
    try:
        units = read_activation(Path(config, ACTIVATION).read_text()).units
    except FileNotFoundError:
        return None
    except ValueError:
        raise HostError(f"{config}/{ACTIVATION} is damaged: run the deploy again") from None
    return next((unit.live for unit in units if unit.live and unit.live.made_digests), None)
