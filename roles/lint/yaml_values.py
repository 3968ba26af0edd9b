"""Plain values from YAML, as LiteLLM's loader gives them, with the line of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import yaml

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster. Wheels have it; some builds from source do not."""

_DEEPEST = 100
"""A configuration has ten levels; each takes a part of Python's stack."""
_MOST_VALUES = 1_000_000
"""Anchors can make a small file expand without limit."""
MOST_CHARACTERS = 16 * 2**20
"""Of a file and all that it includes. The largest configurations that were seen have 1 MB."""

_MAP, _SEQUENCE, _STRING, _MERGE = (f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "merge"))
_STOPS = "LiteLLM does not start"


class Lines(NamedTuple):
    """The line of a mapping or a list, and those of what is in it; a scalar has its line alone.

    `file` is empty where it is that of the value around it.
    """

    line: int
    inner: dict[Any, Lines | int] | list[Lines | int]
    file: str = ""


Where: TypeAlias = Lines | int


class Duplicate(NamedTuple):
    """A key that stands twice in one mapping."""

    key: str
    line: int
    first: int


class Content(NamedTuple):
    """One document of a file: its value, the lines of it, and its duplicate keys."""

    value: Any
    lines: Where
    duplicates: list[Duplicate]


def line_of(where: Where) -> int:
    return where if isinstance(where, int) else where.line


class UnreadableError(Exception):
    """The text is no configuration; `rule` is the rule that reports it."""

    def __init__(self, rule: str, line: int, message: str) -> None:
        self.rule, self.line, self.message = rule, line, message
        super().__init__(message)


