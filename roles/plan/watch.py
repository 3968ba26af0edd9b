"""How a host verifies itself: a service, and the timer that starts it after each boot and then regularly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.contract.generation import DIGEST_VARIABLE
from roles.options import Gpus, Verification
from roles.plan.layout import Layout
from roles.plan.model import ServicePlan
from roles.plan.models import shown_paths
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_PLACEHOLDER
from roles.plan.units import EnvValue, TimerUnit, TriggeredUnit
from roles.plan.verifier import COMMAND, PATH, verifier_arguments, verifier_command, verifier_installs

WATCH_UNIT = "ai-backend-verify.service"
WATCH_TIMER = "ai-backend-verify.timer"
WEBHOOK_VARIABLE = "AI_BACKEND_WEBHOOK"
_LONGEST_RUN = 7200
"""Seconds. A verification waits as long as services may take to start; large models take half an hour."""


def metrics_file(verification: Verification, layout: Layout) -> str:
    return verification.textfile or f"{layout.state}/verdicts/ai_backend.prom"


def _nightly(verification: Verification) -> list[str]:
    return ["--speed-at", verification.speed_at] if verification.speed_at else []


def watch_plan(
    verification: Verification, layout: Layout, gpus: Sequence[Gpus], models: Sequence[str] = ()
) -> ServicePlan:
    """The verifier and its two units. They belong to the host and not to a service.

    Args:
        models: paths of the models that are on the host already, and of their folder elsewhere.
    """
    secrets: Mapping[str, EnvValue] = {WEBHOOK_VARIABLE: verification.webhook} if verification.webhook else {}
    textfile = metrics_file(verification, layout)
    service = TriggeredUnit(
        name=WATCH_UNIT,
        text=render(
            f"host/{WATCH_UNIT}.j2",
            layout=layout,
            unit=WATCH_UNIT,
            # Not through the command, which would drop the secret from its environment.
            command=[*verifier_arguments(layout), "--watch", "--textfile", textfile, *_nightly(verification)],
            path=PATH,
            vendors=sorted({each.vendor for each in gpus}),
            secrets=secrets,
            shown_paths=shown_paths(models),
            textfile_folder=textfile.rpartition("/")[0] if verification.textfile else None,
            longest_run=_LONGEST_RUN,
            digest_variable=DIGEST_VARIABLE,
            digest_placeholder=DIGEST_PLACEHOLDER,
        ),
        environment=secrets,
        start_timeout=_LONGEST_RUN,
    )
    timer = TimerUnit(
        name=WATCH_TIMER,
        text=render(f"host/{WATCH_TIMER}.j2", layout=layout, unit=WATCH_TIMER, every=verification.every),
        start_timeout=10,
    )
    return ServicePlan(
        units=(service, timer),
        installs=verifier_installs(),
        packages=("python3-venv",),
        files={COMMAND: verifier_command(layout)},
    )
