"""Unpacking downloads, in a program that is confined like all that reads third-party files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from roles.contract.requests import UnpackArchive
from roles.host.programs.console import HostError
from roles.host.programs.installers.archive import REFUSED
from roles.host.programs.processes import run

_MODULES = (
    "roles.contract.generation",
    "roles.contract.outbound",
    "roles.contract.recipes",
    "roles.contract.requests",
    "roles.host.programs.console",
    "roles.host.programs.below",
    "roles.host.programs.installers.archive",
)
"""The modules of the program, each after those it imports."""


def unpack(archive: Path, folder: Path, *, into: str = ".", strip: int, what: str, user: str | None) -> None:
    """Unpack an archive into a folder of the user.

    Args:
        into: a folder below it, created if missing.
        strip: number of leading folders to drop from its paths.

    Raises:
        HostError: a member is not allowed below a folder, or there is not enough room; nothing of it is used.
    """
    request = UnpackArchive(archive=str(archive), folder=str(folder), into=into, strip=strip)
    said: list[str] = []
    try:
        run(_program(request), what=what, user=user, writable=[folder], on_line=said.append)
    except HostError:
        why = [line.removeprefix(REFUSED) for line in said if line.startswith(REFUSED)]
        if not why:
            raise
        raise HostError(f"{what}: {why[-1]}") from None


def _program(request: UnpackArchive) -> Sequence[str]:
    texts = {name: _text(name) for name in _MODULES}
    code = (
        f"import sys, types\nfor name, text in {texts!r}.items():\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n    exec(compile(text, name, 'exec'), vars(module))\n"
        f"from {UnpackArchive.__module__} import UnpackArchive\nsys.exit(module.main({request!r}))"
    )
    return ["python3", "-I", "-c", code]


def _text(module: str) -> str:
    """The text of a module; if the program came by standard input, there is no file of it."""
    spec = sys.modules[module].__spec__
    text: str = spec.loader.get_source(module)  # type: ignore[union-attr]
    return text
