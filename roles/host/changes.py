"""The differences between two generations: one line for each thing that a person would have changed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from roles.contract.clients import CLIENTS_FILE
from roles.host.clients import limits_of
from roles.host.history import KeptGeneration
from roles.plan import ACTIVATION, DIGEST_VARIABLE

_DERIVED = frozenset({"abilities", "api_base", "key_files", "ready_url", "model_list"})
"""Keys whose values follow from something that is shown elsewhere."""
_IDENTITY = ("name", "model_name", "id", "unit")
_LONGEST = 60


def changes(before: KeptGeneration, after: KeptGeneration) -> list[str]:
    """The changes from one generation to another: units, their options, secrets, installs, routes and settings."""
    lines = []
    for path in sorted({*before.files, *after.files}):
        if before.files.get(path) == after.files.get(path) or path == ACTIVATION:
            continue
        lines += list(_file_changes(path, before, after))
    for name in sorted({*before.installs, *after.installs}):
        lines += list(_install_changes(name, before.installs.get(name), after.installs.get(name)))
    return lines


def _file_changes(path: str, before: KeptGeneration, after: KeptGeneration) -> Iterator[str]:
    folder, _, name = path.rpartition("/")
    if folder == "env":
        yield f"{name.removesuffix('.env')}: its secrets changed"
        return
    if path == CLIENTS_FILE and None not in (before.texts.get(path), after.texts.get(path)):
        yield from _client_changes(before.texts[path], after.texts[path])
        return
    shown = name if folder == "units" else path
    if path not in before.files or path not in after.files:
        yield f"{shown}: {'added' if path in after.files else 'removed'}"
        return
    old, new = (_values(folder, path, each.texts.get(path)) for each in (before, after))
    lines = _pairs(old, new) if old and new else ["changed"]
    yield from (f"{shown}: {line}" for line in lines)


def _client_changes(before: str, after: str) -> Iterator[str]:
    old, new = (_clients(text) for text in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield f"client {name}: removed, and its key refused"
        elif name not in old:
            yield f"client {name}: added ({new[name]})"
        elif old[name] != new[name]:
            yield f"client {name}: {old[name]} → {new[name]}"


def _clients(text: str) -> dict[str, str]:
    """What each client may do, in words; empty where it cannot be read, as in a file that was edited by hand."""
    try:
        entries = json.loads(text)["clients"]
        return {
            entry["name"]: limits_of(entry) + (f", until {entry['expires']}" if entry.get("expires") else "")
            for entry in entries
        }
    except (ValueError, LookupError, TypeError):
        return {}


def _values(folder: str, path: str, text: str | None) -> dict[str, str]:
    """The items in a file; empty where they cannot be read, as in a file that was edited by hand."""
    if text is None:
        return {}
    if folder == "units":
        return _unit_lines(text)
    try:
        return dict(_flat("", yaml.safe_load(text))) if path.endswith(".yaml") else {}
    except yaml.YAMLError:
        return {}


def _install_changes(name: str, old: tuple[str, str] | None, new: tuple[str, str] | None) -> Iterator[str]:
    if old == new:
        return
    if old is None or new is None:
        yield f"install {name}: {'removed' if new is None else f'added ({new[1]})'}"
    elif old[1] != new[1]:
        yield f"install {name}: {old[1]} → {new[1]}"
    else:
        yield f"install {name}: {new[1]}, made in another way"


def _unit_lines(text: str) -> dict[str, str]:
    """Option of the command line, variable or directive → its value; repeated ones get "again" appended."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        content = line.strip().removesuffix("\\").strip()
        if not content or content.startswith(("#", "[")) or DIGEST_VARIABLE in content:
            continue
        is_variable = content.startswith("Environment=")
        separator = " " if line.startswith(" ") else "="
        key, _, value = content.removeprefix("Environment=").partition("=" if is_variable else separator)
        while key in found:
            key += " again"
        found[key] = value
    return found


def _flat(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each leaf of a YAML document by its path. List items go by their name, where they have one."""
    match value:
        case dict():
            for key, item in value.items():
                if key not in _DERIVED:
                    yield from _flat(f"{place}.{key}" if place else str(key), item)
        case [dict(), *_]:
            for number, item in enumerate(value):
                key = next((str(item[key]) for key in _IDENTITY if key in item), str(number))
                yield from _flat(f"{place}[{key}]", item)
        case _:
            yield place, json.dumps(value, ensure_ascii=False)


def _pairs(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if old is None:
            yield f"{key} {_short(new)} added".replace("  ", " ")
        elif new is None:
            yield f"{key} {_short(old)} removed".replace("  ", " ")
        else:
            yield f"{key} {_short(old)} → {_short(new)}"


def _short(value: str | None) -> str:
    text = value or ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
