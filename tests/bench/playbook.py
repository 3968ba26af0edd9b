"""What the Ansible playbook is told: the same host plan as ours, rendered to a folder beforehand."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from roles.contract.state import HostState
from roles.host.program import _BOOTSTRAP, answer, payload
from roles.host.state import BUILD_USER, state_request
from roles.plan import VERIFIER_COMMAND, Generation, HostPlan, resolve
from roles.rooms import plan_of
from tests.lab.inventory import lab_stack
from tests.labhost import LabHost


def render_for_ansible(host: LabHost, folder: Path) -> Path:
    """Write the files of the lab stack's generation on that host, and the variables that name them.

    The folder holds what the host's files hold, secrets too: it must be closed to others.

    Returns:
        The file of variables.
    """
    plan = plan_of(lab_stack())
    generation = resolve(plan, _read_state(host, plan).platform)
    rendered = folder / "rendered"
    for path, file in generation.files.items():
        (rendered / path).parent.mkdir(parents=True, exist_ok=True)
        (rendered / path).write_bytes(file.content)
        (rendered / path).chmod(file.mode)
    for path in generation.links:
        (rendered / path).parent.mkdir(parents=True, exist_ok=True)
    variables = folder / "plan.json"
    variables.write_text(json.dumps({"rendered": str(rendered), **_variables(plan, generation)}, indent=2))
    return variables


def _read_state(host: LabHost, plan: HostPlan) -> HostState:
    """What a deploy reads of the host, read in the same way but for pyinfra."""
    done = host.run(f"python3 -c {shlex.quote(_BOOTSTRAP)}", input=payload(state_request(plan)))
    return answer(HostState, done.stdout.splitlines())


def _variables(plan: HostPlan, generation: Generation) -> dict[str, Any]:
    layout = plan.layout
    links = {f"{generation.folder}/{path}": target for path, target in generation.links.items()}
    links |= {layout.config: generation.folder}
    links |= {f"{layout.units}/{unit.name}": f"{layout.config}/units/{unit.name}" for unit in plan.units}
    return {
        "packages": plan.packages,
        "build_user": {"name": BUILD_USER, "home": layout.cache},
        "installs": sorted({install.folder for install in generation.installs}),
        "secrets": [secret.path for secret in plan.generated_secrets],
        "generation": generation.folder,
        "links": [{"path": path, "target": target} for path, target in links.items()],
        # What a timer starts is not started by anybody else.
        "units": [unit.name for unit in plan.units if unit.kind != "triggered"],
        "verifier": f"{layout.config}/{VERIFIER_COMMAND}",
    }
