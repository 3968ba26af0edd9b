"""The published schema of the verdict is what its types say."""

from __future__ import annotations

from tests.golden.conftest import Golden
from tests.golden.verdict_schema import verdict_schema
from tests.inventories import INVENTORY

_FILE = INVENTORY.parent / "docs" / "verdict.schema.json"


def test_the_published_schema_is_what_the_types_say(golden: Golden) -> None:
    golden(_FILE, verdict_schema())
