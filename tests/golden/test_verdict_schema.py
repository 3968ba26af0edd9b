"""The published schema of the verdict is what its types say."""

from __future__ import annotations

import pytest

from tests.golden.verdict_schema import verdict_schema
from tests.inventories import INVENTORY

_FILE = INVENTORY.parent / "docs" / "verdict.schema.json"


def test_the_published_schema_is_what_the_types_say(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write-golden"):
        _FILE.write_text(verdict_schema())
    assert _FILE.read_text() == verdict_schema(), "run `make golden` and read the diff"
