"""Client programs from the registries, each installed once below the lab's folder, under the digest of its lock.

`locks/NAME.txt` is a Python environment, `locks/NAME/` an npm package. No package's install scripts run: programs
that are binaries come as packages of their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.labhost.errors import LabError
from tests.labhost.paths import REPOSITORY, LabFolders, locked

LOCKS = Path(__file__).parent / "locks"
_UV = REPOSITORY / ".tools/bin/uv"
_COMPLETE = ".complete"


def installed(folders: LabFolders, name: str) -> Path:
    """The folder of a client: an environment with `bin/`, or one with `node_modules/`. Made first where there is none.

    Raises:
        LabError: the registries do not give what the lock asks for.
    """
    python = LOCKS / f"{name}.txt"
    lock = python if python.exists() else LOCKS / name / "package-lock.json"
    clients = folders.root / "clients"
    folder = clients / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    with locked(clients / f"{name}.lock"):
        if not (folder / _COMPLETE).exists():
            # An environment knows its path, so it is made in place, and older ones and halves of one go first.
            for older in clients.glob(f"{name}-????????????"):
                shutil.rmtree(older)
            if lock == python:
                _run([_UV, "venv", "--quiet", "--python", sys.executable, folder])
                # A lock names all that is needed, and `NAME.excludes` what of it is not for a test.
                options = ("--quiet", "--no-deps", "--require-hashes")
                _run([_UV, "pip", "install", *options, "--python", folder, "-r", lock])
            else:
                shutil.copytree(lock.parent, folder)
                npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
                _run([node_bin(folders) / npm[0], *npm[1:]], folder, path=node_bin(folders))
            (folder / _COMPLETE).touch()
    return folder


def node_bin(folders: LabFolders) -> Path:
    """Where Node.js is, which comes as a Python package: distributions have releases that are too old."""
    return installed(folders, "node") / "bin"


def _run(command: Sequence[str | Path], folder: Path | None = None, path: Path | None = None) -> None:
    searched = os.pathsep.join(filter(None, (str(path or ""), os.environ["PATH"])))
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PATH": searched}
    )
    if done.returncode != 0:
        raise LabError(f"a client cannot be installed: {' '.join(map(str, command))}\n{done.stderr[:1000]}")
