"""What a mistake in an inventory is called: the option, what was given, what to give."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from roles.options.spelling import quoted

_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "a text in quotes",
    "string_unicode": "a text",
    "bool_type": "True or False",
}
"""pydantic's type of an error → what to give."""
_BOUNDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}
"""The same for numbers that are out of bounds; pydantic's context has the bound."""
_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    date: "a date",
    dict: "a mapping",
}
_LISTS = ("sequence_str", "list_type", "tuple_type")
_MAPPINGS = ("dict_type", "mapping_type")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "port"?` for the closest of the known words, or `` where none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def example(field: FieldInfo) -> str:
    """The example of an option, e.g. `port=8080`; empty if it declares none."""
    return str(field.examples[0]) if field.examples else ""


def example_for(group: type[BaseModel], detail: ErrorDetails) -> str:
    """The example for an option that is missing, or whose value no option's own message explains."""
    if not detail["loc"] or detail["type"] in ("extra_forbidden", "value_error"):
        return ""
    return example(group.model_fields[str(detail["loc"][0])])


def problem(group: type[BaseModel], former: Mapping[str, str], detail: ErrorDetails) -> str:
    """A mistake in words.

    Args:
        group: the group of options.
        former: its former options, and what to write instead.
    """
    value, kind = detail["input"], detail["type"]
    # Without the names of the types that an option may have: each gives a detail of its own.
    path = ".".join(str(part) for number, part in enumerate(detail["loc"]) if number == 0 or isinstance(part, int))
    if kind == "extra_forbidden":
        if instead := former.get(path):
            return f'option "{path}" no longer exists: {instead}'
        return f"unknown option {quoted(path)}{nearest(path, group.model_fields)}"
    if kind == "missing":
        field = group.model_fields.get(path)
        help_line = f" ({field.description.splitlines()[0]})" if field and field.description else ""
        return f'option "{path}" is missing{help_line}'
    if kind == "value_error":
        message = str(detail["ctx"]["error"])
        return f'option "{path}": {message}' if path else message
    option = str(detail["loc"][0])
    if _takes_a_secret(group, option):
        if isinstance(value, str):
            return (
                f'option "{option}": give the place of the secret, EnvSecret("VARIABLE") or FileSecret("path"), '
                "and not the secret itself: inventories are read by many"
            )
        return f'option "{option}": give {_expected(group, option)}, not {_shown(value)}'
    return f'option "{path}": {_wanted(group, option, detail)}'


def _wanted(group: type[BaseModel], option: str, detail: ErrorDetails) -> str:
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    if kind in _LISTS or context.get("class") == "Sequence":
        return f"give a list: {_as_list(value)}"
    if kind in _MAPPINGS:
        return f'give a mapping, {{"name": "value"}}, not {_shown(value)}'
    if kind == "literal_error":
        choices = [str(choice) for choice in get_args(context.get("expected")) or _choices(context)]
        near = nearest(value.lower(), choices) if isinstance(value, str) else ""
        return f"give {context['expected'].replace(chr(39), chr(34))}, not {_shown(value)}{near}"
    if kind in ("model_type", "dataclass_type", "is_instance_of"):
        return f"give {_expected(group, option)}, not {_shown(value)}{_brackets(value)}"
    if bound := _BOUNDS.get(kind):
        whole = {name: int(limit) if limit == int(limit) else limit for name, limit in context.items()}
        return f"give {bound.format_map(whole)}, not {_shown(value)}"
    if kind == "too_short":
        return f"give at least {context['min_length']}, not {context['actual_length']}"
    if words := _TYPES.get(kind):
        return f"give {words}, not {_shown(value)}{_quotes(kind, value)}"
    message = detail["msg"]
    return f"{message[:1].lower()}{message[1:]}, not {_shown(value)}"


def _choices(context: Mapping[str, Any]) -> list[str]:
    return [part.strip(" '") for part in context["expected"].replace(" or ", ", ").split(",")]


def _quotes(kind: str, value: object) -> str:
    """What is wrong where a value would be right in, or without, its quotes."""
    if isinstance(value, str) and kind != "string_type":
        return ": without quotes; what a file or the environment gives is a text, and is to be converted first"
    if kind == "string_type" and type(value) in (int, float):
        return ": with quotes, in the YAML file too if it comes from one, which else loses zeros"
    return ""


def _brackets(value: object) -> str:
    return ": without the brackets" if isinstance(value, list | tuple) and len(value) == 1 else ""


def _as_list(value: object) -> str:
    if isinstance(value, str):
        return f"[{quoted(value)}]"
    if isinstance(value, BaseModel):
        return f"[{type(value).__name__}(…)]"
    return f"[…], not {_shown(value)}"


def _shown(value: object) -> str:
    """A given value: a plain one whole, of another its kind alone."""
    if isinstance(value, str):
        return f"{quoted(value)} (a text)"
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int | float):
        return repr(value) if abs(value) < 10**20 or isinstance(value, float) else "a number of that size"
    if isinstance(value, BaseModel):
        return f"{type(value).__name__}({'…' if type(value).model_fields else ''})"
    if isinstance(value, type):
        return f"{value.__name__} without its parentheses"
    return f"a {type(value).__name__}"


def _takes_a_secret(group: type[BaseModel], option: str) -> bool:
    field = group.model_fields.get(option)
    return field is not None and any(getattr(kind, "hidden", False) for kind in _kinds(field.annotation))


def _expected(group: type[BaseModel], option: str) -> str:
    """The groups that an option accepts, by name: `UrlFile(…) or HubFile(…)`."""
    return expected(group.model_fields[option].annotation)


def expected(annotation: Any) -> str:
    """The same of an option's type, or of a group that others extend."""
    kinds = dict.fromkeys(_kinds(annotation))
    return " or ".join(
        f"{kind.__name__}(…)" if issubclass(kind, BaseModel) else _NAMES.get(kind, kind.__name__) for kind in kinds
    )


def _kinds(annotation: Any) -> Iterator[type]:
    """The types that an inventory can give; for one that is only what others have in common, those."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        for argument in get_args(annotation):
            yield from _kinds(argument)
    elif isinstance(annotation, type) and origin is None and annotation is not type(None):
        subtypes: list[type] = annotation.__subclasses__() if annotation.__dict__.get("abstract") else []
        for subtype in subtypes:
            yield from _kinds(subtype)
        if not subtypes:
            yield annotation
