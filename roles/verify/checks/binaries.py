"""The check that a service runs from the installed files.

An upgrade replaces files that its processes have loaded. They keep using the old ones, security holes included, until
they are restarted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Coroutine, Iterator
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.generation import Service
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import read_foreign

_REPLACED = re.compile(r"^\S+ ..x. \S+ \S+ \d+ +(/.*) \(deleted\)$", re.MULTILINE)
"""In `/proc/<pid>/maps`: a file whose code a process has loaded (its program too) and that has no name any more. It was
removed, or another one replaced it."""
_OWN = re.compile("^/(memfd:|dev/|SYSV|tmp/|var/|run/)|/[.]cache/")
"""Where programs keep code that they generated themselves."""
_MOST_NAMES = 3


def binary_check(service: Service, processes: Collection[int] | CannotCheck, proc: Path) -> Coroutine[Any, Any, Check]:
    """The check of one service, to be awaited.

    Args:
        processes: those that belong to it, or why they are not known.
    """
    claim = Claim(f"unit/{service.unit}/binary", service.unit, "runs what is installed", "no file replaced since")
    return claim.check(asyncio.to_thread(_runs_what_is_installed, processes, proc))


def _runs_what_is_installed(processes: Collection[int] | CannotCheck, proc: Path) -> str:
    if isinstance(processes, CannotCheck):
        raise CannotCheck(str(processes))
    if not processes:
        raise CheckFailed("no-process", "no process runs")
    replaced = {file: process for process in sorted(processes) for file in _replaced(proc / str(process))}
    if replaced:
        names = sorted(replaced)
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        message = f"needs restart: {', '.join(names[:_MOST_NAMES])}{more} replaced since it started"
        raise CheckFailed("files-replaced", message)
    return f"{len(processes)} processes" if len(processes) > 1 else "1 process"


def _replaced(process: Path) -> Iterator[str]:
    try:
        maps = read_foreign(process / "maps")
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended
    except OSError as error:
        raise CannotCheck(f"{process}: {error.strerror}") from None
    yield from (file for file in _REPLACED.findall(maps) if not _OWN.search(file))
