"""What `deploys/lock.py` calls: the lock of an inventory, made without a host."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyinfra
from pyinfra.api.exceptions import DeployError

from roles.data import UPGRADE, VALUES
from roles.host.inventory import InventoryError, stacks_of
from roles.lock import (
    Entry,
    LockContent,
    LockError,
    Reference,
    incomplete,
    lock_file,
    merged,
    read_lock_file,
    references_of,
    updated,
    write_lock_file,
)
from roles.lock.resolve import resolve_reference
from roles.options import OptionsError
from roles.rooms import members_of, plan_of


def lock() -> None:
    """Write the lock of the inventory that the command line names, and say what is another than before.

    Runs with Python alone: pyinfra would connect to the hosts first, and none is needed.

    Raises:
        DeployError: pyinfra runs it.
        SystemExit: with what is wrong, or 0.
    """
    if pyinfra.is_cli:
        raise DeployError("a lock needs no host, and pyinfra connects to all: run `python deploys/lock.py INVENTORY`")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    try:
        given = _parser().parse_args(arguments)
        lines = write_lock(Path(given.inventory), _upgrade(given.data))
    except (LockError, InventoryError) as error:
        print(error, file=sys.stderr)
        return 1
    except OptionsError as error:
        print(f"inventory error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def write_lock(inventory: Path, upgrade: str | None) -> list[str]:
    """Write it; what is another than before, a line each.

    Raises:
        LockError, InventoryError, OptionsError: it cannot be made. The file is as it was.
    """
    path = lock_file(inventory)
    hosts = {
        name: references_of(plan_of(each.stack, place=each.place))
        for name, each in members_of(stacks_of(inventory)).items()
    }
    old = read_lock_file(path)
    update = updated(old or LockContent(), hosts, upgrade, _asked)
    same = len({key for names in update.content.hosts.values() for key in names})
    still = incomplete(update.content, merged(reference for each in hosts.values() for reference in each))
    lines = [f"not known yet: {each}" for each in still]
    if old == update.content:
        return [*lines, f"{path}: nothing changed; {same} things are locked"]
    write_lock_file(path, update.content, inventory)
    return [*update.changes, *lines, f"{path}: written; {same} things are locked"]


def _asked(reference: Reference, keep: Entry | None) -> Entry:
    print(f"asking for {reference.key}", flush=True)
    return resolve_reference(reference, keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python deploys/lock.py",
        description="Writes the lock of an inventory beside it: the exact identity and size of all that its plans "
        "refer to. Needs the network, and no host.",
    )
    parser.add_argument("inventory", metavar="INVENTORY", help="such as inventory/gpu-box.py")
    parser.add_argument(
        "--data", action="append", default=[], metavar=UPGRADE.example, help="what moves; otherwise nothing does"
    )
    return parser


def _upgrade(data: Sequence[str]) -> str | None:
    """What `--data` gives.

    Raises:
        OptionsError: another value, or none of its form.
    """
    upgrade = None
    for each in data:
        name, _, text = each.partition("=")
        if name != UPGRADE.name:
            known = f" is for {VALUES[name].readers}" if name in VALUES else " is read by nothing"
            raise OptionsError(f"`--data {name}=…`{known}: deploys/lock.py reads --data {UPGRADE.example}")
        upgrade = UPGRADE.read(text)
    return upgrade
