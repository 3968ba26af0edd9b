"""The base of everything that an inventory declares: typed, closed, with clear messages about mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from roles.options.errors import OptionsError, calling_line
from roles.options.hidden import HIDDEN, without_secrets
from roles.options.messages import example, example_for, expected, nearest, problem
from roles.options.spelling import quoted

_LARGEST = 2**63 - 1
"""Most programs keep a number in 64 bits; Python does not even write one of 4,300 digits."""

__all__ = ["Many", "Options", "example", "former_options", "nearest"]


class Options(BaseModel):
    """A group of options: keyword arguments only, no unknown ones, no silent conversion, immutable.

    Each option has one example, in `Field(examples=[…])`: as text, the way an inventory has it, e.g. `port=8080`. Not
    as a value, which may be a group of a folder that its own module does not import.

    Raises:
        OptionsError: names the group, the option, the given value, the nearest right name, and the inventory's line.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, use_attribute_docstrings=True
    )

    former: ClassVar[Mapping[str, str]] = {}
    """Options that an earlier version had here, and what to write instead, which names its option in backticks."""

    abstract: ClassVar[bool] = False
    """Whether it is only what others have in common. Each group says it for itself."""
    hidden: ClassVar[bool] = False
    """Whether it is a secret: no message shows what is given in its place."""

    def __init__(self, *by_place: object, **options: Any) -> None:
        self._fill(by_place, options)

    def _fill(self, by_place: Sequence[object], options: dict[str, Any], may: str | None = None) -> None:
        """
        Args:
            by_place: what is given without a name.
            may: the option that may be given so.
        """
        if type(self).__dict__.get("abstract"):
            raise _error(f"{type(self).__name__}: give {expected(type(self))}")
        if may and len(by_place) == 1 and may not in options:
            options[may] = by_place[0]
        elif by_place:
            names = list(type(self).model_fields)
            given = ", ".join(f"{name}=…" for name in names[: len(by_place)]) or "nothing"
            name = type(self).__name__
            raise _error(f"{name}: give each option by its name: {name}({given})")
        if odd := [name for name in options if not name.isidentifier()]:
            raise _error(f"{type(self).__name__}: unknown option {quoted(odd[0])}", options)
        if large := [name for name, value in options.items() if type(value) is int and abs(value) > _LARGEST]:
            raise _error(f'{type(self).__name__}: option "{large[0]}": no program counts so far; give a smaller number')
        try:
            super().__init__(**options)
        except ValidationError as error:
            message = _explain(type(self), options, error)
            if type(self).hidden:
                # What is wrong as the place of a secret may be the secret itself.
                for text in filter(None, map(str, options.values())):
                    message = message.replace(quoted(text), f'"{HIDDEN}"')
            raise _error(message, options) from None


def _error(message: str, given: object = None) -> OptionsError:
    line = calling_line()
    return OptionsError(f"{line}: {without_secrets(message, given)}" if line else without_secrets(message, given))


def _explain(group: type[Options], given: dict[str, Any], error: ValidationError) -> str:
    name = given.get("name")
    subject = f"{group.__name__}(name={quoted(name)})" if isinstance(name, str) else group.__name__
    # An option that takes one of several groups gives a detail for each of them: they are reported as one.
    details, former = error.errors(), former_options(group)
    problems = "; ".join(dict.fromkeys(problem(group, former, detail) for detail in details))
    examples = ", ".join(dict.fromkeys(filter(None, (example_for(group, detail) for detail in details))))
    return f"{subject}: {problems}{'; for example ' + examples if examples else ''}"


def former_options(group: type[Options]) -> Mapping[str, str]:
    """The options that a group once had, and what to write instead: its own, and those that it shares with others."""
    declared = [base.former for base in reversed(group.__mro__) if issubclass(base, Options)]
    return {option: instead for former in declared for option, instead in former.items()}


T = TypeVar("T")
Many = Annotated[Sequence[T], AfterValidator(tuple)]
"""Written as a list in the inventory, kept as a tuple."""
