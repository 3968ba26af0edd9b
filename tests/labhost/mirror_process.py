"""Starting the file mirror when it does not run. It ends by itself, with the last host of the machine."""

from __future__ import annotations

import fcntl
import importlib.util
import socket
import time

from tests.labhost.errors import LabError
from tests.labhost.launch import launch
from tests.labhost.network import MIRROR_PORT, lab_subnet, network_lock
from tests.labhost.paths import LabFolders

_SECONDS_TO_START = 20.0


def require_libraries() -> None:
    absent = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if absent:
        raise LabError(f"the lab's file mirror needs {' and '.join(absent)}: install them, or use --no-mirror")


def ensure(folders: LabFolders) -> None:
    """Start the mirror unless it runs. Called while at least one host is up."""
    folders.files.mkdir(parents=True, exist_ok=True)
    gateway = lab_subnet().gateway
    # Under this lock no mirror decides to end (see `mirror.end_with_the_last_host`).
    with network_lock():
        if _is_running(folders):
            return
        launch(folders, "ai-backend-lab-mirror", "tests.labhost.mirror", log=folders.mirror_log)
        deadline = time.monotonic() + _SECONDS_TO_START
        while not (_is_running(folders) and _listens(gateway)):
            if time.monotonic() > deadline:
                raise LabError(f"the file mirror does not start on {gateway}:{MIRROR_PORT}; see {folders.mirror_log}")
            time.sleep(0.05)


def _is_running(folders: LabFolders) -> bool:
    with folders.mirror_lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address, MIRROR_PORT), timeout=1).close()
    except OSError:
        return False
    return True
