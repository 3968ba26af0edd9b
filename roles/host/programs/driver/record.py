"""The record of what was done about the driver. It is written before each change, so a killed run is continued."""

from __future__ import annotations

import json
from pathlib import Path

from roles.contract.driver import DriverRecord
from roles.contract.wire import WireError, read, written
from roles.host.programs.files import make_folder, write_atomic

_RECORD = "nvidia-driver.json"


def read_record(state: str) -> DriverRecord | None:
    """None = nothing was done here, or what is there cannot be read."""
    try:
        return read(DriverRecord, json.loads(Path(state, _RECORD).read_text()), strict=False)
    except (OSError, ValueError, WireError):
        return None


def write_record(state: str, record: DriverRecord) -> None:
    make_folder(Path(state))
    write_atomic(Path(state, _RECORD), f"{json.dumps(written(record), indent=2)}\n".encode(), 0o644)


def remove_record(state: str) -> None:
    Path(state, _RECORD).unlink(missing_ok=True)


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
