"""What makes a copy of the base image one particular host: its name, its identity, its keys, its packages at hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from tests.labhost.network import Link
from tests.labhost.programs import run_program

_ARCHIVES = Path("var/cache/apt/archives")
_RESOLVERS = Path("/etc/resolv.conf")
_RESOLVERS_BEHIND_THE_STUB = Path("/run/systemd/resolve/resolv.conf")


def furnish(root: Path, name: str, link: Link, authorized_key: str) -> None:
    """Give the host at ``root`` what it must have before its first boot."""
    _write(root / "etc/hostname", f"{name}\n")
    _write(root / "etc/hosts", f"127.0.0.1 localhost\n{link.address} {name}\n::1 localhost ip6-localhost\n")
    _write(root / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    _write(root / "etc/resolv.conf", resolvers())
    _write(root / "etc/ssh/lab_authorized_keys", authorized_key)
    host_key = root / "etc/ssh/ssh_host_ed25519_key"
    host_key.unlink(missing_ok=True)  # a kept disk has that of its host
    run_program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(host_key))


def resolvers(usual: Path = _RESOLVERS, behind_the_stub: Path = _RESOLVERS_BEHIND_THE_STUB) -> str:
    """The machine's name servers as a host can reach them: not the stub on the machine's own loopback."""
    text = usual.read_text()
    if "nameserver 127." in text and behind_the_stub.exists():
        return behind_the_stub.read_text()
    return text


def lend_packages(cache: Path, upper: Path) -> None:
    """Put every Debian package fetched by an earlier host where apt looks first.

    Links, not a shared folder: apt locks its archive folder, so two hosts could not install at the same time.
    """
    archives = upper / _ARCHIVES
    archives.mkdir(parents=True)
    for package in cache.glob("*.deb"):
        _link_or_copy(package, archives / package.name)


def collect_packages(cache: Path, upper: Path) -> None:
    """Keep what this host fetched for those to come. apt checks the digest of whatever it finds there."""
    cache.mkdir(parents=True, exist_ok=True)
    for package in (upper / _ARCHIVES).glob("*.deb"):
        if not (cache / package.name).exists():
            _link_or_copy(package, cache / package.name)


def _link_or_copy(source: Path, target: Path) -> None:
    with contextlib.suppress(FileExistsError):
        try:
            os.link(source, target)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            beside = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.copyfile(source, beside)
            beside.rename(target)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # it may be a link of the image's, to a place outside of it
    path.write_text(text)
