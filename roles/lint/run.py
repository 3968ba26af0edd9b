"""Checks configurations with every rule."""

from __future__ import annotations

import contextlib
import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roles.lint.config import Config
from roles.lint.document import Document, Place, Problem, Reader, read_documents, shown
from roles.lint.finding import Finding
from roles.lint.known import known_to, parse_version
from roles.lint.rule import Found, Rule
from roles.lint.rules import READING, RULES
from roles.lint.rules.reading import UNREADABLE

_SHOWN_ONE_BY_ONE = 10
"""Findings of one rule in one section of one file; more become one with a count."""
_LINES_NAMED = 5


@dataclass(frozen=True)
class Source:
    """One configuration to check.

    Attributes:
        name: the file's name, for findings; `include` paths are relative to its folder.
        unreadable: why there is no text, e.g. "it is not UTF-8".
        environment: variable → value of the process that will use it; None = not known. Values are never shown.
        read: reads an included file; None = includes are not followed, and a finding reports that.
    """

    text: str
    name: str
    environment: Mapping[str, str] | None = None
    read: Reader | None = None
    unreadable: str = ""


def lint(
    text: str, *, version: str, environment: Mapping[str, str] | None, name: str, read: Reader | None = None
) -> list[Finding]:
    """The mistakes in a configuration of LiteLLM `version`, in the order of its lines.

    Raises:
        ValueError: `version` is not a version.
    """
    return lint_together([Source(text, name, environment, read)], version=version)


def lint_together(sources: Sequence[Source], *, version: str) -> list[Finding]:
    """The same for several proxies on one host: what they must not share is checked too."""
    with _without_collector():
        groups = [_configs(source, version) for source in sources]
        for group in groups:
            for config in group:
                config.peers = [peer for other in groups if other is not group for peer in other]
        return [finding for group in groups for config in group for finding in _findings(config)]


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector looks at all objects again and again while they grow: four fifths of the time of a large file.

    There are no cycles to collect.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _configs(source: Source, version: str) -> list[Config]:
    """The configuration of a file; several if it wraps several."""
    if source.unreadable:
        problem = Problem("unreadable-file", Place(source.name, 1), source.unreadable)
        documents = [Document(source.name, problems=[problem])]
    else:
        documents = read_documents(source.text, source.name, source.read)
    release = parse_version(version)
    return [Config(document, release, version, known_to(version), source.environment) for document in documents]


def _findings(config: Config) -> list[Finding]:
    document = config.document
    unreadable = any(
        problem.rule in UNREADABLE and problem.place.file == document.file for problem in document.problems
    )
    rules: Sequence[Rule] = READING if unreadable else RULES
    found = [finding for rule in rules for finding in _of_rule(rule, config)]
    return sorted(
        found, key=lambda finding: (finding.file != config.document.file, finding.file, finding.line, finding.rule)
    )


def _of_rule(rule: Rule, config: Config) -> Iterator[Finding]:
    """A rule's findings; many in one section of one file become one with a count."""
    groups: dict[tuple[str, object], list[tuple[Place, Found]]] = defaultdict(list)
    for found in rule.check(config):
        if isinstance(found.where, Place):
            groups[found.where.file, None].append((found.where, found))
        else:
            place = config.document.place(found.where)
            groups[place.file, found.where[0] if found.where else None].append((place, found))
    for alike in groups.values():
        if len(alike) <= _SHOWN_ONE_BY_ONE:
            yield from (_finding(rule, place, found) for place, found in alike)
        else:
            first = min(alike, key=lambda one: one[0].line)
            lines = sorted({place.line for place, _ in alike} - {first[0].line})
            yield _finding(rule, *first, others=len(alike) - 1, lines=lines[:_LINES_NAMED])


def _finding(rule: Rule, place: Place, found: Found, others: int = 0, lines: Sequence[int] = ()) -> Finding:
    path = "" if isinstance(found.where, Place) else shown(found.where)
    message = found.message
    if others:
        where = f": lines {', '.join(map(str, lines))}{', …' if others > len(lines) else ''}" if lines else ""
        message += f" (and {others:,} more like it{where})"
    fix = found.fix if isinstance(found.fix, str) else found.fix()
    return Finding(rule.id, rule.severity, place.file, place.line, path, message, fix or rule.fix, others + 1)
