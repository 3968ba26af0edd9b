"""Removing a host: the last step of its supervisor, or, when that was killed, of whoever finds what it left."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.labhost import cgroup, network
from tests.labhost.paths import LabFolders
from tests.labhost.spec import Live
from tests.labhost.ssh import write_ssh_config


def remove_host(folders: LabFolders, name: str) -> None:
    """Remove all that is left of a host whose machine is off. The caller holds the lab's lock."""
    folder = folders.host(name)
    live = Live.load(folder)
    if live is not None:
        groups = [Path(group) for group in live.groups]
        cgroup.kill(groups)
        cgroup.remove(groups)
        network.detach(live.link)
    shutil.rmtree(folder.path)
    write_ssh_config(folders)
