"""A lab host's disk with packages and installs already on it: where tests begin that are not about making those.

Made by `deploys/prepare.py`, once for all test runs of the same code; nothing is active on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from roles.rooms import plan_of
from tests.lab.deploys import deploy
from tests.lab.prepared_stack import prepared_stack
from tests.labhost import Lab
from tests.labhost.image import DEFAULT_RELEASE, image_key
from tests.labhost.paths import REPOSITORY, locked

_INVENTORY = REPOSITORY / "tests/lab/prepared_stack.py"
# Working trees side by side (branches of one clone) have host programs of their own; a disk is some 1.5 GB.
_KEPT = 4
_NOT_KEPT = "journalctl --rotate --vacuum-time=1s --quiet; apt-get clean; rm -rf /var/lib/ai-backend/lock"


def prepared_disk(lab: Lab) -> Path:
    """The folder of the disk, made first where there is none."""
    images = lab.folders.images
    disk = images / f"{DEFAULT_RELEASE}-prepared-{_key()}"
    with locked(images / "prepared.lock"):
        if not disk.exists():
            _remove_older(lab, images)
            host = lab.create(f"prepare-{os.getpid()}", owner=os.getpid())
            try:
                deploy(host, "prepare.py", inventory=_INVENTORY).must_pass()
                host.run(f"{_NOT_KEPT}; sync")
            except BaseException:
                host.destroy()  # the next test of this worker tries again, under the same name
                raise
            host.keep_disk(disk)
        os.utime(disk)
    return disk


def _key() -> str:
    """Twelve hex digits over what the installs are and what makes them."""
    programs = {path.name: path.read_text() for path in (REPOSITORY / "roles/host/programs").glob("*.py")}
    made = ("python-env", "source-build", "release")
    installs = [repr(install) for install in plan_of(prepared_stack()).installs if install.kind in made]
    recipe = json.dumps([image_key(DEFAULT_RELEASE), programs, sorted(installs)])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _remove_older(lab: Lab, images: Path) -> None:
    used = {disk for host in lab.list() for disk in host.spec.disks}
    disks = sorted(images.glob(f"{DEFAULT_RELEASE}-prepared-*"), key=lambda disk: disk.stat().st_mtime, reverse=True)
    for older in disks[_KEPT - 1 :]:
        if str(older) not in used:
            shutil.rmtree(older)
