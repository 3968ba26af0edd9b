"""The troubleshooting page says what the doctor says."""

from __future__ import annotations

import pytest

from tests.golden.doctor_reference import HEADING, doctor_reference
from tests.inventories import INVENTORY

_PAGE = INVENTORY.parent / "docs" / "troubleshooting.md"


def test_the_troubleshooting_page_is_what_the_doctor_says(pytestconfig: pytest.Config) -> None:
    before, _, after = _PAGE.read_text().partition(HEADING)
    if pytestconfig.getoption("--write-golden"):
        _PAGE.write_text(before + doctor_reference())
    else:
        assert HEADING + after == doctor_reference(), "run `make golden` and read the diff"
