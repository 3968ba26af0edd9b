"""Variables of a server's environment that no option gives: those that would undo what an option says are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from roles.options.arguments import held_by
from roles.options.hidden import looks_secret
from roles.options.spelling import quoted, spelled

_LONGEST = 4096
_SECRET = re.compile(r"(?:^|_)(?:API|ACCESS)?(?:KEY|TOKEN|SECRET|PASS|PASSWD|PASSWORD|PASSPHRASE|CREDENTIALS?)")
"""How the names of variables end that hold secrets."""


def _one_line(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST:
        raise ValueError(f"{quoted(text)} is no text of one line with at most {_LONGEST} characters")
    return text


VariableName = Annotated[
    str,
    spelled(
        "[A-Za-z_][A-Za-z0-9_]{0,100}",
        'name of a variable: letters, digits and "_", such as "NCCL_P2P_DISABLE"',
    ),
]
VariableText = Annotated[str, AfterValidator(_one_line)]


def _covers(held: str, name: str) -> bool:
    return name.startswith(held[:-1]) if held.endswith("*") else name == held


def check_variables(given: Mapping[str, str], held: Mapping[str, str]) -> None:
    """
    Args:
        held: variable → the option that gives it, or `OURS`. One that ends in `*` stands for all that begin so.

    Raises:
        ValueError: one of them is held, or holds a secret by its name or its form.
    """
    for name, value in given.items():
        spelling = name.upper()  # some programs do not mind the case
        found = [option for each, option in held.items() if _covers(each, spelling)]
        if found:
            raise ValueError(held_by(name, found[0]))
        if looks_secret(value):
            raise ValueError(
                f"`{name}` holds what looks like a key or a password, and every user of the host can read a unit; "
                "remove it"
            )
        if any(found.end() == len(spelling) for found in _SECRET.finditer(spelling)):
            raise ValueError(
                f"`{name}` holds a secret by its name, and every user of the host can read a unit; remove it"
            )
