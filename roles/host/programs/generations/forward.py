"""Activating a generation, new or old; if it does not come up, going back to the one that worked."""

from __future__ import annotations

import time
from pathlib import Path

from roles.contract.requests import GoForward
from roles.host.programs.console import HostError, described
from roles.host.programs.foreign.take_over import give_back, stay_aside, take_over
from roles.host.programs.generations.activate import activate
from roles.host.programs.generations.kept import activated_units
from roles.host.programs.generations.record import first_line, note
from roles.host.programs.generations.rollback import go_back


def main(request: GoForward) -> None:
    """Activate a generation.

    Raises:
        HostError: it did not come up. The one before is active again, or the message says why not.
    """
    state, who, folder = request.state, request.who, Path(request.folder)
    began = time.monotonic()
    try:
        if request.take_over:
            take_over(request, [unit.name for unit in activated_units(folder)])
        activate(request, folder)
    except (HostError, OSError) as error:
        took = round(time.monotonic() - began, 1)
        note(state, "failed", folder.name, who, reason=first_line(described(error)), seconds=took)
        raise go_back(request, folder.name, described(error)) from None
    took = round(time.monotonic() - began, 1)
    if request.by_hand:
        note(state, "rolled back", folder.name, who, **{"from": request.found}, reason="by hand", seconds=took)
        if problems := give_back(request, to=folder):
            raise HostError("\n".join([f"generation {folder.name} is active, and not all is as before it:", *problems]))
    else:
        stay_aside(request, folder.name)
        note(state, "activated", folder.name, who, seconds=took)
