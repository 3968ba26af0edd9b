"""Further command line arguments: those that would undo what an option or the rest of the plan says are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.options.hidden import looks_secret
from roles.options.spelling import quoted

OURS = ""
"""In place of an option's name: the plan itself gives this argument."""


def check_arguments(arguments: Sequence[str], held: Mapping[str, str], *, abbreviates: bool = False) -> None:
    """
    Args:
        held: argument → the option that gives it, or `OURS`. The programs take `_` for `-` in it.
        abbreviates: the program takes the beginning of an argument's name, and the value right after a single letter.

    Raises:
        ValueError: one of them is held, is two arguments in one, is no argument, or shows a secret.
    """
    for number, argument in enumerate(arguments):
        if not argument.isprintable() or (number == 0 and not argument.startswith("-")):
            what = "begins with no argument's name" if argument.isprintable() else "has a control character in it"
            raise ValueError(f"{quoted(argument)} {what}; give each argument and its value as the program takes them")
        if looks_secret(argument):
            raise ValueError(
                "one of them holds what looks like a key or a password, and every user of the host can see a command; "
                "remove it"
            )
        if not argument.startswith("-") or _is_number(argument):
            continue
        name = argument.partition("=")[0]
        first, _, rest = name.partition(" ")
        if rest:
            raise ValueError(f'{quoted(argument)} are two arguments in one text; write ["{first}", "{rest.strip()}"]')
        if name.startswith("--"):
            name = name.replace("_", "-")
        given = held.get(name)
        if abbreviates and given is None:
            given = _abbreviated(name.partition(".")[0], held)
        if given is not None:
            raise ValueError(held_by(name, given))


def _is_number(argument: str) -> bool:
    """Whether it is a value below zero."""
    try:
        float(argument)
    except ValueError:
        return False
    return True


def _abbreviated(name: str, held: Mapping[str, str]) -> str | None:
    """The option of an argument that Python's argparse takes for a held one: `--tensor-par`, `-qawq`."""
    if name in ("-", "--"):
        return None
    if not name.startswith("--") and (given := held.get(name[:2])) is not None:
        return given
    return next((option for each, option in held.items() if each.startswith(name)), None)


def held_by(name: str, option: str) -> str:
    """The message about an argument or a variable that an option gives, or the plan itself (`OURS`)."""
    use = f"is the option `{option}` here; use that" if option else "is given by the plan itself; remove it"
    return f"`{name}` {use}"
