"""What the reports that people and programs read look like. `make golden` writes the expected files anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.verify import FORMS
from tests.golden.conftest import Golden
from tests.verdicts import BAD, USED, earlier_runs

_EXPECTED = Path(__file__).parent / "reports"
_VERDICTS = {"good": USED, "bad": BAD}


@pytest.mark.parametrize("form", ["markdown", "junit", "prometheus"])
@pytest.mark.parametrize("name", _VERDICTS)
def test_a_report_is_as_it_was_read_last(golden: Golden, form: str, name: str) -> None:
    golden(_EXPECTED / name / FORMS[form].file, FORMS[form].write(_VERDICTS[name], earlier_runs(1)))
