"""The options reference in the docs says what the options say of themselves."""

from __future__ import annotations

import pytest

from roles.options import Options, OptionsError
from roles.rooms import PLANNERS
from tests.golden.options_reference import SECTIONS, options_reference
from tests.inventories import INVENTORY

_PAGE = INVENTORY.parent / "docs" / "options.md"
_GROUPS = [group for groups in SECTIONS.values() for group in groups]


def test_the_options_page_is_what_the_spec_says(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write-golden"):
        _PAGE.write_text(options_reference())
    assert _PAGE.read_text() == options_reference(), "run `make golden` and read the diff"


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.__name__)
def test_every_option_has_a_line_of_help(group: type[Options]) -> None:
    assert [name for name, field in group.model_fields.items() if not field.description] == []
    assert group.__doc__


def test_every_service_is_on_the_page() -> None:
    assert set(PLANNERS) <= set(_GROUPS)


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.__name__)
def test_every_group_refuses_an_unknown_option(group: type[Options]) -> None:
    with pytest.raises((OptionsError, TypeError), match="no_such_option"):
        group(**{"no_such_option": 1})
