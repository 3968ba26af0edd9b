"""Requests to host programs: with what most tests do not care about filled in, and run as on a host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from roles.contract.recipes import Recipe
from roles.contract.requests import MakeInstall, Request, UvTool
from roles.host.program import _BOOTSTRAP, payload


def make_install(folder: Path, recipe: Recipe, title: str, **more: Any) -> MakeInstall:
    """A request for one install; `folder` holds its `cache` and `state` unless `more` says where they are."""
    given = {"cache": str(folder.parent / "cache"), "state": str(folder.parent / "state"), **more}
    return MakeInstall(
        **{
            "title": title,
            "folder": str(folder),
            "recipe": recipe,
            "token": None,
            "build_user": None,
            "uv": UvTool(folder=f"{folder.parent}/uv", requirements=""),
            **given,
        }
    )


def run_program(request: Request, lock_id: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """In a process of its own, from the sources on its standard input; `options` are those of `subprocess.run`."""
    command = [sys.executable, "-I", "-c", _BOOTSTRAP]
    sent = payload(request, lock_id)
    return subprocess.run(command, input=sent, capture_output=True, text=True, check=False, **options)
