"""The contents of `ACTIVATION`, as this version writes them and as this and earlier ones have written them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from roles.contract.generation import ActivatedUnit
from roles.contract.wire import read


@dataclass(frozen=True, kw_only=True)
class ActivationFile:
    """The units, in the order of the plan."""

    units: tuple[ActivatedUnit, ...]


def read_activation(text: str) -> ActivationFile:
    """The contents, also of another version; keys that this one does not know are ignored.

    Raises:
        ValueError: they are damaged.
    """
    contents = json.loads(text)
    units = contents.get("units") if isinstance(contents, dict) else None
    for unit in units if isinstance(units, list) else ():
        if isinstance(unit, dict) and "holds" in unit:  # its name before 0.1.0
            unit.setdefault("effect_command", unit["holds"])
    return read(ActivationFile, contents, strict=False)
