"""The base of everything that an inventory declares: typed, closed, with clear messages about mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from roles.options.errors import OptionsError, calling_line


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "port"?` for the closest of the known words, or `` where none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


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

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise OptionsError(_explain(type(self), options, error)) from None


def _explain(group: type[Options], given: dict[str, Any], error: ValidationError) -> str:
    name = given.get("name")
    subject = f'{group.__name__}(name="{name}")' if isinstance(name, str) else group.__name__
    # An option that takes one of several groups gives a detail for each of them: they are reported as one.
    problems = "; ".join(dict.fromkeys(_problem(group, detail) for detail in error.errors()))
    examples = ", ".join(dict.fromkeys(filter(None, (_example_for(group, detail) for detail in error.errors()))))
    line = calling_line()
    return f"{line + ': ' if line else ''}{subject}: {problems}{'; for example ' + examples if examples else ''}"


def former_options(group: type[Options]) -> Mapping[str, str]:
    """The options that a group once had, and what to write instead: its own, and those that it shares with others."""
    declared = [base.former for base in reversed(group.__mro__) if issubclass(base, Options)]
    return {option: instead for former in declared for option, instead in former.items()}


def example(field: FieldInfo) -> str:
    """The example of an option, e.g. `port=8080`; empty if it declares none."""
    return str(field.examples[0]) if field.examples else ""


def _example_for(group: type[Options], detail: ErrorDetails) -> str:
    """The example for an option that is missing, or whose value no option's own message explains."""
    if not detail["loc"] or detail["type"] in ("extra_forbidden", "value_error"):
        return ""
    return example(group.model_fields[str(detail["loc"][0])])


def _problem(group: type[Options], detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden" if instead := former_options(group).get(path):
            return f'option "{path}" no longer exists: {instead}'
        case "extra_forbidden":
            return f'unknown option "{path}"{nearest(path, group.model_fields)}'
        case "missing":
            field = group.model_fields.get(path)
            help_line = f" ({field.description.splitlines()[0]})" if field and field.description else ""
            return f'option "{path}" is missing{help_line}'
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f'option "{path}": {message}' if path else message
        case "model_type" | "dataclass_type" | "is_instance_of":
            option, value = detail["loc"][0], detail["input"]
            return f'option "{option}": give a {_expected(group, str(option))}, not {value!r} ({type(value).__name__})'
        case _:
            value = detail["input"]
            return f'option "{path}": {detail["msg"].lower()}, not {value!r} ({type(value).__name__})'


def _expected(group: type[Options], option: str) -> str:
    """The groups that an option accepts, by name: `UrlFile or HubFile`."""
    return " or ".join(kind.__name__ for kind in dict.fromkeys(_kinds(group.model_fields[option].annotation)))


def _kinds(annotation: Any) -> Iterator[type]:
    """The types that an inventory can give; for a type without options of its own, its subtypes."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif arguments := get_args(annotation):
        for argument in arguments:
            yield from _kinds(argument)
    elif isinstance(annotation, type) and annotation is not type(None):
        is_base = issubclass(annotation, Options) and not annotation.model_fields
        subtypes: list[type] = annotation.__subclasses__() if is_base else []
        for subtype in subtypes:
            yield from _kinds(subtype)
        if not subtypes:
            yield annotation


T = TypeVar("T")
Many = Annotated[Sequence[T], AfterValidator(tuple)]
"""Written as a list in the inventory, kept as a tuple."""
