"""Finds LiteLLM's configurations within a file of another program: a ConfigMap, the values of a Helm chart."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from roles.lint.yaml_values import Content, Duplicate, Lines, UnreadableError, Where, line_of, read_yaml

_SECTIONS = frozenset({"model_list", "litellm_settings", "general_settings", "router_settings"})
_HELM = "proxy_config"
"""The key of LiteLLM's own chart."""
_VALUES = frozenset({"replicaCount", "proxyConfigMap", "masterkeySecretName"})
"""Other keys of its values."""
_ENCODED = frozenset({"data", "binaryData"})
"""Where Kubernetes has texts in base64: in a Secret, and in a ConfigMap."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_MOST = 100
"""Configurations in one file."""
_YAML = (".yaml", ".yml")
_BLOCK = re.compile(r"[|>][-+0-9]*\s*(?:#.*)?$")
"""The end of a line below which a text begins."""


class Inside(NamedTuple):
    """A configuration in a wrapper.

    Attributes:
        line: where it begins.
        path: the keys that lead to it.
    """

    content: Content
    line: int
    path: tuple[Any, ...]


class _Broken(NamedTuple):
    """A text that looks like one, and is no YAML."""

    error: UnreadableError
    path: tuple[Any, ...]


class Wrapper(NamedTuple):
    """A file of another program; `kind` says of which: `a Kubernetes ConfigMap`."""

    kind: str
    line: int
    inside: Sequence[Inside]


def unwrapped(contents: Sequence[Content], text: str) -> Wrapper | None:
    """The configurations inside the documents of a file; None if they are no wrapper.

    Raises:
        UnreadableError: a configuration inside cannot be read.
    """
    wrappers = [(content, kind) for content in contents if (kind := _kind(content.value))]
    if not wrappers:
        return None
    rows = text.splitlines()
    found = [(kind, one) for content, kind in wrappers for one in _configurations(content, (), rows)]
    inside = [(kind, one) for kind, one in found if isinstance(one, Inside)]
    if len(inside) > _MOST:
        message = f"it has more than {_MOST} configurations in it: the lint checks no more of one file"
        raise UnreadableError("too-large", inside[_MOST][1].line, message)
    for _, one in found:
        # Beside a configuration, a text that is no YAML may be one that explains it.
        if isinstance(one, _Broken) and (not inside or str(one.path[-1]).endswith(_YAML)):
            raise one.error
    kind = inside[0][0] if inside else wrappers[0][1]
    return Wrapper(kind, line_of(contents[0].lines), [one for _, one in inside])


def _kind(value: Any) -> str:
    """What a document is, if it is another program's."""
    if isinstance(value, dict):
        if "apiVersion" in value and isinstance(value.get("kind"), str):
            return f"a Kubernetes {value['kind']}"
        if _SECTIONS & set(value):
            return ""
        if {"apiVersion", "name", "version"} <= set(value):
            return "a Helm chart"
        if _VALUES & set(value) or any(key == _HELM for key, _ in _parts(value)):
            return "a Helm chart's values"
        services = value.get("services")
        services = services.values() if isinstance(services, dict) else ()
        if any(isinstance(part, dict) and ("image" in part or "build" in part) for part in services):
            return "a Docker Compose file"
    if any(isinstance(part, str) and _begins_with_section(part) for _, part in _parts(value)):
        return "a file around another one"
    return ""


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything within a value, with its key."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                yield key, inner
                pending.append(inner)


def _begins_with_section(text: str) -> bool:
    """Whether a line of a text begins with a section."""
    return "\n" in text and any(line.partition(":")[0] in _SECTIONS for line in text.splitlines())


def _mentions_values(text: str) -> bool:
    return "\n" in text and any(line.strip() == f"{_HELM}:" for line in text.splitlines())


def _configurations(content: Content, path: tuple[Any, ...], rows: Sequence[str]) -> Iterator[Inside | _Broken]:
    """The mappings and the texts in a document that look like a configuration; `rows` are the file's lines."""
    value, where, duplicates = content
    if isinstance(value, str):
        yield from _of_text(value, line_of(where), path, rows)
        return
    if isinstance(where, int):
        return
    if (
        isinstance(value, dict)
        and path
        and ((path[-1] == _HELM and value) or isinstance(value.get("model_list"), list))
    ):
        yield Inside(content, where.line, path)
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _configurations(Content(inner, where.inner[key], duplicates), (*path, key), rows)


def _of_text(text: str, line: int, path: tuple[Any, ...], rows: Sequence[str]) -> Iterator[Inside | _Broken]:
    """The configurations of a text, which stands at a line; `rows` are empty for a text within another one."""
    is_block = bool(rows) and _BLOCK.search(rows[line - 1]) is not None
    if _ENCODED & {*path}:
        decoded = _decoded(text)
        text, is_block = decoded or text, is_block and not decoded
    is_one = _begins_with_section(text)
    # Texts in texts in texts are not looked into: each is read again as a whole.
    if not is_one and not (rows and _mentions_values(text)):
        return
    # A block begins on the line below its key; a text in quotes has no lines of its own.
    try:
        content = _parsed(text, (lambda inner: inner + line) if is_block else (lambda _: line))
    except UnreadableError as error:
        yield _Broken(error, path)
        return
    if is_one:
        yield Inside(content, line, path)
    else:
        yield from _configurations(content, path, ())


def _decoded(text: str) -> str:
    """The text that another one has in base64; `` if it has none."""
    joined = "".join(text.split())
    try:
        return base64.b64decode(joined).decode() if _BASE64.fullmatch(joined) else ""
    except ValueError:
        return ""


def _parsed(text: str, placed: Callable[[int], int]) -> Content:
    """The content of a text; `placed` gives the line of the file for a line of it."""
    try:
        contents = read_yaml(text)
    except UnreadableError as error:
        raise UnreadableError(error.rule, placed(error.line), error.message) from None
    if len(contents) != 1:
        raise UnreadableError("yaml-syntax", placed(1), "this is no YAML: the text in it has several documents")
    [(value, lines, duplicates)] = contents
    moved = [Duplicate(one.key, placed(one.line), placed(one.first)) for one in duplicates]
    return Content(value, _moved(lines, placed), moved)


def _moved(where: Where, placed: Callable[[int], int]) -> Where:
    if isinstance(where, int):
        return placed(where)
    inner: Any
    if isinstance(where.inner, dict):
        inner = {key: _moved(value, placed) for key, value in where.inner.items()}
    else:
        inner = [_moved(value, placed) for value in where.inner]
    return Lines(placed(where.line), inner)
