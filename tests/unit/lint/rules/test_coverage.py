"""Each section that a release reads is looked into by a rule, or is said not to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roles.lint.config import Config
from roles.lint.document import Document, read_documents
from roles.lint.known import known_releases, known_to, parse_version
from roles.lint.rules import GROUPS, rules_of
from roles.lint.rules.coverage import NOT_LOOKED_AT, READ_BY
from roles.lint.section_facts import facts_of, releases
from tests.lint_corpus.entries import all_entries
from tests.lint_corpus.verdict import RELEASE as _VERSION


@pytest.mark.parametrize("release", known_releases())
def test_every_section_of_a_release_is_named(release: str) -> None:
    assert sorted(known_to(release).top - READ_BY.keys() - NOT_LOOKED_AT.keys()) == []


def test_no_section_is_named_that_no_release_has() -> None:
    read = {section for release in known_releases() for section in known_to(release).top}
    assert sorted({*READ_BY, *NOT_LOOKED_AT} - read) == []
    assert READ_BY.keys() & NOT_LOOKED_AT.keys() == set()


class _Watched(dict[Any, Any]):
    """A file's sections, and which of them were asked for."""

    def __init__(self, sections: Mapping[Any, Any]) -> None:
        super().__init__(sections)
        self.asked: set[Any] = set()

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: Any) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)


def _documents() -> Iterator[Document]:
    """The corpus, and what each rule has a finding for."""
    texts = [entry.document for entry in all_entries().values()]
    texts += [file.read_text() for file in (Path(__file__).parents[1] / "fixtures").glob("*/fails.yaml")]
    for text in texts:
        yield from read_documents(text, "config.yaml", None)


def test_a_section_is_asked_for_by_the_modules_that_are_named_and_by_no_other() -> None:
    asked: dict[Any, set[str]] = defaultdict(set)
    for document in _documents():
        for module in GROUPS.values():
            sections = _Watched(document.value)
            config = Config(
                replace(document, value=sections), parse_version(_VERSION), _VERSION, known_to(_VERSION), {}
            )
            for rule in rules_of(module):
                list(rule.check(config))
            for section in sections.asked:
                asked[section].add(module.__name__.rpartition(".")[2])
    found = {section: sorted(modules) for section, modules in asked.items() if section in known_to(_VERSION).top}
    assert found == {section: list(modules) for section, modules in READ_BY.items()}


def test_the_facts_are_those_of_the_releases_with_keys() -> None:
    assert releases() == known_releases()
    assert facts_of("1.106.2").version == "1.106.2"
    assert facts_of("1.100.0").version == facts_of("1.0.0").version == "1.84.0"
