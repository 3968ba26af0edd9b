"""What a host needs before anything is installed: packages, users, folders, lingering."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from roles.contract.requests import PrepareSystem
from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.files import make_folder
from roles.host.programs.installers.handover import give_cache
from roles.host.programs.installers.models_folder import link_models
from roles.host.programs.installers.way_out import use_way_out
from roles.host.programs.processes import run, user_of
from roles.host.programs.systemd import Manager

_APT = ["apt-get", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]


def main(request: PrepareSystem) -> None:
    authorities = use_way_out(request.way_out, request.cache)
    if request.lingering:
        _enable_lingering()
    if request.packages:
        _keep_off(request.keep_off)
        _install_packages(request.packages, authorities)
    builder = request.build_user
    if builder:
        _ensure_user(builder, request.cache, "to build as")
    for name in request.users:
        _ensure_user(name, "/nonexistent", "to run as")
    for folder, mode in request.folders:
        make_folder(Path(folder), mode)
    if request.models_folder:
        link_models(request.models_folder)
    for name in ("uv", "ccache"):
        cache = Path(request.cache, name)
        make_folder(cache)
        give_cache(builder, cache)


def _keep_off(units: Sequence[str]) -> None:
    """Mask units before their package is installed: Debian's packages start the services that they install.

    A unit that already exists is left alone, as it may be in use.
    """
    manager = Manager("system")
    for unit in units:
        if manager.properties(unit, "LoadState").get("LoadState") == "not-found":
            manager.call("mask", unit)


def _install_packages(packages: Sequence[str], authorities: Path | None) -> None:
    """
    Args:
        authorities: the file of those that are trusted; none = as apt is set up.
    """
    title = f"Debian packages {' '.join(packages)}"
    options = ["-o", f"Acquire::https::CAInfo={authorities}"] if authorities else []
    environment = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    say(f"{title}: installing")
    with Progress(title) as progress:

        def apt(*command: str, what: str = title) -> None:
            run(command, what=what, environment=environment, on_line=progress.note)

        try:
            apt(*_APT, *options, "install", *packages)
        except HostError:
            # A power failure may have interrupted dpkg. The package lists of a fresh or long unused host name versions
            # that the mirror no longer has, or none at all.
            apt("dpkg", "--configure", "-a", what="finishing what dpkg began")
            apt(*_APT, *options, "update", what="refreshing the package lists")
            apt(*_APT, *options, "install", *packages)


def _enable_lingering() -> None:
    """Enable the user's manager to run without a login, from boot on.

    Raises:
        HostError: this host requires an administrator for it.
    """
    user = pwd.getpwuid(os.getuid()).pw_name
    done = subprocess.run(
        ["loginctl", "enable-linger", user], capture_output=True, text=True, errors="backslashreplace", check=False
    )
    if done.returncode != 0:
        raise HostError(
            f"{user}'s services would stop at logout and not start at boot, and {user} may not change that here: "
            f"{done.stderr.strip()}. Ask an administrator to run `loginctl enable-linger {user}` once"
        )


def _ensure_user(name: str, home: str, what_for: str) -> None:
    try:
        user_of(name)
    except KeyError:
        say(f"user {name}: made, {what_for}")
        command = ["useradd", "--system", "--home-dir", home, "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        run(command, what=f"making the user {name}")
