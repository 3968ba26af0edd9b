"""The unit that gets the graphics cards ready after boot, before the services that use them start."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from roles.contract.generation import DIGEST_VARIABLE
from roles.options import Gpus
from roles.plan.layout import Layout
from roles.plan.model import ServicePlan
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_PLACEHOLDER, GPU_UNIT
from roles.plan.units import TaskUnit, runtime_folder
from roles.plan.verifier import PATH


def gpu_files() -> dict[str, str]:
    """The program by which units wait for their cards, `bin/gpu`: path below the generation → text. People may run it
    too."""
    package = "host/programs/gpu"
    sources = (source for source in files("roles").joinpath(package).iterdir() if source.name.endswith(".py"))
    texts = {source.name: source.read_text(encoding="utf-8") for source in sources}
    # Root may run it, and it looks for the driver's tools.
    start = f"#!/usr/bin/env -S PATH={PATH} /usr/bin/python3 -I -S\n{texts.pop('start.py')}"
    return {"bin/gpu": start, **{f"lib/roles/{package}/{name}": text for name, text in sorted(texts.items())}}


def gpu_plan(layout: Layout, all_gpus: Sequence[Gpus]) -> ServicePlan | None:
    """What a host needs for its cards; none = it uses none.

    systemd fixes a unit's device policy at its start: a unit that starts before the driver is loaded never sees the
    cards. So a separate unit waits for them. User scope has no such policy, and each service waits for itself.
    """
    if not all_gpus:
        return None
    if layout.scope == "user":
        return ServicePlan(units=(), files=gpu_files())
    waits = list(dict.fromkeys(all_gpus))
    # Each may take a little longer: see `LAST_LOOK_SECONDS` in the program.
    timeout = sum(gpus.wait + 30 for gpus in waits)
    unit = TaskUnit(
        name=GPU_UNIT,
        text=render(
            f"host/{GPU_UNIT}.j2",
            layout=layout,
            unit=GPU_UNIT,
            all_gpus=waits,
            timeout=timeout,
            runtime_folder=runtime_folder(GPU_UNIT),
            digest_variable=DIGEST_VARIABLE,
            digest_placeholder=DIGEST_PLACEHOLDER,
        ),
        start_timeout=timeout,
    )
    return ServicePlan(units=(unit,), files=gpu_files())
