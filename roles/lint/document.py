"""Reads YAML as LiteLLM does, and records the line of every value."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster. Wheels have it; some builds from source do not."""

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the root: `("model_list", 0, "model_name")`."""
Reader: TypeAlias = Callable[[str], str]
"""Path of an included file → its text. Raises OSError or UnicodeDecodeError."""

_DEEPEST = 100
"""The C parser crashes on a document with some 10,000 levels of nesting."""
_MOST_VALUES = 200_000
"""Anchors can make a small file expand without limit."""

_MAP, _SEQUENCE, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "merge"))


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


@dataclass
class Document:
    """A file, with the files that it includes merged into it, and the place of each value.

    Attributes:
        value: the content; `{}` if the file could not be read.
        places: path → place, of every key and list item.
        problems: what is wrong with the file as YAML.
        unread: included files that were not read: their content is not known.
    """

    file: str
    value: dict[Any, Any] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """The place of a value, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.file, 1))


class _Unreadable(Exception):
    def __init__(self, rule: str, line: int, message: str) -> None:
        self.rule, self.line, self.message = rule, line, message
        super().__init__(message)


def read_document(text: str, name: str, read: Reader | None) -> Document:
    """The document of `text`, with the files that it includes. Never raises: errors are in its `problems`."""
    document = _read_one(text, name)
    seen = {name}
    pending = _includes(document)
    while pending:
        include = pending.pop(0)
        if include.beside in seen:
            continue
        seen.add(include.beside)
        if read is None:
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" was not read'
            document.problems.append(Problem("include-not-followed", include.place, message))
            continue
        try:
            included = _read_one(_read_included(include, name, read), include.beside)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            document.unread.append(include.entry)
            message = f'the included file "{include.entry}" cannot be read ({reason}): LiteLLM does not start'
            document.problems.append(Problem("include-missing", include.place, message))
            continue
        pending += _includes(included)
        _merge(document, included)
    return document


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
        _Include(entry, source.place(("include", index)), os.path.join(os.path.dirname(source.file), entry))  # noqa: PTH118, PTH120
        for index, entry in enumerate(entries)
        if isinstance(entry, str)
    ]


def _read_included(include: _Include, root: str, read: Reader) -> str:
    """The file beside the one that names it, else beside the first file: the order of LiteLLM's config_includes.py."""
    try:
        return read(include.beside)
    except FileNotFoundError:
        return read(os.path.join(os.path.dirname(root), include.entry))  # noqa: PTH118, PTH120


def _read_one(text: str, name: str) -> Document:
    document = Document(name)
    try:
        _read_into(document, text)
    except _Unreadable as unreadable:
        document.value, document.places = {}, {}
        document.problems.append(Problem(unreadable.rule, Place(name, unreadable.line), unreadable.message))
    return document


def _merge(document: Document, included: Document) -> None:
    """As LiteLLM does: lists are joined; any other value of an included file replaces the existing one."""
    document.problems += included.problems
    key: Any
    for key, value in included.value.items():
        if key == "include":
            continue
        base = document.value.get(key)
        shift = 0
        if isinstance(base, list) and isinstance(value, list):
            shift = len(base)
            document.value[key] = [*base, *value]
        else:
            document.value[key] = value
            for path in [path for path in document.places if path[:1] == (key,)]:
                del document.places[path]
        for path, place in included.places.items():
            if path[:1] != (key,):
                continue
            if shift and len(path) > 1:
                path = (key, int(path[1]) + shift, *path[2:])
            document.places.setdefault(path, place)


