"""A signed apt repository laid out as NVIDIA's is, with packages that are a driver by name and version alone."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from email.utils import formatdate
from pathlib import Path

KERNEL = "6.1.0-lab-amd64"
"""The kernel that their module is for."""
HEADERS = "linux-headers-amd64"
KEY = "key.pub"


def make_repository(folder: Path, versions: list[str]) -> str:
    """Fill the folder; the SHA-256 of the key that it is signed with."""
    for version in versions:
        make_package(folder, "nvidia-open", version, depends=f"nvidia-kernel-open-dkms (= {version})")
        make_package(folder, "nvidia-kernel-open-dkms", version, file=f"lib/modules/{KERNEL}/updates/dkms/nvidia.ko")
        make_package(folder, "curl", f"{version}+not.a.driver")
    described = []
    for package in sorted(folder.glob("*.deb")):
        control = _run("dpkg-deb", "--field", str(package))
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        described.append(f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n")
    packages = "\n".join(described).encode()
    (folder / "Packages").write_bytes(packages)
    release = (
        f"Origin: NVIDIA\nLabel: NVIDIA\nDate: {formatdate(usegmt=True)}\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
    )
    with tempfile.TemporaryDirectory() as home:
        sign = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
        _run(*sign, "--quick-generate-key", "lab@example.com", "rsa2048", "sign", "never")
        (folder / "InRelease").write_text(_run(*sign, "--clearsign", input=release))
        (folder / KEY).write_text(_run(*sign, "--armor", "--export"))
    return hashlib.sha256((folder / KEY).read_bytes()).hexdigest()


def make_package(folder: Path, name: str, version: str, *, depends: str = "", file: str = "") -> Path:
    """Build a package with at most one file, which is empty."""
    root = folder / ".package" / f"{name}-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    fields = [f"Package: {name}", f"Version: {version}", "Architecture: all", "Maintainer: the lab <lab@example.com>"]
    fields += [f"Depends: {depends}"] if depends else []
    (root / "DEBIAN/control").write_text("\n".join([*fields, "Description: made for a test", ""]))
    if file:
        (root / file).parent.mkdir(parents=True)
        (root / file).touch()
    package = folder / f"{name}_{version}_all.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(root), str(package))
    return package


def _run(*command: str, input: str | None = None) -> str:
    return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout
