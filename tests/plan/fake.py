"""Running the real pyinfra command line against `@fake` hosts, and counting what it sends them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.inventories import INVENTORY

OLDER = "lambda read: read['units']['litellm@a.service'].update(running_digest='0lder')"
"""What makes a converged host one whose gateway runs something older."""
_SENT = re.compile(r"\[fake\] simulating command on (\S+): (.*)")

PREAMBLE = """
import json, os, re
from tests.stacks import *
from pathlib import Path

from roles.host import facts_of_source
from roles.lock import locked_facts, pins_of, references_of
from roles.plan import ALONE, resolve
from roles.rooms import plan_of
from roles.options import *
from roles.litellm import LiteLLM

def fake(
    name, stack, change=lambda read: None, verdict=None, history=None, kept=None, keys=None, driver=None, apis=None,
    lock=None, member=None, **data
):
    deployed, place = (member.stack, member.place) if member else (stack, ALONE)
    pins = pins_of(lock, references_of(plan_of(stack)) if lock else ())
    plan = plan_of(deployed, pins, known=locked_facts(lock, facts_of_source), place=place)
    read = converged_state(plan, resolve(plan, PLATFORM))
    change(read)
    responses = {re.compile(r" state'?$"): json.dumps(read)}
    if verdict:
        responses["bin/verify"] = verdict
    if kept:
        responses["/verdicts"] = kept
    if apis:
        responses["/apis.json"] = json.dumps(apis)
    if keys:
        responses[re.compile(r" generations.client_keys'?$")] = json.dumps(dict(zip(("with_key", "without_key"), keys)))
    if driver:
        responses[re.compile(r" driver.look'?$")] = json.dumps(driver)
    if history:
        responses[re.compile(r" generations.kept'?$")] = json.dumps(history(read["generation"]))
    given = {"stack": stack, "unlocked": True, **data}
    return (f"@fake/{name}", {**given, "fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": responses})
"""


@dataclass(frozen=True)
class Run:
    """A finished pyinfra run: its exit status, all that it printed, and the commands it sent, in order."""

    status: int
    output: str
    commands: tuple[tuple[str, str], ...]

    def programs(self, to: str | None = None) -> list[str]:
        """What was sent, to one host or to all, by short names: `fact`, `history`, `verify`,
        `kept verdicts`, `failed apis`, or the host program's name."""
        return [_short(command) for name, command in self.commands if to in (None, name)]

    def steps(self, to: str | None = None) -> list[str]:
        """The programs that are sent besides those that read the state."""
        return [program for program in self.programs(to) if program != "fact"]


def _short(command: str) -> str:
    if "bin/verify" in command:
        return "verify"
    if "/verdicts" in command:
        return "kept verdicts"
    if "/apis.json" in command:
        return "failed apis"
    program = command.rstrip("'").split()[-1].rpartition(".")[2]
    return {"state": "fact", "kept": "history"}.get(program, program)


def run_pyinfra(
    folder: Path, inventory: str, deploy: str = "full.py", *, options: Sequence[str] = (), **environment: str
) -> Run:
    """Write an inventory and run a deploy of the project's on it, with further options of pyinfra's."""
    file = folder / "inventory.py"
    file.write_text(PREAMBLE + inventory)
    project = INVENTORY.parent
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            *("--debug", "-y", *options),
            str(file),
            str(project / "deploys" / deploy),
        ],
        cwd=folder,  # nothing may depend on the working folder
        env={**os.environ, "PYTHONPATH": str(project), "PYINFRA_PROGRESS": "off", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    output = done.stdout + done.stderr
    return Run(done.returncode, output, tuple(_SENT.findall(_joined(output))))


def _joined(output: str) -> str:
    """The output with the lines of a command that spans several put on one."""
    return re.sub(r"\n(?!.*\[fake\])(?!\s+\[)", " ", output)


def passing_verdict(*further: Mapping[str, Any], **changes: Any) -> str:
    """A verdict of the verifier, as JSON, with one check in it, and with further ones that differ from it in fields."""
    check: dict[str, Any] = {
        "id": "gateway/models",
        "subject": "gateway",
        "claim": "lists the models",
        "expected": "n, p",
        "seen": "n, p",
        "causes": [],
        "code": None,
    }
    verdict = {
        "schema": 3,
        "host": "fake",
        "time": "2026-11-24T12:00:00Z",
        "boot_id": "b007",
        "generation": "abc",
        "seconds": 0.1,
        "checks": [{**check, "ok": True, "seconds": 0.1, **each} for each in (changes, *further)],
        "deployment": None,
        "events": [],
    }
    return json.dumps(verdict)
