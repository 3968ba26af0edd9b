"""Reading the hash-locked requirements that a service room keeps in its `locks/` folder.

Each `<name>.txt` is made from the `<name>.in` beside it by `make locks`.
"""

from __future__ import annotations

from importlib.resources import files


def read_lock(room: str, name: str) -> str:
    """The text of `roles/<room>/locks/<name>.txt`."""
    return (files("roles") / room / "locks" / f"{name}.txt").read_text()