def _read_into(document: Document, text: str) -> None:
    try:
        _check_depth(text)
        # LiteLLM uses the Python loader, which is stricter about tabs.
        loader: Any = (yaml.SafeLoader if "\t" in text else _FastLoader)(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        raise _Unreadable("yaml-syntax", mark.line + 1 if mark else 1, f"this is no YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        raise _Unreadable("yaml-syntax", line, f"this is no YAML: {error.reason}") from None
    except (ValueError, yaml.YAMLError):  # a character that no encoding has
        raise _Unreadable("yaml-syntax", 1, "this is no YAML: it has characters that YAML does not allow") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null")):
        raise _Unreadable("empty-file", 1, "the file is empty: LiteLLM does not start")
    if not isinstance(root, yaml.MappingNode):
        raise _Unreadable("not-a-mapping", root.start_mark.line + 1, "the file is no mapping: LiteLLM does not start")
    value = _Builder(document, loader).build(root, ())
    if not isinstance(value, dict):
        raise _Unreadable("not-a-mapping", root.start_mark.line + 1, "the file is no mapping: LiteLLM does not start")
    document.value = value


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise _Unreadable("yaml-syntax", line, f"this is no configuration: nested more than {_DEEPEST} levels deep")


class _Builder:
    """Plain values from YAML nodes, with the line of each."""

    def __init__(self, document: Document, loader: Any) -> None:
        self._document = document
        self._loader = loader
        self._open: set[int] = set()
        self._flat: set[int] = set()
        self._count = 0

    def build(self, node: Any, path: Path) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > _MOST_VALUES:
            raise _Unreadable("yaml-syntax", line, f"its anchors expand to more than {_MOST_VALUES:,} values")
        if id(node) in self._open:
            raise _Unreadable("yaml-syntax", line, "an anchor contains itself: LiteLLM cannot read that")
        self._document.places.setdefault(path, Place(self._document.file, line))
        if node.tag == _MAP and isinstance(node, yaml.MappingNode):
            build: Callable[[Any, Path], Any] = self._mapping
        elif node.tag == _SEQUENCE and isinstance(node, yaml.SequenceNode):
            build = self._list
        else:
            return self._scalar(node)
        self._open.add(id(node))
        try:
            return build(node, path)
        finally:
            self._open.discard(id(node))

    def _list(self, node: Any, path: Path) -> list[Any]:
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: Any, path: Path) -> dict[Any, Any]:
        if id(node) not in self._flat:
            self._report_duplicates(node)
            try:
                self._loader.flatten_mapping(node)
            except yaml.MarkedYAMLError as error:
                raise _Unreadable(
                    "yaml-syntax", node.start_mark.line + 1, f"this is no YAML: {error.problem}"
                ) from None
            self._flat.add(id(node))
        value: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            inner = (*path, key)
            # As in LiteLLM the last one wins, and so does its line.
            if key in value:
                self._forget(inner)
            self._document.places[inner] = Place(self._document.file, key_node.start_mark.line + 1)
            value[key] = self.build(value_node, inner)
        return value

    def _forget(self, path: Path) -> None:
        depth = len(path)
        for inner in [other for other in self._document.places if other[:depth] == path]:
            del self._document.places[inner]

    def _report_duplicates(self, node: Any) -> None:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in first:
                message = (
                    f'the key "{key}" stands here a second time (first on line {first[key]}): only this one counts'
                )
                self._document.problems.append(Problem("duplicate-key", Place(self._document.file, line), message))
            first.setdefault(key, line)

    def _key(self, node: Any) -> Any:
        key = self._scalar(node)
        try:
            hash(key)
        except TypeError:
            raise _Unreadable("yaml-syntax", node.start_mark.line + 1, "a key that is a list or a mapping") from None
        return key

    def _scalar(self, node: Any) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.MarkedYAMLError as error:
            message = f"this cannot be read: {error.problem}"
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError):
            message = "a value does not fit the type that YAML gives to it"
        raise _Unreadable("yaml-syntax", node.start_mark.line + 1, message)


def shown(path: Iterable[str | int]) -> str:
    """`model_list[3].litellm_params.api_base`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) and not isinstance(part, bool) else f"{'.' if text else ''}{part}"
    return text


def mapping(value: object) -> Mapping[Any, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
