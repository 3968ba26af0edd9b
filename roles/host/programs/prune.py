"""Freeing the space of installs and models that no kept generation uses."""

from __future__ import annotations

import os
from pathlib import Path

from roles.contract.requests import Prune
from roles.host.programs.console import HostError, megabytes, say
from roles.host.programs.files import remove_tree
from roles.host.programs.processes import run


def main(request: Prune) -> None:
    freed = 0
    for name in request.folders:
        folder = Path(name)
        size = _size(folder)
        remove_tree(folder)
        say(f"{folder}: removed, {megabytes(size)}")
        freed += size
    say(f"{megabytes(freed)} freed")
    for command in request.commands:
        if missing := [path for path in command if path.startswith("/") and not Path(path).exists()]:
            raise HostError(f"{missing[0]} is not there yet: run deploys/full.py, which brings it, and prune again")
        run(command, what="removing what a server keeps and nobody declares", on_line=say)


def _size(folder: Path) -> int:
    """Bytes on the disk; a file with several names counts once."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            status = Path(parent, name).lstat()
            found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())
