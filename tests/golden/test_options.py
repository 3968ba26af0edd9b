"""The options reference in the docs says what the options say of themselves."""

from __future__ import annotations

import pytest

import roles.rooms  # noqa: F401  registers the rooms
from roles.options import Options, OptionsError
from roles.plan import rooms
from tests.golden.conftest import Golden
from tests.golden.options_reference import options_reference, sections
from tests.inventories import INVENTORY

_PAGE = INVENTORY.parent / "docs" / "options.md"
ROOMS = INVENTORY.parent / "roles"
PROJECT = [room for room in rooms() if (ROOMS / room.name).is_dir()]
"""The rooms of the project: a test run may know more."""
_GROUPS = [group for groups in sections(PROJECT).values() for group in groups]


def test_the_options_page_is_what_the_options_say(golden: Golden) -> None:
    golden(_PAGE, options_reference(PROJECT))


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.__name__)
def test_every_option_has_a_line_of_help(group: type[Options]) -> None:
    assert [name for name, field in group.model_fields.items() if not field.description] == []
    assert group.__doc__


def test_every_service_is_on_the_page() -> None:
    assert {service for room in PROJECT for service in room.planners} <= set(_GROUPS)


@pytest.mark.parametrize("group", _GROUPS, ids=lambda group: group.__name__)
def test_every_group_refuses_an_unknown_option(group: type[Options]) -> None:
    with pytest.raises((OptionsError, TypeError), match="no_such_option"):
        group(**{"no_such_option": 1})


def test_every_room_of_a_service_is_registered() -> None:
    folders = {options.parent.name for options in ROOMS.glob("*/options.py")}
    assert folders == {room.name for room in PROJECT}
