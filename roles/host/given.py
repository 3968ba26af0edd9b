"""What `--data` gives to a run, or an inventory in its place: read in one way, refused before a host is touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyinfra
from pyinfra.api import Host, State
from pyinfra.api.arguments import all_argument_meta
from pyinfra.api.connectors import get_all_connectors
from pyinfra.api.exceptions import DeployError

from roles.data import VALUES, Value, of_deploys
from roles.options import OptionsError
from roles.options.base import nearest

T = TypeVar("T")

_OF_THE_INVENTORY = "stack"


def given(host: Host, value: Value[T]) -> T | None:
    """A value for one host, or none if neither the command line nor the inventory gives it.

    Raises:
        DeployError: it is not what it is to be.
    """
    found = host.data.get(value.name)
    overrides = _of_the_command_line(host.state)
    if value.name in overrides and repr(overrides[value.name]) == repr(found):
        found = _as_written(value.name, found)
    elif found is None:
        return None
    try:
        return value.read(found)
    except OptionsError as error:
        raise DeployError(f"{host.name}: {error}") from None


def check_names(state: State) -> None:
    """
    Raises:
        DeployError: `--data` gives a name that nothing reads, or that this deploy does not read.
    """
    names = set(_of_the_command_line(state))
    if _OF_THE_INVENTORY in names:
        raise DeployError("`stack` is what the inventory declares: --data cannot give it; edit the inventory")
    for name in sorted(names & set(VALUES) - of_deploys(_deploy_files())):
        raise DeployError(
            f"`--data {name}=…` is for {VALUES[name].readers}: this deploy does not read it; leave it out"
        )
    for name in sorted(names - set(VALUES) - set(_declared(state))):
        if name not in _of_pyinfra():
            raise DeployError(
                f'`--data {name}=…`: nothing reads "{name}"{nearest(name, VALUES)} '
                f"(`python -m roles.data` lists all: {', '.join(sorted(VALUES))})"
            )


def inventory_file() -> Path | None:
    """The file that this run's command line names as its inventory; none = it names hosts, or something else runs
    this."""
    named = _command_line().get("inventory")
    return Path(named) if isinstance(named, str) and Path(named).is_file() else None


def _of_the_command_line(state: State) -> Mapping[str, object]:
    """What `--data` gives, as pyinfra has parsed it."""
    found: Mapping[str, object] = state.inventory.get_override_data()  # type: ignore[no-untyped-call]
    return found


def _declared(state: State) -> Iterator[str]:
    """The names that the inventory itself gives to some host: whatever reads them, they may be overruled."""
    inventory: Any = state.inventory
    yield from inventory.get_data()
    for host in inventory:
        yield from inventory.get_host_data(host.name)
        yield from inventory.get_groups_data(host.groups)


def _of_pyinfra() -> frozenset[str]:
    """The names that pyinfra reads: `ssh_user`, `_sudo`, …"""
    connectors = get_all_connectors().values()  # type: ignore[no-untyped-call]
    return frozenset(all_argument_meta) | {name for connector in connectors for name in connector.data_meta}


def _as_written(name: str, parsed: object) -> object:
    """The text of the command line, of which pyinfra has made `parsed`; that, if the text is not there."""
    for argument in _command_line().get("data") or ():
        key, _, text = argument.partition("=")
        if key == name:
            # The last one counts.
            parsed = text
    return parsed


def _deploy_files() -> list[str]:
    """Names of the deploy files of this run, without `.py`; empty = something else than pyinfra's command runs them."""
    operations: tuple[str, ...] = _command_line().get("operations") or ()
    return [operation.replace("\\", "/").rpartition("/")[2].removesuffix(".py") for operation in operations]


def _command_line() -> Mapping[str, Any]:
    """The options of pyinfra's command, as its own parser reads them; empty if something else runs this."""
    if not pyinfra.is_cli:
        return {}
    # Not above: without pyinfra's command it is not to be imported, as it patches the standard library.
    from pyinfra_cli.cli import cli

    found: Mapping[str, Any] = cli.make_context("pyinfra", sys.argv[1:], resilient_parsing=True).params
    return found
