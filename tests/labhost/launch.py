"""Starting a program that outlives the one that starts it: a supervisor, or the file mirror.

Where systemd is PID 1 it becomes a unit, with a control group delegated to it; elsewhere a process in a
session of its own, whose parent is PID 1. Either way no Ctrl-C reaches it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.labhost.paths import FOLDER_VARIABLE, REPOSITORY, LabFolders
from tests.labhost.programs import run_program

SYSTEMD_IS_PID_1 = Path("/run/systemd/system")


def launch(folders: LabFolders, unit: str, module: str, *arguments: str, log: Path) -> None:
    """Start ``python -m MODULE ARGUMENTS`` with mounts of its own, saying what it has to say into ``log``.

    What it mounts is seen by nobody else, and is gone when it is.
    """
    # "slave": mounts of the machine still come in, so a disk that is unmounted there is not held here.
    command = ("unshare", "--mount", "--propagation", "slave", sys.executable, "-m", module, *arguments)
    environment = {"PATH": os.environ["PATH"], FOLDER_VARIABLE: str(folders.root)}
    if SYSTEMD_IS_PID_1.exists():
        properties = ("Delegate=yes", "KillMode=mixed", f"StandardOutput=append:{log}", f"StandardError=append:{log}")
        run_program(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={unit}",
            f"--working-directory={REPOSITORY}",
            *(f"--property={each}" for each in properties),
            *(f"--setenv={key}={value}" for key, value in environment.items()),
            "--",
            *command,
        )
    else:
        with log.open("a") as output:
            subprocess.run(
                ("setsid", "--fork", *command),
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
            )
