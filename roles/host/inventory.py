"""The hosts of an inventory file, read as pyinfra reads it, without connecting to any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyinfra.api import State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_state


class InventoryError(Exception):
    """An inventory cannot be read: the message names what and where."""


def hosts_of(inventory: Path) -> dict[str, Mapping[str, Any]]:
    """Host → its data, with that of its groups.

    Raises:
        InventoryError: there is no such file, or it cannot be executed.
        OptionsError: what it declares is invalid.
    """
    if not inventory.is_file():
        raise InventoryError(f"{inventory} is not there: give the path of an inventory, such as inventory/gpu-box.py")
    # Not above: pyinfra's command patches the standard library when it is imported.
    from pyinfra_cli.exceptions import UnexpectedExternalError
    from pyinfra_cli.inventory import make_inventory

    ctx_state.set(State())  # type: ignore[no-untyped-call]
    try:
        found: Any = make_inventory(str(inventory), cwd=str(Path.cwd()))
    except UnexpectedExternalError as error:
        cause = error.exception
        raise InventoryError(f"{inventory} cannot be executed: {type(cause).__name__}: {cause}; fix it") from None
    except PyinfraError as error:
        raise InventoryError(f"{inventory} cannot be read: {error}; fix it") from None
    return {host.name: host.data.dict() for host in found}
