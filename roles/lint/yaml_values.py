"""Plain values from YAML, as LiteLLM's loader gives them, with the line of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import yaml

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster. Wheels have it; some builds from source do not."""

_DEEPEST = 100
"""The C composer crashes on a document with some 10,000 levels of nesting."""
_MOST_VALUES = 1_000_000
"""Anchors can make a small file expand without limit."""
MOST_CHARACTERS = 16 * 2**20
"""Of a file and all that it includes. The largest configurations that were seen have 1 MB."""

_MAP, _SEQUENCE, _STRING, _MERGE, _VALUE = (
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "merge", "value")
)


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
        loader = _bounded(base)(text)
        contents = []
        while loader.check_node():
            builder = _Builder(loader)
            lines, _, _ = builder.build(root := loader.get_node())
            contents.append(Content(builder.value(root), lines, builder.duplicates))
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


def _bounded(base: Any) -> Any:
    """The loader that refuses what is nested too deep, and looks once at a word. Both composers call these."""

    tags: dict[str, str] = {}

    class Bounded(base):  # type: ignore[misc]
        depth = 0

        def descend_resolver(self, current_node: Any, current_index: Any) -> None:
            self.depth += 1
            if self.depth > _DEEPEST + 1:
                raise UnreadableError("yaml-syntax", current_node.start_mark.line + 1, _TOO_DEEP)

        def ascend_resolver(self) -> None:
            self.depth -= 1

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is not yaml.ScalarNode or not implicit[0]:
                return super().resolve(kind, value, implicit)
            if value not in tags:
                tags[value] = super().resolve(kind, value, implicit)
            return tags[value]

    return Bounded


_TOO_DEEP = f"this is no configuration: nested more than {_DEEPEST} levels deep"

_Built: TypeAlias = tuple[Where, int, int]
"""Lines of a node, how many values it expands to, and how deep it is."""


class _Builder:
    """Builds each node once: an anchor that is used twice is the same value."""

    def __init__(self, loader: Any) -> None:
        self.duplicates: list[Duplicate] = []
        self._loader = loader
        self._built: dict[int, _Built | None] = {}
        self._values: dict[int, Any] = {}
        self._plain: dict[tuple[str, str], Any] = {}

    def value(self, node: Any) -> Any:
        """The value of a node that was built."""
        if node.tag == _STRING and isinstance(node, yaml.ScalarNode):
            return node.value
        return self._values[id(node)] if id(node) in self._values else self._scalar(node)

    def build(self, node: Any) -> _Built:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return line, 1, 1
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            build: Callable[[Any], _Built] = self._mapping
        elif isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            build = self._list
        else:
            return line, 1, 1
        if id(node) in self._built:
            known = self._built[id(node)]
            if known is None:
                raise UnreadableError("yaml-syntax", line, "an anchor contains itself: LiteLLM does not start")
            return known
        self._built[id(node)] = None
        lines, size, depth = build(node)
        if size > _MOST_VALUES:
            raise UnreadableError("too-large", line, self._too_many(size))
        if depth > _DEEPEST:
            raise UnreadableError("yaml-syntax", line, _TOO_DEEP)
        self._built[id(node)] = lines, size, depth
        return lines, size, depth

    def _too_many(self, size: int) -> str:
        written = sum(len(value) for value in self._values.values())
        by = "its anchors expand to" if size > 2 * written else "it has"
        return f"{by} more than {_MOST_VALUES:,} values: the lint reads no more"

    def _list(self, node: Any) -> _Built:
        lines: list[Where] = []
        values = self._values[id(node)] = []
        size = depth = 0
        for item in node.value:
            where, inner, deep = self.build(item)
            values.append(self.value(item))
            lines.append(where)
            size += inner
            depth = max(depth, deep)
        return Lines(node.start_mark.line + 1, lines), size + 1, depth + 1

    def _mapping(self, node: Any) -> _Built:
        lines: dict[Any, Where] = {}
        values = self._values[id(node)] = {}
        size = depth = 0
        for other in self._merged(node):
            where, inner, deep = self.build(other)
            values.update(self._values[id(other)])
            lines.update(where.inner)  # type: ignore[union-attr,arg-type]
            size, depth = size + inner, max(depth, deep - 1)
        seen = {} if lines else lines
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = key_node.value if key_node.tag == _STRING else self._key(key_node)
            line = key_node.start_mark.line + 1
            if key in seen:
                self.duplicates.append(Duplicate(str(key), line, line_of(seen[key])))
            # A key's line, not that of its value, which may begin below it. As in LiteLLM the last of two keys wins.
            seen[key] = lines[key] = line
            if value_node.__class__ is yaml.ScalarNode:
                values[key] = value_node.value if value_node.tag == _STRING else self._scalar(value_node)
                size += 1
                continue
            where, inner, deep = self.build(value_node)
            values[key] = self.value(value_node)
            if not isinstance(where, int):
                lines[key] = where._replace(line=line)
            size += inner
            depth = max(depth, deep)
        return Lines(node.start_mark.line + 1, lines), size + 1, max(depth, 1) + 1

    def _merged(self, mapping: Any) -> list[Any]:
        """The mappings of each `<<`, the one that wins last."""
        merged: list[Any] = []
        for key, node in mapping.value:
            if key.tag != _MERGE:
                continue
            items = [*reversed(node.value)] if isinstance(node, yaml.SequenceNode) else [node]
            if not all(isinstance(item, yaml.MappingNode) and item.tag == _MAP for item in items):
                message = "this is no YAML: `<<` takes a mapping or a list of them: LiteLLM does not start"
                raise UnreadableError("yaml-syntax", key.start_mark.line + 1, message)
            merged += items
        return merged

    def _key(self, node: Any) -> Any:
        if node.tag == _VALUE:
            return node.value
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        key = self._scalar(node)
        try:
            hash(key)
        except TypeError:
            line = node.start_mark.line + 1
            raise UnreadableError(
                "yaml-syntax", line, "a key that is a list or a mapping: LiteLLM does not start"
            ) from None
        return key

    def _scalar(self, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            word = (node.tag, node.value)
            if word not in self._plain:
                self._plain[word] = self._constructed(node)
            return self._plain[word]
        # A set, pairs, or another mapping or list with a tag.
        self._values[id(node)] = self._constructed(node)
        return self._values[id(node)]

    def _constructed(self, node: Any) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except yaml.MarkedYAMLError as error:
            message = f"this cannot be read: {error.problem}: LiteLLM does not start"
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError, RecursionError):
            message = "a value does not fit the type that YAML gives to it: LiteLLM does not start"
        raise UnreadableError("yaml-syntax", node.start_mark.line + 1, message)
