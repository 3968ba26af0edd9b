"""The lint reads whatever somebody calls a configuration: it has findings, and nothing else comes out."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from roles.lint.finding import Finding
from roles.lint.known import known_releases
from roles.lint.run import lint
from tests.fuzz_values import JSON, SECRET, TEXTS, damaged
from tests.lint_corpus.entries import all_entries

LONGEST_MESSAGE = 2000
RELEASES = st.sampled_from(known_releases())
ENVIRONMENTS = st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3)


def _documents() -> list[dict[str, Any]]:
    """The corpus' configurations that YAML can read."""
    found = []
    for entry in all_entries().values():
        with contextlib.suppress(yaml.YAMLError):
            found.append(yaml.safe_load(entry.document))
    return [document for document in found if isinstance(document, dict)]


CONFIGURATIONS = _documents()


def findings(text: str, release: str, environment: dict[str, str] | None) -> list[Finding]:
    found = lint(text, version=release, environment=environment, name="config.yaml")
    for finding in found:
        assert len(str(finding)) < LONGEST_MESSAGE
        assert finding.line >= 1
    return found


@given(
    document=st.sampled_from(CONFIGURATIONS).flatmap(damaged),
    release=RELEASES,
    environment=ENVIRONMENTS,
)
def test_a_configuration_with_something_odd_in_it_is_judged(
    document: Any, release: str, environment: dict[str, str] | None
) -> None:
    findings(yaml.safe_dump(document, allow_unicode=True), release, environment)


@given(document=JSON, release=RELEASES)
def test_what_is_no_configuration_is_judged(document: Any, release: str) -> None:
    findings(yaml.safe_dump(document, allow_unicode=True), release, None)


@given(
    text=st.text(max_size=200)
    | st.sampled_from(["&a [*a, *a]", "a: *b", "? [1]\n: 2", "!!python/object:x {}", "{" * 500])
)
def test_any_text_is_judged(text: str) -> None:
    findings(text, known_releases()[-1], None)


@given(place=st.sampled_from(["master_key", "database_url", "alerting"]), release=RELEASES)
def test_no_message_shows_a_master_key(place: str, release: str) -> None:
    text = yaml.safe_dump({"model_list": [], "general_settings": {place: SECRET, "master_key": SECRET}})
    assert all(SECRET not in str(finding) for finding in findings(text, release, {"X": SECRET}))
