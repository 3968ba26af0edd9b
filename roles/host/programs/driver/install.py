"""Installing the driver's packages: its module is built for the kernel that the next boot starts, and not loaded."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from roles.contract.driver import DriverKey, DriverRecord, InstallDriver
from roles.host.programs.console import HostError, Progress, say
from roles.host.programs.driver import apt
from roles.host.programs.driver.look import (
    HEADERS,
    built_kernels,
    driver_state,
    installed_packages,
    next_kernel,
    of_driver,
    upstream,
)
from roles.host.programs.driver.record import boot_id, read_record, write_record
from roles.host.programs.files import make_folder, read_text, write_atomic
from roles.host.programs.installers.download import Digest, open_url
from roles.host.programs.installers.way_out import use_way_out
from roles.host.programs.processes import run

_TITLE = "NVIDIA driver"
_KEPT_OUT = Path("/etc/modprobe.d/ai-backend-nvidia-driver.conf")
_NO_NOUVEAU = (
    "# Written by AI Unified Backend: the kernel's own driver for NVIDIA's cards would take them first.\n"
    "blacklist nouveau\noptions nouveau modeset=0\n"
)
_LONGEST_KEY = 1 << 20
_SHOWN = 8


def main(request: InstallDriver) -> None:
    before = read_record(request.state)
    record = DriverRecord(
        source=request.source,
        version=request.version,
        repository=request.repository,
        boot=before.boot if before else "",
        held=before.held if before else (),
    )
    write_record(request.state, record)
    reaching = apt.trusting(use_way_out(request.way_out, request.cache))
    _set_up_apt(request, reaching)
    if request.packages:
        record = _install(request, record, reaching)
    found = driver_state(request.state)
    packages = of_driver(found.installed, found.version)
    to_release = {*record.held} & {*found.held} if not request.hold else {*record.held} - {*packages}
    if to_release:
        apt.release(to_release & {*found.held})
    to_hold = [name for name in packages if name not in found.held] if request.hold else []
    kept = {*record.held} & {*packages} if request.hold else set()
    write_record(request.state, replace(record, held=tuple(sorted({*kept, *to_hold}))))
    apt.hold(to_hold)


def _set_up_apt(request: InstallDriver, reaching: Sequence[str]) -> None:
    if request.source == "installed":
        apt.forget()
        return
    if request.repository and request.key:
        apt.use_repository(request.repository, _fetched(request.key))
    else:
        apt.use_debian(reaching)
    apt.prefer(request.version, request.repository)


def _install(request: InstallDriver, record: DriverRecord, reaching: Sequence[str]) -> DriverRecord:
    """Returns the new record."""
    apt.refresh(reaching)
    _check(request)
    # First: whoever finds packages of a killed run must know that the kernel runs without them.
    record = replace(record, boot=boot_id())
    write_record(request.state, record)
    apt.release({*record.held} & {*installed_packages()})
    _keep_nouveau_out()
    packages = [*_to_install(request.packages, installed_packages())]
    say(f"{_TITLE}: installing {' '.join(packages)}; its module is compiled, which takes minutes")
    with Progress(_TITLE) as progress:
        apt.install(packages, f"installing the {_TITLE}", progress.note, reaching)
    _check_module(request.state)
    return record


def _fetched(key: DriverKey) -> bytes:
    """The file of a repository's key."""
    try:
        with open_url(key.url, {}, timeout=30) as answer:
            content = answer.read(_LONGEST_KEY)
    except (urllib.error.URLError, OSError, HTTPException) as error:
        raise HostError(f"{_TITLE}: {key.url} cannot be fetched: {error}") from None
    if not Digest("sha256", key.sha256).fits(content):
        raise HostError(
            f"{_TITLE}: {key.url} is not the key that the inventory has the SHA-256 of: look at it, and correct "
            "`sha256` of the driver's `key`"
        )
    return content


def _check(request: InstallDriver) -> None:
    """Raises `HostError` if what would be installed is not what is wanted."""
    where = request.repository or "the archives that apt has here"
    package, headers = request.packages[0], request.packages[-1]
    version = apt.candidate(package)
    if version is None:
        raise HostError(f"{_TITLE}: {package} is not in {where}: see `apt-cache policy {package}`")
    if apt.candidate(headers) is None:
        raise HostError(
            f"{_TITLE}: its module is compiled for the kernel, and apt has no {headers}: take a kernel of the "
            'distribution\'s, or install the driver by hand and take source="installed"'
        )
    found = upstream(version)
    if request.version and not is_version(found, request.version):
        raise HostError(
            f"{_TITLE}: there is {package} {found} in {where}, and `version` is {request.version}: "
            f"`apt-cache madison {package}` lists what there is"
        )
    if request.oldest and numbers(found) < numbers(request.oldest):
        raise HostError(
            f"{_TITLE}: {request.oldest_for} needs {request.oldest} or newer, and there is {found} in {where}: "
            "take another `source`, or what an older driver is enough for"
        )


def is_version(found: str, wanted: str) -> bool:
    """Whether a version is the wanted one, or one of the wanted branch."""
    return f"{found}.".startswith(f"{wanted}.")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _keep_nouveau_out() -> None:
    if read_text(_KEPT_OUT) == _NO_NOUVEAU:
        return
    make_folder(_KEPT_OUT.parent)
    write_atomic(_KEPT_OUT, _NO_NOUVEAU.encode(), 0o644)
    if Path("/usr/sbin/update-initramfs").exists():
        # The first driver is loaded from there.
        say("nouveau: kept out from the next boot on")
        run(("update-initramfs", "-u", "-k", "all"), what="keeping nouveau out of the initial RAM disk")


def _to_install(packages: Sequence[str], installed: Mapping[str, str]) -> Iterator[str]:
    """The packages without headers that are there, and the headers of the kernel that the next boot starts: the newest
    ones may be for none of the kernels here."""
    yield from (name for name in packages if name not in installed or not name.startswith(HEADERS))
    kernel = next_kernel()
    if kernel and f"{HEADERS}{kernel}" not in installed and apt.candidate(f"{HEADERS}{kernel}"):
        yield f"{HEADERS}{kernel}"


def _check_module(state: str) -> None:
    """Raises `HostError` if the next boot would start without the module."""
    found = driver_state(state)
    kernel = found.next_kernel
    if kernel is not None and kernel not in found.built:
        say(f"{_TITLE}: there is no module for {kernel} yet: building it")
        run(("dkms", "autoinstall", "-k", kernel), what=f"building the {_TITLE}'s module for {kernel}")
    built = built_kernels()
    if not built or (kernel is not None and kernel not in built):
        headers = f"linux-headers-{kernel}" if kernel else "the headers of its kernel"
        logs = sorted(Path("/var/lib/dkms").glob("nvidia*/*/build/make.log"), key=lambda log: log.stat().st_mtime)
        said = (read_text(logs[-1]) or "").splitlines()[-_SHOWN:] if logs else []
        raise HostError(
            "\n    ".join(
                [
                    f"{_TITLE}: it is installed, and its module was not built for {kernel or 'any kernel'}: install "
                    f"{headers}, or a newer kernel whose headers apt has (see `dkms status`), and run again",
                    *said,
                ]
            )
        )
    if found.container:
        say(f"{_TITLE}: built for {', '.join(built)}. This is a container: the kernel that it runs on is not its own")
    else:
        say(f"{_TITLE}: built for {', '.join(built)}")
