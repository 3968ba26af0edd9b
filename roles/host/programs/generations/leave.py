"""Going back to before the first generation: the host as it was, but for installs, models and what is kept of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from roles.contract.generation import NO_GENERATION
from roles.contract.requests import Activation, Leave
from roles.host.programs.console import HostError, say
from roles.host.programs.foreign.folders import leads_to_a_generation
from roles.host.programs.foreign.take_over import give_back
from roles.host.programs.generations.activate import remove_units
from roles.host.programs.generations.record import note
from roles.host.programs.generations.running import linked_units
from roles.host.programs.systemd import Manager


def main(request: Leave) -> None:
    """Leave the host.

    Raises:
        HostError: something that was taken over could not be given back.
    """
    problems = leave(request, why="the host goes back to before the first generation")
    if problems:
        raise HostError("\n".join(["the stack is stopped, and not all is as before it:", *problems]))


def leave(request: Activation, *, why: str) -> list[str]:
    """Stop and unlink all units, and give back what was taken over; returns what could not be, each with its reason."""
    manager = Manager(request.scope)
    config, units_folder = Path(request.config), Path(request.units_folder)
    left = config.readlink() if leads_to_a_generation(config, Path(request.generations)) else None
    with contextlib.suppress(FileNotFoundError):
        Path(request.state, "activated").unlink()
    # Before the units stop: the firewall removes its rules once nobody declares them.
    if left:
        config.unlink()
    names = linked_units(units_folder, config)
    remove_units(manager, names, units_folder, units_folder / f"{request.wanted_by}.wants", why=why)
    manager.call("daemon-reload")
    for name in names:
        with contextlib.suppress(HostError):
            manager.call("reset-failed", name)
    say("no generation is active; installs, models and earlier generations stay")
    note(request.state, "rolled back", NO_GENERATION, request.who, **{"from": left.name if left else None}, reason=why)
    return give_back(request)