def read_yaml(text: str) -> list[Content]:
    """The documents of a text; a document of nothing has the value None.

    Raises:
        UnreadableError: it is no YAML that LiteLLM can read, or is too large.
    """
    if len(text) > MOST_CHARACTERS:
        size = f"{len(text) / 2**20:.0f} MiB"
        raise UnreadableError("too-large", 1, f"it has {size}: the lint reads up to {MOST_CHARACTERS >> 20}")
    # LiteLLM uses the Python loader, which is stricter about tabs.
    base: Any = yaml.SafeLoader if "\t" in text else _FastLoader
    try:
        loader = base(text)
        contents = []
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(loader)
                built = builder.build(loader.get_event())
                contents.append(Content(built.value, built.lines, builder.duplicates))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        line = mark.line + 1 if mark else 1
        raise UnreadableError(
            "yaml-syntax", line, f"this is no YAML: {problem}{_hint(text, line)}: LiteLLM does not start"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 1
        raise UnreadableError("yaml-syntax", line, f"this is no YAML: {error.reason}: LiteLLM does not start") from None
    except (ValueError, yaml.YAMLError):  # a character that no encoding has
        raise UnreadableError(
            "yaml-syntax", 1, "this is no YAML: it has characters that YAML does not allow: LiteLLM does not start"
        ) from None
    return contents


def _hint(text: str, line: int) -> str:
    """For a file that is not YAML yet."""
    near = "\n".join(text.splitlines()[max(0, line - 2) : line])
    is_template = ("{{" in near and "}}" in near) or "{%" in near
    return " (this looks like a template: render it first, and check what it renders)" if is_template else ""


_TOO_DEEP = f"this is no configuration: nested more than {_DEEPEST} levels deep"


class _Built(NamedTuple):
    """A value, its lines, how many values it expands to, and how deep it is."""

    value: Any
    lines: Where
    size: int
    depth: int


class _Builder:
    """Builds the values of one document from a loader's events: a tree of nodes would take 30 times the text's memory.

    An anchor that is used twice is the same value.
    """

    def __init__(self, loader: Any) -> None:
        self.duplicates: list[Duplicate] = []
        self._loader = loader
        self._next: Callable[[], Any] = loader.get_event
        self._anchors: dict[str, _Built | int] = {}  # an int is the line of one that is being built
        self._plain: dict[str, Any] = {}
        self._written = 0

    def build(self, event: Any, level: int = 1) -> _Built:
        """The value that begins with an event; `level` is the number of values around it and itself."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._known(str(event.anchor), line)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise UnreadableError("yaml-syntax", line, f"the anchor {event.anchor} stands twice: {_STOPS}")
            self._anchors[event.anchor] = line
        built = self._new(event, line, level)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _new(self, event: Any, line: int, level: int) -> _Built:
        if isinstance(event, yaml.ScalarEvent):
            return _Built(self._scalar(event), line, 1, 1)
        if level > _DEEPEST:
            raise UnreadableError("yaml-syntax", line, _TOO_DEEP)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        built = self._mapping(line, level) if is_mapping else self._list(line, level)
        if built.size > _MOST_VALUES:
            raise UnreadableError("too-large", line, self._too_many(built.size))
        if built.depth > _DEEPEST:
            raise UnreadableError("yaml-syntax", line, _TOO_DEEP)
        if event.tag in (None, "!", _MAP if is_mapping else _SEQUENCE):
            return built
        return _Built(self._tagged(event, built.value), line, 1, 1)

    def _known(self, anchor: str, line: int) -> _Built:
        if anchor not in self._anchors:
            raise UnreadableError("yaml-syntax", line, f"this is no YAML: there is no anchor {anchor}: {_STOPS}")
        known = self._anchors[anchor]
        if isinstance(known, int):
            raise UnreadableError("yaml-syntax", known, f"an anchor contains itself: {_STOPS}")
        return known

    def _too_many(self, size: int) -> str:
        by = "its anchors expand to" if size > 2 * self._written else "it has"
        return f"{by} more than {_MOST_VALUES:,} values: the lint reads no more"

    def _list(self, line: int, level: int) -> _Built:
        values: list[Any] = []
        lines: list[Where] = []
        size = depth = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            built = self.build(event, level + 1)
            values.append(built.value)
            lines.append(built.lines)
            size += built.size
            depth = max(depth, built.depth)
        self._written += len(values)
        return _Built(values, Lines(line, lines), size + 1, depth + 1)

    def _mapping(self, line: int, level: int) -> _Built:
        values: dict[Any, Any] = {}
        lines: dict[Any, Where] = {}
        merged: list[_Built] = []
        size, depth, plain = 1, 1, self._plain
        while not isinstance(key_event := self._next(), yaml.MappingEndEvent):
            key_line = key_event.start_mark.line + 1
            key = self._key(key_event, key_line, level)
            event = self._next()
            if key is _MERGED:
                merged += self._sources(self.build(event, level + 1), key_line)
                continue
            if key in lines:
                self.duplicates.append(Duplicate(str(key), key_line, line_of(lines[key])))
            # A key's line, not that of its value, which may begin below it. As in LiteLLM the last of two keys wins.
            if event.__class__ is yaml.ScalarEvent and event.anchor is None:
                is_known = event.tag is None and event.implicit[0] and event.value in plain
                values[key] = plain[event.value] if is_known else self._scalar(event)
                lines[key] = key_line
                size += 1
                continue
            built = self.build(event, level + 1)
            values[key] = built.value
            lines[key] = key_line if isinstance(built.lines, int) else built.lines._replace(line=key_line)
            size += built.size
            depth = max(depth, built.depth)
        self._written += len(values)
        for other in reversed(merged):
            # Its own keys win, and of two that are merged the one that is merged last.
            values = {**other.value, **values}
            lines = {**other.lines.inner, **lines}
            size, depth = size + other.size, max(depth, other.depth - 1)
        return _Built(values, Lines(line, lines), size, depth + 1)

    def _key(self, event: Any, line: int, level: int) -> Any:
        """The key that begins with an event; `_MERGED` for `<<`."""
        if event.__class__ is yaml.ScalarEvent and event.anchor is None:
            if event.tag is None and event.implicit[0]:
                if event.value in _SPECIAL:
                    return _SPECIAL[event.value]
            elif event.tag == _MERGE:
                return _MERGED
            return self._scalar(event)
        built = self.build(event, level + 1)
        if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) and isinstance(built.lines, int):
            return built.value
        raise UnreadableError("yaml-syntax", line, f"a key that is a list or a mapping: {_STOPS}")

    def _sources(self, built: _Built, line: int) -> list[_Built]:
        """The mappings that a `<<` names, the one that wins last."""
        if isinstance(built.value, dict):
            return [built]
        items = built.value if isinstance(built.value, list) and not isinstance(built.lines, int) else [None]
        if not all(isinstance(item, dict) for item in items):
            message = f"this is no YAML: `<<` takes a mapping or a list of them: {_STOPS}"
            raise UnreadableError("yaml-syntax", line, message)
        inner: Any = built.lines.inner  # type: ignore[union-attr]
        size = built.size // max(1, len(items))
        pairs = reversed([*zip(items, inner, strict=True)])
        return [_Built(value, where, size, built.depth - 1) for value, where in pairs]

    def _scalar(self, event: Any) -> Any:
        """The value of a word: in quotes it is itself; without, it may be a number, yes or no, a date, nothing."""
        word, plain = event.value, event.tag is None and event.implicit[0]
        if plain and word in self._plain:
            return self._plain[word]
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, word, event.implicit)
        value = word
        if tag != _STRING:
            value = self._constructed(yaml.ScalarNode(tag, word, event.start_mark, event.end_mark))
        if plain:
            self._plain[word] = value
        return value

    def _tagged(self, event: Any, value: Any) -> Any:
        """A set, pairs, or another mapping or list with a tag."""
        node = yaml.MappingNode if isinstance(value, dict) else yaml.SequenceNode
        made = self._constructed(node(event.tag, [], event.start_mark, event.end_mark))
        if isinstance(made, set):
            return set(value)
        if isinstance(made, list) and all(isinstance(item, dict) and len(item) == 1 for item in value):
            return [pair for item in value for pair in item.items()]
        line = event.start_mark.line + 1
        raise UnreadableError("yaml-syntax", line, f"this cannot be read: {event.tag} takes one-key mappings: {_STOPS}")

    def _constructed(self, node: Any) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.MarkedYAMLError as error:
            message = f"this cannot be read: {error.problem}: {_STOPS}"
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError, RecursionError):
            message = f"a value does not fit the type that YAML gives to it: {_STOPS}"
        raise UnreadableError("yaml-syntax", node.start_mark.line + 1, message)


_MERGED = object()
_SPECIAL = {"<<": _MERGED, "=": "="}
"""Words that are no words where they are keys."""
