"""A configuration's files as LiteLLM reads them, and the line of every value."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from roles.lint.wrapper import Inside, unwrapped
from roles.lint.yaml_values import MOST_CHARACTERS, Content, Lines, UnreadableError, Where, line_of, read_yaml

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the root: `("model_list", 0, "model_name")`."""
Reader: TypeAlias = Callable[[str], str]
"""Path of an included file → its text. Raises OSError, or ValueError with the reason."""

_MOST_INCLUDES = 100
"""Files that include each other by ever new names (`loop/../loop/x.yaml`, a link to its own folder)."""
_UNWRAP = "check the file that LiteLLM gets, as `--config` names it"


class NotFollowedError(ValueError):
    """An included file that the lint does not read, and LiteLLM would; the message says why."""


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


def read_documents(text: str, name: str, read: Reader | None) -> list[Document]:
    """The document of `text` with the files that it includes; several if it wraps several configurations.

    Never raises: errors are in their `problems`.
    """
    return [_with_includes(document, len(text), read) for document in _read_all(text, name)]


def _with_includes(document: Document, size: int, read: Reader | None) -> Document:
    """The document with the files that it includes merged into it; `size` is its own, in characters."""
    name = document.file
    seen = {os.path.normpath(name)}
    pending = _includes(document)
    for include in pending:
        if include.beside in seen:
            continue
        seen.add(include.beside)
        try:
            if read is None:
                raise NotFollowedError("no files are read here")
            if len(seen) > _MOST_INCLUDES:
                raise NotFollowedError(f"the lint follows up to {_MOST_INCLUDES} files")
            text = _read_included(include, name, read)
            size += len(text)
            if size > MOST_CHARACTERS:
                raise NotFollowedError(f"the lint reads up to {MOST_CHARACTERS >> 20} MiB of all files together")
        except NotFollowedError as error:
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" was not read: {error}'
            document.problems.append(Problem("include-not-followed", include.place, message))
            continue
        except (OSError, ValueError) as error:
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" cannot be read ({reason(error)}): LiteLLM does not start'
            document.problems.append(Problem("include-missing", include.place, message))
            continue
        [included] = _read_all(text, include.beside, is_included=True)
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


def _read_all(text: str, name: str, *, is_included: bool = False) -> list[Document]:
    """The documents of a file: one, or those of the configurations that it wraps. LiteLLM unwraps none."""
    try:
        contents = read_yaml(text)
        wrapper = unwrapped(contents, text)
        if wrapper is None:
            return [_document(name, _only(contents, text))]
        if is_included or not wrapper.inside:
            message = f"this is {wrapper.kind} and no configuration of LiteLLM: LiteLLM cannot use it"
            problem = Problem("not-a-configuration", Place(name, wrapper.line), message)
            return [Document(name, problems=[problem])]
        return [_unwrapped(name, wrapper.kind, inside) for inside in wrapper.inside]
    except UnreadableError as unreadable:
        problem = Problem(unreadable.rule, Place(name, unreadable.line), unreadable.message)
        return [Document(name, problems=[problem])]


def _unwrapped(name: str, kind: str, inside: Inside) -> Document:
    document = _document(name, inside.content)
    where = ".".join(map(str, inside.path))
    message = f"this is {kind}: LiteLLM's configuration in it, `{where}`, is checked as the file that LiteLLM gets"
    document.problems.append(Problem("wrapped-configuration", Place(name, inside.line), message, _UNWRAP))
    return document


def _only(contents: Sequence[Content], text: str) -> Content:
    """The only document of a file."""
    if len(contents) > 1:
        line = line_of(contents[1].lines)
        before = text.splitlines()[: line - 1]
        line = next((number for number in range(len(before), 0, -1) if before[number - 1].startswith("---")), line)
        message = "this is no YAML: there is a second document: LiteLLM does not start"
        raise UnreadableError("yaml-syntax", line, message)
    if not contents or contents[0].value is None:
        raise UnreadableError("empty-file", 1, "the file is empty: LiteLLM does not start")
    return contents[0]


def _document(name: str, content: Content) -> Document:
    value, lines, duplicates = content
    if not isinstance(value, dict) or isinstance(lines, int):
        raise UnreadableError("not-a-mapping", line_of(lines), "the file is no mapping: LiteLLM does not start")
    document = Document(name, value, lines)
    for key, line, first in duplicates:
        message = f'the key "{key}" stands here a second time (first on line {first}): only this one counts'
        document.problems.append(Problem("duplicate-key", Place(name, line), message))
    includes = value.get("include", [])
    if not isinstance(includes, list) or not all(isinstance(entry, str) for entry in includes):
        message = "`include` must be a list of file names: LiteLLM does not start"
        document.problems.append(Problem("section-shape", document.place(("include",)), message))
    return document


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
