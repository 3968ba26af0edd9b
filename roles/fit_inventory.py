"""What `deploys/fit.py` calls: the memory plan of an inventory, made without a host."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyinfra
from pyinfra.api.exceptions import DeployError

from roles.host import facts_of_source
from roles.host.inventory import InventoryError, stacks_of
from roles.lock import LockError, lock_file, locked_facts, read_lock_file
from roles.options import OptionsError
from roles.plan import HostPlan, memory_plan
from roles.rooms import members_of, plan_of

_DOES_NOT_FIT, _UNREADABLE = 1, 2


def fit() -> None:
    """Print what the servers of the inventory that the command line names take of cards and main memory.

    Runs with Python alone: pyinfra would connect to the hosts first, and none is needed.

    Raises:
        DeployError: pyinfra runs it.
        SystemExit: 0 = what is known fits, or no memory is declared; 1 = it does not fit; 2 = it cannot be planned.
    """
    if pyinfra.is_cli:
        raise DeployError("it needs no host, and pyinfra connects to all: run `python deploys/fit.py INVENTORY`")
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    given = _parser().parse_args(arguments)
    try:
        inventory = Path(given.inventory)
        known = locked_facts(read_lock_file(lock_file(inventory)), facts_of_source)
        hosts = {
            name: plan_of(each.stack, known=known, place=each.place)
            for name, each in members_of(stacks_of(inventory)).items()
        }
    except (InventoryError, LockError) as error:
        print(error, file=sys.stderr)
        return _UNREADABLE
    except OptionsError as error:
        print(f"inventory error: {error}", file=sys.stderr)
        return _UNREADABLE
    fits = True
    for name, plan in hosts.items():
        print("\n".join([f"{name}:", *described(plan)]))
        fits = fits and all(card.fits for card in memory_plan(plan.uses, plan.card_sizes))
        fits = fits and plan.main_memory_plan(plan.main_memory).fits
    return 0 if fits else _DOES_NOT_FIT


def described(plan: HostPlan) -> Iterator[str]:
    """The tables of a host's cards, and of its main memory."""
    for card in memory_plan(plan.uses, plan.card_sizes):
        yield card.table()
        if card.size is None:
            yield 'How large the card is, no `Gpus(memory="24G")` says: preflight compares with the real one.'
    main = plan.main_memory_plan(plan.main_memory)
    if main.rows or main.unknown:
        yield main.table()
        if main.size is None:
            yield 'How much the host has, no `Stack(memory="16G")` says: preflight compares with the real one.'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python deploys/fit.py",
        description="Prints what the servers of an inventory take of cards and main memory. Needs no host.",
        epilog="Exit status: 0 what is known fits, or no memory is declared; 1 it does not; 2 it cannot be planned.",
    )
    parser.add_argument("inventory", metavar="INVENTORY", help="such as inventory/gpu-box.py")
    return parser
