"""The facts of a model as plain data, for a lock: what is written there is read back as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any, get_type_hints

from roles.fit.checkpoint import CheckpointFacts
from roles.fit.facts import Layer, ModelFacts

Facts = ModelFacts | CheckpointFacts
_KINDS: Mapping[str, type[ModelFacts] | type[CheckpointFacts]] = {"gguf": ModelFacts, "checkpoint": CheckpointFacts}
_LISTS = ("layers", "windows")


def stored(facts: Facts) -> dict[str, Any]:
    """The facts as plain data: `kind`, their attributes, and equal layers beside each other once, with their number.

    For example `"windows": [[28, None]]`, and `"layers": [[12, 512, 512, None, 90000, 0], …]` with the attributes of
    `Layer` in their order.
    """
    data: dict[str, Any] = {"kind": "gguf" if isinstance(facts, ModelFacts) else "checkpoint", **asdict(facts)}
    for name in _LISTS:
        if name in data:
            items = [list(each.values()) if isinstance(each, dict) else [each] for each in data[name]]
            data[name] = [[len(list(equal)), *item] for item, equal in groupby(items)]
    return data


def restored(data: Mapping[str, Any]) -> Facts:
    """The facts from what `stored` made of them.

    Raises:
        ValueError: it is something else.
    """
    kind = _KINDS.get(str(data.get("kind")))
    if kind is None:
        raise ValueError(f"facts of a model have the `kind` {' or '.join(_KINDS)}, and not {data.get('kind')!r}")
    values: dict[str, Any] = {}
    try:
        for name, wanted in get_type_hints(kind).items():
            values[name] = _items(name, data[name]) if name in _LISTS else _checked(data[name], wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the facts of a model are not what was written there ({error})") from None
    return kind(**values)


def _items(name: str, runs: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    for count, *item in runs:
        if not 0 < _checked(count, int) <= _MOST_LAYERS:
            raise ValueError(f"{count} layers")
        found += [_layer(item) if name == "layers" else _checked(item[0], int | None)] * count
    return tuple(found)


_MOST_LAYERS = 4096


def _layer(item: Sequence[Any]) -> Layer:
    hints = get_type_hints(Layer)
    return Layer(*(_checked(value, hints[each.name]) for value, each in zip(item, fields(Layer), strict=True)))


def _checked(value: Any, wanted: Any) -> Any:
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"{value!r} where there should be another type")
    return value
