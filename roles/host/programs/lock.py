"""The deploy lock: one deploy a host at a time. A folder, since each step of a deploy is a process of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from roles.host.programs.console import HostError
from roles.host.programs.files import make_folder, read_text, write_atomic


def main(request: dict[str, Any]) -> None:
    folder = Path(request["folder"])
    match request["action"]:
        case "acquire":
            _acquire(folder, request["holder"], request["take_over"])
        case "release":
            _release(folder, request["id"])


def _acquire(folder: Path, holder: dict[str, str], take_over: str | None) -> None:
    """Make the lock ours, or take it over from the one holder that is known to be dead."""
    holder = {**holder, "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o755)
    except FileExistsError:
        present = _holder(folder)
        if present.get("id", "") != take_over and present.get("boot_id") in (None, holder["boot_id"]):
            raise HostError(
                f"this host is being deployed by {present.get('who', 'somebody')} since "
                f"{present.get('since', 'an unknown time')}. Wait for it, or, if that run is dead, "
                "break its lock with deploys/unlock.py"
            ) from None
    write_atomic(folder / "holder.json", json.dumps(holder).encode(), 0o644)


def _release(folder: Path, holder_id: str | None) -> None:
    """Remove the lock if it is that holder's; none = whoever's it is."""
    if folder.is_dir() and (holder_id is None or _holder(folder).get("id") == holder_id):
        shutil.rmtree(folder)


def _holder(folder: Path) -> dict[str, str]:
    try:
        holder: dict[str, str] = json.loads(read_text(folder / "holder.json") or "{}")
    except ValueError:
        return {}
    return holder
