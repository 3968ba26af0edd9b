"""Running the machine's own programs, with an error that says what to install or what the program said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.labhost.errors import LabError

DEBIAN_PACKAGES = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
TO_BOOT_A_HOST = ("systemd-nspawn", "ip", "nft", "ssh", "ssh-keygen", "setpriv", "setsid", "unshare")


def run_program(*argv: str, stdin: str | None = None) -> str:
    """Run a program to its end and return what it printed; raise `LabError` when it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(missing(argv[:1])) from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` failed with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def require(programs: Sequence[str]) -> None:
    """Refuse to begin what would fail half-way: not root, or a program that is not installed."""
    if os.geteuid() != 0:
        raise LabError("the lab mounts, makes network links and boots hosts, so it needs root: run it with sudo")
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise LabError(missing(absent))


def missing(programs: Sequence[str]) -> str:
    packages = sorted({DEBIAN_PACKAGES.get(program, program) for program in programs})
    return f"{', '.join(programs)} not found on this machine: apt-get install {' '.join(packages)}"
