"""How a shape travels: a dataclass as JSON, and the same dataclass read from it on the other side of a border.

A misspelled, missing or mistyped key is an error where it is read, with its place. Files of another version may have
unknown keys, which are then ignored: see `strict`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


class WireError(ValueError):
    """The data does not have the shape: the message names the place and what is wrong there."""


def written(value: Any) -> Any:
    """A dataclass, with everything in it, as plain JSON data. Other values stay as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: written(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    return value


def read(shape: type[T], value: object, *, strict: bool = True) -> T:
    """A dataclass from plain JSON data. Lists become tuples.

    Args:
        shape: a dataclass whose fields are dataclasses, `Mapping`, `tuple`, `Literal`, unions, `Any`, or plain values.
        strict: refuse keys that the shape does not have.

    Raises:
        WireError: it does not have that shape.
    """
    found: T = _read(shape, value, shape.__name__, strict)
    return found


def _read(shape: Any, value: Any, place: str, strict: bool) -> Any:
    if dataclasses.is_dataclass(shape):
        return _dataclass(shape, value, place, strict)
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if shape is Any:
        return value
    if origin is Literal:
        if value not in arguments:
            raise WireError(f"{place} is {value!r}, not one of {', '.join(map(repr, arguments))}")
        return value
    if origin in (Union, types.UnionType):
        return _union(arguments, value, place, strict)
    if origin is tuple:
        return _tuple(arguments, value, place, strict)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise WireError(f"{place} is {value!r}, not a mapping")
        return {key: _read(arguments[1], item, f"{place}.{key}", strict) for key, item in value.items()}
    if shape is float and type(value) is int:
        return value
    # In Python `True` is an `int`, but a declared number does not mean that.
    if type(value) is not shape:
        raise WireError(f"{place} is {value!r}, not {getattr(shape, '__name__', shape)}")
    return value


def _dataclass(shape: Any, value: Any, place: str, strict: bool) -> Any:
    if not isinstance(value, Mapping):
        raise WireError(f"{place} is {value!r}, not a mapping")
    hints = _hints(shape)
    fields = {field.name: field for field in dataclasses.fields(shape)}
    if strict and (unknown := sorted(set(value) - set(fields))):
        raise WireError(f"{place} has no {unknown[0]}")
    for name, field in fields.items():
        if name not in value and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise WireError(f"{place}.{name} is missing")
    return shape(
        **{name: _read(hints[name], value[name], f"{place}.{name}", strict) for name in fields if name in value}
    )


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return typing.get_type_hints(shape)


def _union(arguments: Sequence[Any], value: Any, place: str, strict: bool) -> Any:
    if value is None and type(None) in arguments:
        return None
    problems = []
    for argument in arguments:
        if argument is not type(None):
            try:
                return _read(argument, value, place, strict)
            except WireError as error:
                problems.append(str(error))
    raise WireError("; or ".join(problems))


def _tuple(arguments: Sequence[Any], value: Any, place: str, strict: bool) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise WireError(f"{place} is {value!r}, not a list")
    if arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], item, f"{place}[{number}]", strict) for number, item in enumerate(value))
    if len(value) != len(arguments):
        raise WireError(f"{place} has {len(value)} items, not {len(arguments)}")
    return tuple(
        _read(argument, item, f"{place}[{number}]", strict)
        for number, (argument, item) in enumerate(zip(arguments, value, strict=True))
    )
