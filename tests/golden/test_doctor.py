"""The troubleshooting page says what the doctor says."""

from __future__ import annotations

from tests.golden.conftest import Golden
from tests.golden.doctor_reference import HEADING, doctor_reference
from tests.inventories import INVENTORY

_PAGE = INVENTORY.parent / "docs" / "troubleshooting.md"


def test_the_troubleshooting_page_is_what_the_doctor_says(golden: Golden) -> None:
    by_hand = _PAGE.read_text().partition(HEADING)[0]
    golden(_PAGE, by_hand + doctor_reference())
