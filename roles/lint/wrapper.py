"""Finds LiteLLM's configuration within a file of another program: a ConfigMap, the values of a Helm chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from roles.lint.yaml_values import Content, Duplicate, Lines, UnreadableError, Where, line_of, read_yaml

_SECTIONS = frozenset({"model_list", "litellm_settings", "general_settings", "router_settings"})
_HELM = "proxy_config"
"""The key of LiteLLM's own chart."""
_FIX = "check the file that LiteLLM gets, as `--config` names it"


class Inside(NamedTuple):
    """What a wrapper holds.

    Attributes:
        content: the configuration; None if there is none.
        line: where it begins, or where the wrapper does.
        rule: the rule that reports it.
    """

    content: Content | None
    line: int
    rule: str
    message: str
    fix: str


class _Found(NamedTuple):
    path: tuple[Any, ...]
    value: Any
    lines: Where
    line: int


def unwrapped(contents: Sequence[Content]) -> Inside | None:
    """The configuration inside the documents of a file; None if they are no wrapper.

    Raises:
        UnreadableError: the configuration inside cannot be read.
    """
    wrappers = [(content, _kind(content.value)) for content in contents]
    kinds = [kind for _, kind in wrappers if kind]
    if not kinds:
        return None
    for content, kind in wrappers:
        if not kind:
            continue
        for found in _configurations(content.value, content.lines, ()):
            where = ".".join(map(str, found.path))
            message = (
                f"this is {kind}: LiteLLM's configuration in it, `{where}`, is checked as the file that LiteLLM gets"
            )
            inner = _parsed(found) or Content(found.value, found.lines, content.duplicates)
            return Inside(inner, found.line, "wrapped-configuration", message, _FIX)
    line = line_of(contents[0].lines)
    message = f"this is {kinds[0]} and no configuration of LiteLLM: LiteLLM cannot use it"
    return Inside(None, line, "not-a-configuration", message, _FIX)


def _kind(value: Any) -> str:
    """What a document is, if it is another program's: `a Kubernetes ConfigMap`."""
    if not isinstance(value, dict):
        return ""
    kind = value.get("kind")
    if "apiVersion" in value and isinstance(kind, str):
        return f"a Kubernetes {kind}"
    if _SECTIONS & set(value):
        return ""
    if _HELM in value or any(isinstance(part, dict) and _HELM in part for part in value.values()):
        return "a Helm chart's values"
    services = value.get("services")
    if isinstance(services, dict) and any(isinstance(part, dict) and "image" in part for part in services.values()):
        return "a Docker Compose file"
    if any(_looks_like_one(part) for part in _texts(value)):
        return "a file around another one"
    return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _looks_like_one(text: str) -> bool:
    return any(line.partition(":")[0] in _SECTIONS for line in text.splitlines()) if "\n" in text else False


def _configurations(value: Any, where: Where, path: tuple[Any, ...]) -> Iterator[_Found]:
    """The mappings and the texts in a document that look like a configuration."""
    if isinstance(value, str) and _looks_like_one(value):
        yield _Found(path, value, where, line_of(where))
    if isinstance(where, int):
        return
    if isinstance(value, dict) and path and (path[-1] == _HELM or isinstance(value.get("model_list"), list)):
        yield _Found(path, value, where, where.line)
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _configurations(inner, where.inner[key], (*path, key))


def _parsed(found: _Found) -> Content | None:
    """The content of a text; None if it is a mapping already."""
    if not isinstance(found.value, str):
        return None
    # A block begins on the line below its key.
    try:
        contents = read_yaml(found.value)
    except UnreadableError as error:
        raise UnreadableError(error.rule, error.line + found.line, error.message) from None
    if len(contents) != 1:
        raise UnreadableError("yaml-syntax", found.line, "this is no YAML: the text in it has several documents")
    [(value, lines, duplicates)] = contents
    shifted = [Duplicate(one.key, one.line + found.line, one.first + found.line) for one in duplicates]
    return Content(value, _shifted(lines, found.line), shifted)


def _shifted(where: Where, by: int) -> Where:
    if isinstance(where, int):
        return where + by
    inner: Any
    if isinstance(where.inner, dict):
        inner = {key: _shifted(value, by) for key, value in where.inner.items()}
    else:
        inner = [_shifted(value, by) for value in where.inner]
    return Lines(where.line + by, inner)
