"""Requests to host programs, with what most tests do not care about filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roles.contract.recipes import Recipe
from roles.contract.requests import MakeInstall, UvTool


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
