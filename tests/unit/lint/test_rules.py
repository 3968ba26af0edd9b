"""Every rule finds its mistake, on its line, and finds none where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roles.lint import RULES, Finding, Rule, Source, lint_together

_FIXTURES = Path(__file__).parent / "fixtures"
_VERSION = "1.106.2"

_HEADER = re.compile(r"^# (litellm|environment|includes|beside|unreadable): (.*)$", re.MULTILINE)
_MARK = "# <-"


def _source(file: Path) -> tuple[Source, dict[str, str]]:
    """A fixture, and what its first lines say about the process that it is for."""
    text = file.read_text()
    headers = dict(_HEADER.findall(text))
    environment = None
    if "environment" in headers:
        pairs = (word.partition("=") for word in headers["environment"].split())
        environment = {name: value or "set" for name, _, value in pairs}
    read = None if "includes" in headers else lambda name: Path(name).read_text()
    return Source(text, str(file), environment, read, headers.get("unreadable", "")), headers


def _lint(file: Path) -> list[Finding]:
    source, headers = _source(file)
    sources = [source]
    if "beside" in headers:
        sources.append(_source(file.parent / headers["beside"])[0])
    findings = lint_together(sources, version=headers.get("litellm", _VERSION))
    return [finding for finding in findings if finding.file == str(file)]


def _marked_line(file: Path) -> int:
    return next((number for number, line in enumerate(file.read_text().splitlines(), 1) if _MARK in line), 1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_mistake_on_its_line(rule: Rule) -> None:
    file = _FIXTURES / rule.id / "fails.yaml"
    found = [finding for finding in _lint(file) if finding.rule == rule.id]
    assert [finding.line for finding in found] == [_marked_line(file)]
    assert found[0].severity == rule.severity
    assert found[0].message
    assert found[0].fix


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_nothing_where_nothing_is_wrong(rule: Rule) -> None:
    findings = _lint(_FIXTURES / rule.id / "passes.yaml")
    assert [finding for finding in findings if finding.rule == rule.id] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_passes_one_rule_breaks_no_other(rule: Rule) -> None:
    findings = _lint(_FIXTURES / rule.id / "passes.yaml")
    assert [str(finding) for finding in findings if finding.severity == "error"] == []


def test_every_rule_has_a_name_of_its_own_and_says_how_it_is_known() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert [rule.id for rule in RULES if not (rule.what and rule.fix and rule.source)] == []


def test_there_are_no_fixtures_of_rules_that_are_gone() -> None:
    assert {folder.name for folder in _FIXTURES.iterdir()} == {rule.id for rule in RULES}
