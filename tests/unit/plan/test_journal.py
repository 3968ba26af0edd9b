"""The bounds on the host's journal: a task that only a change of them, or a boot, lets restart journald."""

from __future__ import annotations

import configparser
from typing import Any

import pytest

from roles.options import Journal, OptionsError
from roles.plan import HostPlan, TaskUnit
from roles.rooms import plan_of
from tests.stacks import small_stack, user_scope

JOURNAL = "ai-backend-journal.service"


def planned(**options: Any) -> HostPlan:
    return plan_of(small_stack(**options))


def bounds_of(plan: HostPlan) -> dict[str, str]:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(plan.files["journald.conf"])
    return dict(found["Journal"])


def test_without_it_the_journal_is_as_the_host_has_it() -> None:
    plan = planned()
    assert "journald.conf" not in plan.files
    assert JOURNAL not in [unit.name for unit in plan.units]


def test_space_and_days_are_bounds_on_files_of_a_day() -> None:
    assert bounds_of(planned(journal=Journal(max_size="8G"))) == {"SystemMaxUse": "8G"}
    assert bounds_of(planned(journal=Journal(keep_days=30))) == {
        "SystemMaxUse": "2G",
        "MaxRetentionSec": "30day",
        "MaxFileSec": "1day",
    }


def test_the_task_depends_on_the_bounds_alone() -> None:
    (task,) = [unit for unit in planned(journal=Journal()).tasks if unit.name == JOURNAL]
    assert isinstance(task, TaskUnit)
    assert task.reads == ("journald.conf",)
    assert "/run/systemd/journald.conf.d/50-ai-backend.conf && exit" in task.text


def test_a_user_cannot_bound_it() -> None:
    with pytest.raises(OptionsError, match="`journal` needs root, which user scope does not have; remove it"):
        small_stack(scope=user_scope(), journal=Journal())
