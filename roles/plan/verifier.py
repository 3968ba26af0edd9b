"""The verifier as part of a host plan: its own sources and its own few packages, each an install.

Root runs it every quarter of an hour. So it does not use the gateway's environment of more than a hundred packages. It
runs only its own code: no `.pth` file, nothing from the caller's folder, environment or PATH.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files

from roles.contract.generation import VERIFIER_START
from roles.contract.recipes import FilesRecipe
from roles.plan.installs import MEGABYTE, Install
from roles.plan.layout import Layout
from roles.plan.python_env import python_env, read_lock
from roles.plan.sources import sources_of

COMMAND = "bin/verify"
"""Path of the command below the generation."""

SOURCES = "verifier"
ENVIRONMENT = "verifier-env"
"""Names of the two installs."""

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
"""Where it looks for `systemctl` and the driver's tools."""

_KEPT_VARIABLES = (
    "TERM", "COLUMNS", "LINES", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "XDG_RUNTIME_DIR",
)  # fmt: skip
"""Variables that it takes from the caller's environment: how to print, and where a user's systemd is."""


@cache
def verifier_installs() -> tuple[Install, ...]:
    """The same for all hosts."""
    sources = {"roles/__init__.py": ""}
    for package in ("contract", "verify"):
        sources |= sources_of(files("roles") / package, f"roles/{package}")
    lock = read_lock("verify", "verifier")
    httpx = next(line.split()[0] for line in lock.splitlines() if line.startswith("httpx==")).removeprefix("httpx==")
    environment = python_env(
        ENVIRONMENT, "httpx", httpx, requirements=lock, disk=40 * MEGABYTE, work_disk=40 * MEGABYTE
    )
    return (
        Install(name=SOURCES, title="the verifier", recipe=FilesRecipe(files=sources)),
        replace(environment, title="the verifier's packages"),
    )


def verifier_arguments(layout: Layout) -> list[str]:
    """The program and its first arguments, for callers that already have a clean environment."""
    python, start = f"{layout.install(ENVIRONMENT)}/bin/python", f"{layout.install(SOURCES)}/{VERIFIER_START}"
    return [python, "-I", "-S", "-B", start, "--config", layout.config]


def verifier_command(layout: Layout) -> str:
    """A script that runs the verifier: `sudo /etc/ai-backend/bin/verify`."""
    kept = " ".join(f'${{{name}:+"{name}=${name}"}}' for name in _KEPT_VARIABLES)
    return (
        "#!/bin/sh\n"
        "# Verifies every route of this host. Written by AI Unified Backend.\n"
        "# Root may call it with the environment of somebody else: of that it takes how to print, and nothing more.\n"
        "unset LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD\n"
        f"exec /usr/bin/env -i PATH={PATH} \\\n"
        f"    {kept} \\\n"
        f'    {" ".join(verifier_arguments(layout))} "$@"\n'
    )
