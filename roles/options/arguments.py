"""Further command line arguments: those that would undo what an option or the rest of the plan says are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.options.spelling import quoted

OURS = ""
"""In place of an option's name: the plan itself gives this argument."""


def check_arguments(arguments: Sequence[str], held: Mapping[str, str], *, abbreviates: bool = False) -> None:
    """
    Args:
        held: argument → the option that gives it, or `OURS`.
        abbreviates: the program takes the beginning of an argument's name, and `_` for `-` in it.

    Raises:
        ValueError: one of them is held, or is two arguments in one.
    """
    for argument in arguments:
        if not argument.startswith("-"):
            continue
        name = argument.partition("=")[0]
        first, _, rest = name.partition(" ")
        if rest:
            raise ValueError(f'{quoted(argument)} are two arguments in one text; write ["{first}", "{rest.strip()}"]')
        if abbreviates and name.startswith("--"):
            spelled = name.replace("_", "-").partition(".")[0]
            given = held.get(spelled)
            if given is None and len(spelled) > len("--"):
                given = next((option for each, option in held.items() if each.startswith(spelled)), None)
        else:
            given = held.get(name)
        if given is not None:
            raise ValueError(held_by(name, given))


def held_by(name: str, option: str) -> str:
    """The message about an argument or a variable that an option gives, or the plan itself (`OURS`)."""
    use = f"is the option `{option}` here; use that" if option else "is given by the plan itself; remove it"
    return f"`{name}` {use}"
