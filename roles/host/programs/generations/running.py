"""What runs of a generation: the units that link into it, and the digest in each process."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from roles.contract.generation import DIGEST_VARIABLE
from roles.host.programs.files import read_text
from roles.host.programs.foreign.units import is_ours
from roles.host.programs.systemd import Manager, process_variable


def linked_units(units_folder: Path, config: Path) -> list[str]:
    """Names of the units that link into the configuration: of the generation that ran, and of a killed run."""
    with contextlib.suppress(OSError):
        return sorted(path.name for path in units_folder.iterdir() if is_ours(path, config))
    return []


def running_digest(
    manager: Manager, shown: Mapping[str, str], done_file: str | None, effect_command: Sequence[str]
) -> str | None:
    """The digest in a unit's process, or the one that a finished task ran with; none = neither.

    Args:
        shown: its properties `MainPID` and `SubState`.
        done_file: of a task, below the runtime folder.
        effect_command: of a task, see `ActivatedUnit`.
    """
    if done_file is None:
        return process_variable(shown.get("MainPID", "0"), DIGEST_VARIABLE)
    done = manager.runtime / done_file
    return read_text(done) if shown.get("SubState") == "exited" and _still_in_effect(effect_command, done) else None


def _still_in_effect(command: Sequence[str], done: Path) -> bool:
    """Whether a task's effect is still as the task left it."""
    if not command:
        return True
    try:
        printed = subprocess.run(command, capture_output=True, check=False).stdout
        return printed == done.with_name("held").read_bytes()
    except OSError:
        return False
