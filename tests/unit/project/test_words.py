"""Names and texts use the field's standard words: each banned one has another that everybody knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labhost.paths import REPOSITORY

BANNED = {
    r"mend(s|ed|ing)?": "fix",
    r"can not": "cannot",
    r"prove[sd]?|proving|proofs?|unproved": "verify, verification",
    r"refuted?|refutes": "fail, a failed check",
    r"told|tells?|telling": "report, say, notify",
    r"checks? holds?|(does|did|do) not hold|holds again|held before": "pass",
    r"(never |to )rests?|rested": "cool down",
    r"drill(s|ed)?": "fault injection",
    r"strangers?": "unexpected",
    r"runs not|not any more": "is not running, no longer",
}
_WHERE = ("roles", "templates", "deploys", "inventory", "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md")
_WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(BANNED)})(?![a-z])", re.IGNORECASE)


def _files() -> Iterator[Path]:
    for place in _WHERE:
        path = REPOSITORY / place
        yield from [path] if path.is_file() else (each for each in path.rglob("*") if each.is_file())


def _texts() -> Iterator[tuple[Path, str]]:
    for path in _files():
        # What others wrote: pinned packages, LiteLLM's own keys. The changelog says which word became which.
        if not {"__pycache__", "locks", "keys", "changelog.md"} & {*path.parts}:
            yield path.relative_to(REPOSITORY), path.read_text()


@pytest.mark.parametrize(
    "word", ["mend", "can not", "Proved", "_proof", "PROOFS", "_told", "tells", "Drill", "checks hold", "did not hold"]
)
def test_a_banned_word_is_seen_in_each_of_its_forms(word: str) -> None:
    assert _WORD.search(f"x {word} y")


def test_no_text_of_ours_has_a_word_of_our_own_making() -> None:
    found = [f"{path}: {match[0]}" for path, text in _texts() for match in _WORD.finditer(text)]
    assert found == []
    assert len([*_texts()]) > 150
