"""Checks configurations with every rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roles.lint.config import Config
from roles.lint.document import Place, Reader, read_document, shown
from roles.lint.finding import Finding
from roles.lint.known import known_to, parse_version
from roles.lint.rule import Rule
from roles.lint.rules import READING, RULES
from roles.lint.rules.reading import UNREADABLE


@dataclass(frozen=True)
class Source:
    """One configuration to check.

    Attributes:
        name: the file's name, for findings; `include` paths are relative to its folder.
        environment: variable → value of the process that will use it; None = not known. Values are never shown.
        read: reads an included file; None = includes are not followed, and a finding reports that.
    """

    text: str
    name: str
    environment: Mapping[str, str] | None = None
    read: Reader | None = None


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
    configs = [_config(source, version) for source in sources]
    for config in configs:
        config.peers = [peer for peer in configs if peer is not config]
    return [finding for config in configs for finding in _findings(config)]


def _config(source: Source, version: str) -> Config:
    document = read_document(source.text, source.name, source.read)
    return Config(document, parse_version(version), version, known_to(version), source.environment)


def _findings(config: Config) -> list[Finding]:
    unreadable = any(problem.rule in UNREADABLE for problem in config.document.problems)
    rules: Sequence[Rule] = READING if unreadable else RULES
    found = [_finding(rule, config, *one) for rule in rules for one in rule.check(config)]
    return sorted(
        found, key=lambda finding: (finding.file != config.document.file, finding.file, finding.line, finding.rule)
    )


def _finding(rule: Rule, config: Config, where: Place | tuple[str | int, ...], message: str, fix: str) -> Finding:
    place = where if isinstance(where, Place) else config.document.place(where)
    path = "" if isinstance(where, Place) else shown(where)
    return Finding(rule.id, rule.severity, place.file, place.line, path, message, fix or rule.fix)
