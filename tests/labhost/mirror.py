"""The file mirror: ``python -m tests.labhost.mirror`` serves ``files/`` to the hosts, with Range for
resumed downloads.

It stands in for GitHub and the Hugging Face Hub, on the bridge's own address. An air gap does not reach it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.labhost.network import BRIDGE, MIRROR_PORT, lab_subnet, network_lock
from tests.labhost.paths import LabFolders

_BRIDGE = Path("/sys/class/net", BRIDGE)


def application(files: Path) -> Starlette:
    return Starlette(routes=[Mount("/", StaticFiles(directory=files))])


def end_with_the_last_host() -> None:
    """End this process once the bridge is gone; nobody can start a host, or count on this mirror, meanwhile."""
    while True:
        time.sleep(0.2)
        if not _BRIDGE.exists():
            with network_lock():
                if not _BRIDGE.exists():
                    os._exit(0)


def main() -> None:
    folders = LabFolders.from_environment()
    with folders.mirror_lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another mirror of this lab is running")
        threading.Thread(target=end_with_the_last_host, daemon=True).start()
        gateway = lab_subnet().gateway
        uvicorn.run(application(folders.files), host=gateway, port=MIRROR_PORT, log_level="warning")


if __name__ == "__main__":
    main()
