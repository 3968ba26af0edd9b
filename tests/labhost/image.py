"""Base images: one plain Debian root a release, built once by mmdebstrap and shared by all its hosts.

An image is named by a digest of what went into it (packages, settings, the machine's CA bundle), so a
change of any of these builds a new one beside the old, and two processes never disagree about what
``bookworm`` is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.labhost import trust
from tests.labhost.errors import LabError
from tests.labhost.paths import LabFolders, locked
from tests.labhost.programs import require, run_program

RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
DEFAULT_RELEASE = "bookworm"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "python3",
    "iproute2",
    "ca-certificates",
    "curl",
)
SETTINGS = {
    # A lab host is thrown away, so its dpkg need not wait for the disk.
    "etc/dpkg/dpkg.cfg.d/lab": "force-unsafe-io\n",
    # apt-get keeps what it fetched by default; this makes `apt` do so too, to the gain of the next host.
    "etc/apt/apt.conf.d/80lab": 'Binary::apt::APT::Keep-Downloaded-Packages "true";\n',
    # One host key, made in milliseconds for each host; every user can be logged in to with the lab's key.
    "etc/ssh/sshd_config.d/lab.conf": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_authorized_keys\n"
    ),
}
# Work that a real server does in the background; here it would only slow down the boot or take apt's lock.
MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
    "console-getty.service",
    "getty@.service",
)

Progress = Callable[[str], None]


def say(line: str) -> None:
    """The usual way to show progress: a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def image_key(release: str) -> str:
    """Twelve hex digits over everything that goes into the image of ``release``."""
    authorities = sorted(set(trust.certificates(trust.MACHINE_BUNDLE)))
    recipe = json.dumps([release, PACKAGES, SETTINGS, MASKED_UNITS, authorities])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def base_image(folders: LabFolders, release: str, progress: Progress = say) -> Path:
    """The folder with the image of ``release``, built first when this machine has none."""
    if release not in RELEASES:
        raise LabError(f"no such release: {release!r}; the lab knows {' and '.join(RELEASES)}")
    image = folders.images / f"{release}-{image_key(release)}"
    if image.exists():
        return image
    require(("mmdebstrap",))
    with locked(folders.images / f"{release}.lock"):
        if not image.exists():
            _build(image, release, progress)
    return image


def _build(image: Path, release: str, progress: Progress) -> None:
    started = time.monotonic()
    progress(f"lab image {release}: building with mmdebstrap (half a minute to some minutes)")
    unfinished = image.with_name(f".{image.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _bootstrap(unfinished, release, progress)
        _configure(unfinished)
        unfinished.rename(image)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    progress(f"lab image {release}: ready in {time.monotonic() - started:.0f} s at {image}")


def _bootstrap(root: Path, release: str, progress: Progress) -> None:
    # Without a mirror argument mmdebstrap takes Debian's own, with the updates and security suites.
    command = (
        "nice",
        "mmdebstrap",
        "--variant=minbase",
        "--format=directory",
        "--skip=cleanup/apt/lists",  # so that a host can install what it has cached without going online
        f"--include={','.join(PACKAGES)}",
        release,
        str(root),
    )
    said: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr or ():
            said.append(line.rstrip())
            if line.startswith("I: "):
                progress(f"lab image {release}: {line[3:].rstrip()}")
    if process.returncode != 0:
        hint = "on Ubuntu: apt-get install debian-archive-keyring"
        raise LabError(f"mmdebstrap could not build {release} ({hint}); it said: {' | '.join(said[-5:])}")


def _configure(root: Path) -> None:
    for path, text in SETTINGS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    if trust.add_machine_authorities(root):
        run_program("chroot", str(root), "update-ca-certificates")
