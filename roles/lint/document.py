"""A configuration's files as LiteLLM reads them, and the line of every value."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from roles.lint.wrapper import unwrapped
from roles.lint.yaml_values import MOST_CHARACTERS, Lines, UnreadableError, Where, line_of, read_yaml

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the root: `("model_list", 0, "model_name")`."""
Reader: TypeAlias = Callable[[str], str]
"""Path of an included file → its text. Raises OSError, or ValueError with the reason."""

_MOST_INCLUDES = 100
"""Files that include each other by ever new names (`loop/../loop/x.yaml`, a link to its own folder)."""


@dataclass(frozen=True)
class Place:
    file: str
    line: int


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with the file as YAML."""

    rule: str
    place: Place
    message: str
    fix: str = ""


@dataclass
class Document:
    """A file, with the files that it includes merged into it, and the place of each value.

    Attributes:
        value: the content; `{}` if the file could not be read.
        lines: those of `value`.
        problems: what is wrong with the file as YAML.
        unread: included files that were not read: their content is not known.
    """

    file: str
    value: dict[Any, Any] = field(default_factory=dict)
    lines: Lines = Lines(1, {})  # noqa: RUF009 — nothing changes it
    problems: list[Problem] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """The place of a value, or of the nearest value around it."""
        file, line = self.file, self.lines.line
        here: Where = self.lines
        for part in path:
            inner = _inside(here, part)
            if inner is None:
                break
            here = inner
            if isinstance(here, int):
                line = here
            else:
                file, line = here.file or file, here.line
        return Place(file, line)


def _inside(where: Where, part: str | int) -> Where | None:
    if isinstance(where, int):
        return None
    if isinstance(where.inner, dict):
        return where.inner.get(part)
    return where.inner[part] if isinstance(part, int) and 0 <= part < len(where.inner) else None


def read_document(text: str, name: str, read: Reader | None) -> Document:
    """The document of `text`, with the files that it includes. Never raises: errors are in its `problems`."""
    document = _read_one(text, name)
    size = len(text)
    seen = {os.path.normpath(name)}
    pending = _includes(document)
    for include in pending:
        if include.beside in seen:
            continue
        seen.add(include.beside)
        if read is None:
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" was not read'
            document.problems.append(Problem("include-not-followed", include.place, message))
            continue
        try:
            if len(seen) > _MOST_INCLUDES:
                raise ValueError(f"these are more than {_MOST_INCLUDES} files that include each other")
            text = _read_included(include, name, read)
            size += len(text)
            if size > MOST_CHARACTERS:
                raise ValueError(f"all files together have more than {MOST_CHARACTERS >> 20} MiB")
        except (OSError, ValueError) as error:
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" cannot be read ({reason(error)}): LiteLLM does not start'
            document.problems.append(Problem("include-missing", include.place, message))
            continue
        included = _read_one(text, include.beside)
        if any(problem.rule == "empty-file" for problem in included.problems):  # LiteLLM takes it as no sections
            continue
        if included.problems and not included.value:
            document.unread.append(include.entry)
        pending += _includes(included)
        _merge(document, included)
    return document


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be read, in a few words."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be opened"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


@dataclass(frozen=True)
class _Include:
    """An entry of `include`, its place, and the file that it names."""

    entry: str
    place: Place
    beside: str


def _includes(source: Document) -> list[_Include]:
    """The files that a document includes. Another rule reports a wrong shape."""
    entries = source.value.get("include")
    if not isinstance(entries, list):
        return []
    return [
        _Include(entry, source.place(("include", index)), _joined(source.file, entry))
        for index, entry in enumerate(entries)
        if isinstance(entry, str)
    ]


def _joined(beside: str, entry: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(beside), entry))  # noqa: PTH118, PTH120


def _read_included(include: _Include, root: str, read: Reader) -> str:
    """The file beside the one that names it, else beside the first file: the order of LiteLLM's config_includes.py."""
    try:
        return read(include.beside)
    except FileNotFoundError:
        return read(_joined(root, include.entry))


def _read_one(text: str, name: str) -> Document:
    document = Document(name)
    try:
        _read_into(document, text)
    except UnreadableError as unreadable:
        document.problems.append(Problem(unreadable.rule, Place(name, unreadable.line), unreadable.message))
    return document


def _read_into(document: Document, text: str) -> None:
    contents = read_yaml(text)
    inside = unwrapped(contents)
    if inside is not None:
        place = Place(document.file, inside.line)
        document.problems.append(Problem(inside.rule, place, inside.message, inside.fix))
        contents = [inside.content] if inside.content else []
        if not contents:
            return
    if len(contents) > 1:
        line = line_of(contents[1].lines)
        before = text.splitlines()[: line - 1]
        line = next((number for number in range(len(before), 0, -1) if before[number - 1].startswith("---")), line)
        message = "this is no YAML: there is a second document: LiteLLM does not start"
        raise UnreadableError("yaml-syntax", line, message)
    if not contents or contents[0].value is None:
        raise UnreadableError("empty-file", 1, "the file is empty: LiteLLM does not start")
    [(value, lines, duplicates)] = contents
    if not isinstance(value, dict) or isinstance(lines, int):
        raise UnreadableError("not-a-mapping", line_of(lines), "the file is no mapping: LiteLLM does not start")
    document.value, document.lines = value, lines
    for key, line, first in duplicates:
        message = f'the key "{key}" stands here a second time (first on line {first}): only this one counts'
        document.problems.append(Problem("duplicate-key", Place(document.file, line), message))


def _merge(document: Document, included: Document) -> None:
    """As LiteLLM does: lists are joined; any other value of an included file replaces the existing one."""
    document.problems += included.problems
    lines = dict(document.lines.inner) if isinstance(document.lines.inner, dict) else {}
    others = included.lines.inner if isinstance(included.lines.inner, dict) else {}
    value = dict(document.value)
    for key, other in included.value.items():
        if key == "include":
            continue
        base, where = value.get(key), _of(included.file, others[key])
        if isinstance(base, list) and isinstance(other, list):
            value[key] = [*base, *other]
            own = lines[key]
            where = where._replace(line=line_of(own), inner=[*_items(own), *_items(where)], file=document.file)
        else:
            value[key] = other
        lines[key] = where
    document.value, document.lines = value, document.lines._replace(inner=lines)


def _of(file: str, where: Where) -> Lines:
    """Lines that say which file they are of."""
    return Lines(where, {}, file) if isinstance(where, int) else where._replace(file=where.file or file)


def _items(where: Where) -> list[Where]:
    if isinstance(where, int) or not isinstance(where.inner, list):
        return []
    return [_of(where.file, item) if where.file else item for item in where.inner]


def shown(path: Iterable[str | int]) -> str:
    """`model_list[3].litellm_params.api_base`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) and not isinstance(part, bool) else f"{'.' if text else ''}{part}"
    return text


def mapping(value: object) -> Mapping[Any, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
