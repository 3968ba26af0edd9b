"""What only an inventory of an earlier version can have ends in one message that says what to write instead."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import ClassVar

import pytest

import roles.options
from roles.options import FORMER_NAMES, Options, OptionsError
from roles.options.base import former_options
from tests.option_groups import GROUPS, public_names

_FORMER = [(group, option) for group in GROUPS for option in former_options(group)]


def _error(inventory: Path, text: str) -> str:
    inventory.write_text(text)
    with pytest.raises(OptionsError) as error:
        runpy.run_path(str(inventory))
    return str(error.value)


@pytest.mark.parametrize(("group", "option"), _FORMER, ids=lambda part: getattr(part, "__name__", part))
def test_a_former_option_is_answered_with_what_to_write(group: type[Options], option: str, tmp_path: Path) -> None:
    package = group.__module__.rpartition(".")[0]
    text = f"from {package} import {group.__name__}\n{group.__name__}(**{{{option!r}: 1}})\n"
    message = _error(tmp_path / "box.py", text)
    assert f"box.py:2: {group.__name__}: " in message
    assert f'option "{option}" no longer exists: {former_options(group)[option]}' in message


@pytest.mark.parametrize(("group", "option"), _FORMER, ids=lambda part: getattr(part, "__name__", part))
def test_what_to_write_instead_exists(group: type[Options], option: str) -> None:
    instead = former_options(group)[option]
    named = re.findall(r"`(\w+)`", instead)
    assert option not in group.model_fields
    assert set(named) <= set(group.model_fields)
    assert named or instead.startswith("remove it")


@pytest.mark.parametrize("name", FORMER_NAMES)
def test_a_former_name_is_answered_with_what_to_write(name: str, tmp_path: Path) -> None:
    message = _error(tmp_path / "box.py", f"from roles.options import {name}\n")
    assert message.endswith(f'box.py:1: "{name}" of `roles.options` no longer exists: {FORMER_NAMES[name]}')
    assert name not in roles.options.__all__
    known = {*public_names(), *(option for group in GROUPS for option in group.model_fields)}
    assert set(re.findall(r"`(\w+)`", FORMER_NAMES[name])) <= known


def test_a_name_that_never_was_is_no_former_one() -> None:
    assert not hasattr(roles.options, "no_such_name")


def test_a_group_has_the_former_options_of_those_that_it_extends() -> None:
    class Base(Options):
        former: ClassVar = {"rest": "write `cooldown`"}
        cooldown: int = 30

    class Extended(Base):
        former: ClassVar = {"wait": "remove it"}

    assert former_options(Extended) == {"rest": "write `cooldown`", "wait": "remove it"}
    with pytest.raises(OptionsError, match=r'Extended: option "rest" no longer exists: write `cooldown`$'):
        Extended(**{"rest": 5})
