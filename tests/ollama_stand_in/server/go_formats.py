"""JSON, durations and times in the spelling of Go's standard library, which the real server uses."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .errors import ApiError

SECOND = 1_000_000_000
"""Nanoseconds: Go counts durations in these."""
FOREVER = (1 << 63) - 1
"""The longest duration, which the real server takes for a negative one."""

_UNITS = {
    "ns": 1,
    "us": 1000,
    "\u00b5s": 1000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|ms|s|m|h)")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPED = re.compile("[<>&\u2028\u2029]")
_SYNTAX = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting value": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
}
_LITERALS = ("null", "true", "false")
_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


class Float32(float):
    """A number of 32 bits: as many digits are written as tell it from its neighbours."""


def encode(value: Any) -> str:
    """Compact, fields in the order given, characters that mean something in HTML escaped."""
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{encode(str(key))}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(encode, value)) + "]"
    return json.dumps(value)


def _number(value: float) -> str:
    if isinstance(value, Float32):
        digits = next(text for places in range(1, 10) if _same_32_bits(text := f"{value:.{places}g}", value))
    else:
        digits = repr(value)
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        plain = format(Decimal(digits), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    return re.sub(r"e([+-])0+", r"e\1", digits)


def _same_32_bits(text: str, value: float) -> bool:
    return struct.pack("f", float(text)) == struct.pack("f", value)


def decode(text: str) -> Any:
    """The first JSON value of `text`; what follows it is ignored. Raises `ValueError` in Go's words."""
    try:
        return json.JSONDecoder().raw_decode(text.lstrip())[0]
    except json.JSONDecodeError as error:
        raise ValueError(_syntax_error(error)) from error


def _syntax_error(error: json.JSONDecodeError) -> str:
    text, at = error.doc, error.pos
    if at >= len(text):
        return "unexpected end of JSON input"
    for literal in _LITERALS:
        if error.msg == "Expecting value" and text[at] == literal[0]:
            right = next(n for n in range(1, 6) if text[at : at + n + 1] != literal[: n + 1])
            found = text[at + right : at + right + 1]
            return f"invalid character '{found}' in literal {literal} (expecting '{literal[right]}')"
    where = _SYNTAX.get(error.msg, "after object key:value pair")
    return f"invalid character '{text[at]}' {where}"


def decode_request(body: bytes, kind: str, fields: Mapping[str, tuple[type, str]]) -> dict[str, Any]:
    """The fields of a request; those that are `null` count as left out, as in the real server.

    `fields` gives the type of each one that is read, and Go's name of that type.
    """
    text = body.decode(errors="replace")
    if not text.strip():
        raise ApiError(400, "missing request body")
    try:
        value = decode(text)
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    if not isinstance(value, dict):
        raise ApiError(400, f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type api.{kind}")
    given = {name: item for name, item in value.items() if item is not None}
    for name, (wanted, go_type) in fields.items():
        if name in given and not isinstance(given[name], wanted):
            found = _KINDS[type(given[name])]
            raise ApiError(400, f"json: cannot unmarshal {found} into Go struct field {kind}.{name} of type {go_type}")
    return given


def duration(text: str) -> int:
    """Nanoseconds of "1h30m", "2s", "-1m"; raises `ValueError` in Go's words."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    parts = _DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        missing = re.fullmatch(r"[\d.]+", body)
        problem = "missing unit in duration" if missing else "invalid duration"
        raise ValueError(f'time: {problem} "{text}"')
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in parts)
    return -total if text[0] == "-" else total


def _local_zone() -> tzinfo | None:
    """The zone that `TZ` names, none = the machine's. Other than the C library, Go knows no rules like `CET-1CEST`:
    what names no file of zones is UTC."""
    name = os.environ.get("TZ")
    if name is None:
        return None
    name = name.removeprefix(":")
    try:
        if name.startswith("/"):
            with Path(name).open("rb") as file:
                return ZoneInfo.from_file(file)
        return ZoneInfo(name) if name else UTC
    except (OSError, ValueError, LookupError):
        return UTC


def timestamp(nanoseconds: int, *, local: bool = False) -> str:
    """A moment since 1970, as RFC 3339 with as many digits as it needs, in UTC or the machine's time zone."""
    seconds, rest = divmod(nanoseconds, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    if local:
        moment = moment.astimezone(_local_zone())
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    zone = moment.isoformat()[19:]
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{'Z' if zone == '+00:00' else zone}"
