"""The hosts of an inventory file, without connecting to any."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roles.options import Stack


class InventoryError(Exception):
    """An inventory cannot be read: the message names what and where."""


def stacks_of(inventory: Path) -> dict[str, Stack]:
    """Host → its stack.

    Raises:
        InventoryError: it cannot be read, names no host, or a host has none.
        OptionsError: what it declares is invalid.
    """
    hosts = _hosts_of(inventory)
    if not hosts:
        raise InventoryError(f'{inventory} names no host; write hosts = [("ADDRESS", {{"stack": Stack(…)}})]')
    return {name: stack_of(name, data.get("stack")) for name, data in hosts.items()}


def stack_of(name: str, stack: object) -> Stack:
    """The stack that a host's data has.

    Raises:
        InventoryError: it is none.
    """
    if not isinstance(stack, Stack):
        found = "has no `stack`" if stack is None else f"has a `stack` that is a {type(stack).__name__}"
        if isinstance(stack, type):
            found = f"has {stack.__name__} without its parentheses as `stack`"
        raise InventoryError(f'host "{name}" in the inventory {found}; give it one: ("{name}", {{"stack": Stack(…)}})')
    return stack


def _hosts_of(inventory: Path) -> dict[str, dict[str, Any]]:
    """Host → its data, with that of its groups in the file. Files in `group_data` are not read.

    Source: `pyinfra_cli.inventory` of pyinfra 3, which cannot be imported without its patches of the standard library.
    """
    if not inventory.is_file():
        raise InventoryError(f"{inventory} is not there: give the path of an inventory, such as inventory/gpu-box.py")
    try:
        names = runpy.run_path(str(inventory))
    except Exception as error:
        raise InventoryError(f"{inventory} cannot be executed: {type(error).__name__}: {error}; fix it") from None
    of_groups: dict[str, dict[str, Any]] = {}
    own: dict[str, dict[str, Any]] = {}
    for name, value in names.items():
        if not name.startswith("_"):
            for host, data, of_group in _members(value):
                of_groups.setdefault(host, {}).update(of_group)
                own.setdefault(host, {}).update(data)
    return {host: {**of_groups[host], **own[host]} for host in own}


def _members(value: object) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The hosts of a group, each with its data and the group's; of anything else none."""
    group: object = value
    of_group: object = {}
    if isinstance(value, tuple) and len(value) == 2:
        group, of_group = value
    if not isinstance(group, list) or not isinstance(of_group, Mapping):
        return
    hosts = [(each, {}) if isinstance(each, str) else each for each in group]
    if all(isinstance(each, tuple) and len(each) == 2 and isinstance(each[1], Mapping) for each in hosts):
        yield from ((str(host), data, of_group) for host, data in hosts)
