"""The verifier as part of a host plan: its own sources as an install, run with the gateway's environment."""

from __future__ import annotations

from importlib.resources import files

from roles.plan.layout import Layout
from roles.plan.model import Install, Json

COMMAND = "bin/verify"
"""Path of the command below the generation."""


def verifier_install() -> Install:
    sources: dict[str, Json] = {"roles/__init__.py": ""}
    for source in sorted((files("roles") / "verify").iterdir(), key=lambda source: source.name):
        if source.name.endswith(".py"):
            sources[f"roles/verify/{source.name}"] = source.read_text()
    return Install(kind="files", name="verifier", title="the verifier", recipe={"files": sources})


def verifier_command(layout: Layout, environment: str) -> str:
    """A script that runs the verifier with the environment of that install: `sudo /etc/ai-backend/bin/verify`."""
    return (
        "#!/bin/sh\n"
        "# Proves every route of this host. Written by AI Unified Backend.\n"
        f"export PYTHONPATH={layout.install('verifier')} PYTHONDONTWRITEBYTECODE=1\n"
        f'exec {layout.install(environment)}/bin/python -m roles.verify --config {layout.config} "$@"\n'
    )
