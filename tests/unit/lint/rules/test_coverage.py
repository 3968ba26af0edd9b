"""Each section that a release reads is looked into by a rule, or is said not to be."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from roles.lint.known import known_releases, known_to
from roles.lint.rules.coverage import NOT_LOOKED_AT, READ_BY
from roles.lint.section_facts import facts_of, releases


@pytest.mark.parametrize("release", known_releases())
def test_every_section_of_a_release_is_named(release: str) -> None:
    assert sorted(known_to(release).top - READ_BY.keys() - NOT_LOOKED_AT.keys()) == []


def test_no_section_is_named_that_no_release_has() -> None:
    read = {section for release in known_releases() for section in known_to(release).top}
    assert sorted({*READ_BY, *NOT_LOOKED_AT} - read) == []
    assert READ_BY.keys() & NOT_LOOKED_AT.keys() == set()


def test_the_modules_that_are_named_are_there_and_one_of_them_names_the_section() -> None:
    for section, modules in READ_BY.items():
        files = [Path(str(import_module(f"roles.lint.rules.{module}").__file__)) for module in modules]
        assert any(section in file.read_text() for file in files), section


def test_the_facts_are_those_of_the_releases_with_keys() -> None:
    assert releases() == known_releases()
    assert facts_of("1.106.2").version == "1.106.2"
    assert facts_of("1.100.0").version == facts_of("1.0.0").version == "1.84.0"
