"""A verdict read from its JSON, as a host keeps it or prints it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from roles.contract.verdict import SCHEMA, Verdict

OLDEST = 2
"""The oldest version of the format that is still read: fields added since have defaults."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Form:
    """The fields that every version of the format has."""

    schema: int


def read_verdict(text: str) -> Verdict:
    """The verdict that `to_json` wrote, of this version or an earlier one.

    Raises:
        ValueError: it is not a verdict, or of a version that this program cannot read; the message has one line.
    """
    form, whole = _readers()
    found = _read(form, text).schema
    if not OLDEST <= found <= SCHEMA:
        raise ValueError(f"a verdict of schema {found}; this program reads {OLDEST} to {SCHEMA}")
    verdict = _read(whole, text)
    datetime.fromisoformat(verdict.time)
    return replace(verdict, schema=SCHEMA)


@cache
def _readers() -> tuple[TypeAdapter[_Form], TypeAdapter[Verdict]]:
    return TypeAdapter(_Form), TypeAdapter(Verdict)


def _read(reader: TypeAdapter[T], text: str) -> T:
    try:
        return reader.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"not a verdict ({': '.join(filter(None, (place, first['msg'])))})") from None
