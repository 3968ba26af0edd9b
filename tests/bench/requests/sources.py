"""What both gateways are made of: the project's folder at a commit, and one environment with LiteLLM."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from roles.litellm import LITELLM_VERSION
from tests.bench.errors import BenchError
from tests.labhost.paths import REPOSITORY, LabFolders, locked

_LOCK = REPOSITORY / f"roles/litellm/locks/litellm-{LITELLM_VERSION}.txt"
_UV = REPOSITORY / ".tools/bin/uv"
_COMPLETE = ".complete"


def tree_of(commit: str, folder: Path) -> Path:
    """The project's files as that commit has them, in a new folder.

    Raises:
        BenchError: this clone does not have it.
    """
    done = subprocess.run(
        ["git", "-C", REPOSITORY, "archive", "--format=tar", commit], capture_output=True, check=False
    )
    if done.returncode:
        raise BenchError(
            f"the commit {commit} cannot be read: {done.stderr.decode().strip()}\n"
            "Name one that this clone has, or get the others by `git fetch --unshallow`."
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def litellm_environment(folders: LabFolders) -> Path:
    """An environment with what the gateway's lock pins, as hosts have it. Made first where there is none.

    Raises:
        BenchError: the registries do not give it.
    """
    parent = folders.root / "bench"
    folder = parent / f"litellm-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]}"
    with locked(parent / "litellm.lock"):
        if not (folder / _COMPLETE).exists():
            # An environment knows its path, so it is made in place, and older ones and halves of one go first.
            for older in parent.glob("litellm-????????????"):
                shutil.rmtree(older)
            _run("venv", "--quiet", "--python", "/usr/bin/python3", str(folder))
            _run(
                *("pip", "install", "--quiet", "--python", str(folder), "--require-hashes", "--no-deps"),
                *("--compile-bytecode", "-r", str(_LOCK)),
            )
            (folder / _COMPLETE).touch()
    return folder


def _run(*arguments: str) -> None:
    done = subprocess.run([_UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"LiteLLM cannot be installed: uv {' '.join(arguments)}\n{done.stderr[-1000:]}")
