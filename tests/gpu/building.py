"""The build, by the program that hosts run, from the pack's source and without a network."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from roles.contract.generation import INSTALL_MARK
from roles.contract.recipes import SourceBuildRecipe
from roles.contract.requests import UvTool
from roles.host.program import _BOOTSTRAP, CALLERS_PATH, payload
from roles.host.programs.installers.toolkits import CUDA_FOLDER
from roles.host.requests import install_request
from tests.gpu.packing import PYTHON, SOURCE_ARCHIVE
from tests.gpu.reference import SOURCE, Deployed
from tests.gpu.steps import StepError

_TOOLS = ("cmake", "ninja", "g++")
_NOTICE = 30.0
"""Seconds between two lines that say how far it is."""
_STAND_IN = """#!/bin/sh
# For ccache, which is not on this machine: a build that is made once has nothing to find there.
exec "$@"
"""


def is_built(made: Deployed) -> bool:
    return Path(made.build.folder, INSTALL_MARK).exists()


def build(made: Deployed, pack: Path, programs: Path, log: Path, say: Callable[[str], None]) -> str:
    """Build llama.cpp; gives what is worth telling.

    The request is the one that a deploy in user scope sends: there, too, compilers run as who deploys, in no unit of
    their own. What differs is said: the archive in the downloads' folder is the pinned one less what no build reads,
    PATH and LD_LIBRARY_PATH are this machine's own, and ccache may be a stand-in.

    Args:
        programs: a folder for that stand-in.
        log: where all that it says goes.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise StepError(f"there is no {' and no '.join(missing)} on PATH: install what a host gets for a build")
    downloads = made.cache / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pack / SOURCE_ARCHIVE, downloads / f"{SOURCE.sha256}.tar.gz")
    environment = {**os.environ, CALLERS_PATH: os.environ["PATH"]}
    remark = ""
    if shutil.which("ccache") is None:
        programs.mkdir(parents=True, exist_ok=True)
        (programs / "ccache").write_text(_STAND_IN)
        (programs / "ccache").chmod(0o755)
        environment["PATH"] = f"{environment['PATH']}:{programs}"
        remark = ", a stand-in for ccache"
    request = install_request(made.plan.layout, made.build, UvTool(folder="none", requirements=""))
    try:
        _run(payload(request), environment, log, say)
    except BaseException:
        _keep_cmakes_words(made, log.parent)
        raise
    assert isinstance(made.build.recipe, SourceBuildRecipe)
    architectures = made.build.recipe.cmake_options.get("CMAKE_CUDA_ARCHITECTURES")
    if architectures is None:
        return f"for the processor; its backend answers{remark}"
    library = Path(made.build.folder, "bin/libggml-cuda.so")
    return (
        f"for {architectures}, libggml-cuda.so has {library.stat().st_size / 1e6:.0f} MB; "
        f"its backend answers; {shutil.which('nvcc', path=_compilers())}{remark}"
    )


def _compilers() -> str:
    """Where the program looks for nvcc."""
    return f"{os.environ['PATH']}:{CUDA_FOLDER}"


def _keep_cmakes_words(made: Deployed, logs: Path) -> None:
    """What configuring tried, and how long each step of the compilation took: the program tells its end only."""
    output = made.cache / "build" / Path(made.build.folder).name / "output"
    for name in ("CMakeFiles/CMakeConfigureLog.yaml", ".ninja_log"):
        with contextlib.suppress(OSError):
            shutil.copyfile(output / name, logs / Path(name).name.lstrip("."))


def _run(sent: str, environment: dict[str, str], log: Path, say: Callable[[str], None]) -> None:
    with log.open("w") as output:
        process = subprocess.Popen(
            [PYTHON, "-I", "-S", "-c", _BOOTSTRAP],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdin
            with process.stdin:
                process.stdin.write(sent)
            said = time.monotonic()
            while process.poll() is None:
                time.sleep(0.5)
                if time.monotonic() - said >= _NOTICE:
                    said = time.monotonic()
                    say("\n".join(log.read_text(errors="replace").splitlines()[-1:]))
        finally:
            if process.poll() is None:
                # All of it: compilers too.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode != 0:
        raise StepError(f"the program ended with status {process.returncode}", log.read_text(errors="replace"))
