"""The verifier as part of a host plan: its own sources as an install, run with the gateway's environment."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from roles.plan.layout import Layout
from roles.plan.model import Install, Json

COMMAND = "bin/verify"
"""Path of the command below the generation."""


def verifier_install() -> Install:
    sources: dict[str, Json] = {"roles/__init__.py": "", **dict(_sources(files("roles") / "verify", "roles/verify"))}
    return Install(kind="files", name="verifier", title="the verifier", recipe={"files": sources})


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    """Path → text of the programs, templates and styles in a folder and below it."""
    for source in sorted(folder.iterdir(), key=lambda source: source.name):
        if source.is_dir():
            yield from _sources(source, f"{path}/{source.name}")
        elif source.name.endswith((".py", ".j2", ".css")):
            yield f"{path}/{source.name}", source.read_text(encoding="utf-8")


def verifier_command(layout: Layout, environment: str) -> str:
    """A script that runs the verifier with the environment of that install: `sudo /etc/ai-backend/bin/verify`."""
    return (
        "#!/bin/sh\n"
        "# Proves every route of this host. Written by AI Unified Backend.\n"
        f"export PYTHONPATH={layout.install('verifier')} PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {layout.install(environment)}/bin/python -m roles.verify --config {layout.config} "$@"\n'
    )
