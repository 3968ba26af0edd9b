"""Loading the inventories that the project ships, as plain Python files."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from roles.options import Stack

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"


def load_stack(file: str, host: str) -> Stack:
    """The stack of one host of `inventory/<file>`."""
    hosts: list[tuple[str, dict[str, Any]]] = runpy.run_path(str(INVENTORY / file))["hosts"]
    stack = dict(hosts)[host]["stack"]
    assert isinstance(stack, Stack)
    return stack
