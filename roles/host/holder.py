"""The holder of a host's deploy lock: a process of a control machine, identified without risk of confusion."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


def who_runs_this() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def this_process() -> dict[str, str]:
    """How this run identifies itself in the lock, with an id of its own."""
    return {
        "id": uuid.uuid4().hex,
        "who": who_runs_this(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "pid": str(os.getpid()),
        **_identity(str(os.getpid())),
    }


def is_gone(holder: Mapping[str, str]) -> bool:
    """Whether a lock's holder was a process of this person and machine that no longer runs.

    A field is not compared if the lock lacks it, as one from the version before, or if this machine does not provide
    it.
    """
    here = {"who": who_runs_this(), **_identity(holder.get("pid", ""))}

    def differs(key: str) -> bool:
        return bool(holder.get(key)) and bool(here.get(key)) and holder[key] != here[key]

    if holder.get("who") != here["who"] or differs("machine"):
        return False  # two machines may have one name
    return differs("machine_boot") or not _is_running(holder.get("pid", "")) or differs("started")


def _identity(pid: str) -> dict[str, str]:
    """Identify this machine, its boot, and the start of one of its processes, as process ids are reused."""
    machine = _read("/etc/machine-id")
    # systemd asks not to expose the machine id itself.
    hashed = hashlib.sha256(f"ai-backend {machine}".encode()).hexdigest()[:16] if machine else ""
    # The command comes first, in brackets, and may contain spaces.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split() if pid.isdecimal() else []
    return {
        "machine": hashed,
        "machine_boot": _read("/proc/sys/kernel/random/boot_id"),
        "started": fields[19] if len(fields) > 19 else "",
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace").strip()
    except OSError:
        return ""


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
