"""What is there of NVIDIA's driver, read without changing anything."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from roles.contract.driver import DriverState, ReadDriver
from roles.contract.wire import written
from roles.host.programs.driver.record import boot_id, read_record
from roles.host.programs.foreign.units import init_system
from roles.host.programs.gpu.kernel import has_display_device, running_kernel, secure_boot
from roles.host.programs.gpu.nvidia import MODULES, NVIDIA, nvidia_cards

_PACKAGES = ("nvidia-*", "libnvidia-*", "libcuda1", "libcudadebugger1", "firmware-nvidia-*", "linux-modules-nvidia-*")
HEADERS = "linux-headers-"
_BUILDER = re.compile("nvidia-(?!fs-)(.+-)?dkms(-.+)?|linux-modules-nvidia-.+")
_FLAVOUR = re.compile(r"[\d.]+(?:\+[a-z]+\d*)?(?:-\d+)?-(?P<flavour>[a-z][a-z0-9-]*)")
"""Of a kernel's release: `amd64` in `6.1.0-56-amd64` and `6.12.48+deb13-amd64`, `generic` in `6.8.0-51-generic`."""
_OWN_INSTALLER = "usr/bin/nvidia-uninstall"
_DKMS_KEYS = ("var/lib/dkms/mok.pub", "var/lib/shim-signed/mok/MOK.der")
"""The certificates of the keys that dkms signs with: Debian's, Ubuntu's."""
_ENROLLED = "sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"
"""The list of the keys that the owner of a machine has enrolled, from shim: signatures of the UEFI specification, which
have certificates in them as they are."""


def main(request: ReadDriver) -> None:
    print(json.dumps(written(driver_state(request.state))))


def driver_state(state: str, root: Path = Path("/")) -> DriverState:
    """
    Args:
        state: the layout's state folder.
        root: where the system's files are. Programs are those of the running one.
    """
    installed = installed_packages()
    builders = tuple(sorted(name for name in installed if _BUILDER.fullmatch(name)))
    found = nvidia_cards(root, math.inf)
    container = bool(init_system()[1])
    return DriverState(
        boot=boot_id(),
        container=container,
        headers=headers_package(None if container else running_kernel(root), _output("dpkg", "--print-architecture")),
        installed=installed,
        held=tuple(_output("apt-mark", "showhold").split()),
        builders=builders,
        version=version_of(installed, builders) or found["driver"]["kernel"],
        built=built_kernels(root),
        next_kernel=None if container else next_kernel(root),
        loaded=found["driver"]["kernel"],
        card=found["driver"]["kernel"] is not None or has_display_device(root, NVIDIA),
        problem=found["problem"],
        key_refused=secure_boot(root) and not _a_key_is_enrolled(root),
        own_installer=f"/{_OWN_INSTALLER}" if (root / _OWN_INSTALLER).exists() else None,
        record=read_record(state),
    )


def _output(*command: str) -> str:
    """Empty if it cannot be run: a host without apt is refused elsewhere."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout.strip()
    except OSError:
        return ""


def _a_key_is_enrolled(root: Path) -> bool:
    """Whether the firmware knows the key of dkms."""
    try:
        enrolled = (root / _ENROLLED).read_bytes()
    except OSError:
        return False
    keys = [(root / key).read_bytes() for key in _DKMS_KEYS if (root / key).is_file()]
    return any(key and key in enrolled for key in keys)


def installed_packages() -> dict[str, str]:
    """Headers and packages that may be a driver's → their versions."""
    shown = _output(
        "dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status} ${Version}\n", *_PACKAGES, f"{HEADERS}*"
    )
    rows = (line.split() for line in shown.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}


def headers_package(kernel: str | None, architecture: str) -> str:
    """The package that depends on the headers of the newest kernel of the host's kind.

    Args:
        kernel: release of the running one; none = it is not this system's.
        architecture: as dpkg prints it.
    """
    match = _FLAVOUR.fullmatch(kernel or "")
    return f"{HEADERS}{match['flavour'] if match else architecture}"


def version_of(installed: Mapping[str, str], builders: Iterable[str]) -> str | None:
    """The driver's version: `535.309.01` of a package's `1:535.309.01-0+deb12u1`."""
    versions = (upstream(installed[name]) for name in builders if "dkms" in name)
    return next(versions, None)


def upstream(version: str) -> str:
    """A package's version without epoch and Debian's own part."""
    return version.rpartition(":")[2].partition("-")[0]


def of_driver(installed: Mapping[str, str], version: str | None) -> tuple[str, ...]:
    """The packages of the driver itself. Toolkits, container tools and the like have versions of their own."""
    return tuple(
        sorted(
            name
            for name, has in installed.items()
            if not name.startswith(HEADERS) and version and upstream(has) == version
        )
    )


def built_kernels(root: Path = Path("/")) -> tuple[str, ...]:
    """The kernels that there is a module for."""
    modules = root / "lib/modules"
    return in_order(
        kernel.name
        for kernel in modules.glob("*")
        if any(True for name in MODULES for _ in kernel.glob(f"**/{name}.ko*"))
    )


def next_kernel(root: Path = Path("/")) -> str | None:
    """The kernel that the next boot starts: boot loaders take the newest; none = there are no files of any."""
    found = in_order(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
    return found[-1] if found else None


def in_order(kernels: Iterable[str]) -> tuple[str, ...]:
    """By their versions, the oldest first."""

    def key(kernel: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|[^\d]+", kernel)]

    return tuple(sorted(kernels, key=key))
