"""Bounds on the host's journal: a task that configures journald with them until the next boot, and after each boot."""

from __future__ import annotations

from roles.contract.generation import DIGEST_VARIABLE
from roles.options import Journal
from roles.plan.layout import Layout
from roles.plan.model import ServicePlan
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_PLACEHOLDER
from roles.plan.units import TaskUnit, runtime_folder

JOURNAL_UNIT = "ai-backend-journal.service"
_BOUNDS = "journald.conf"
_DROP_IN = "/run/systemd/journald.conf.d/50-ai-backend.conf"
"""In memory: nothing of it is left on a host that goes on without it. A file of the host's own with a later name
wins."""
_START_SECONDS = 30


def journal_plan(journal: Journal | None, layout: Layout) -> ServicePlan | None:
    """The bounds, and the task; none = the journal is as the host has it."""
    if journal is None:
        return None
    unit = TaskUnit(
        name=JOURNAL_UNIT,
        text=render(
            f"host/{JOURNAL_UNIT}.j2",
            layout=layout,
            unit=JOURNAL_UNIT,
            bounds=_BOUNDS,
            drop_in=_DROP_IN,
            drop_ins=_DROP_IN.rpartition("/")[0],
            runtime_folder=runtime_folder(JOURNAL_UNIT),
            digest_variable=DIGEST_VARIABLE,
            digest_placeholder=DIGEST_PLACEHOLDER,
        ),
        reads=(_BOUNDS,),
        start_timeout=_START_SECONDS,
    )
    bounds = render(f"host/{_BOUNDS}.j2", unit=JOURNAL_UNIT, journal=journal)
    return ServicePlan(units=(unit,), files={_BOUNDS: bounds})
