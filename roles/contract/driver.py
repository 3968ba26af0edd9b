"""The graphics driver of a host: what is there, and the requests to install, hold and let go of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from roles.contract.outbound import WayOut
from roles.contract.requests import ChangeRequest, Request

DriverSource = Literal["debian", "nvidia", "installed"]


@dataclass(frozen=True, kw_only=True)
class ReadDriver(Request):
    """Print what a deploy must know of the driver, as JSON: a `DriverState`.

    Attributes:
        state: the layout's state folder.
    """

    program = "driver.look"

    state: str


@dataclass(frozen=True, kw_only=True)
class DriverRecord:
    """What was done here, written before it is done.

    Attributes:
        source: where the packages are from,
        version: of which version,
        repository: at which address; all as the inventory had it.
        boot: the boot in which they were last changed: as long as it lasts, the kernel runs without them.
        held: packages that are held for us.
    """

    source: DriverSource
    version: str | None = None
    repository: str | None = None
    boot: str = ""
    held: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DriverState:
    """The driver as its packages, the kernel and the firmware show it.

    Attributes:
        boot: id of this boot.
        container: the kernel is another system's, and what is installed here is not what it loads.
        headers: the package with the headers of each new kernel of the host's kind.
        installed: headers and packages of the driver → their versions.
        held: all packages that are held.
        builders: packages that build or bring the kernel's module.
        version: of these packages, without Debian's own part; none = there is none, or it is not known.
        built: kernels that there is a module for.
        next_kernel: the one that the next boot starts, by its version; none = not known.
        loaded: version of the module that the kernel runs.
        card: there is one of NVIDIA's.
        problem: why the driver cannot be used, and how to fix it.
        key_refused: Secure Boot is on, and the firmware knows no key that modules are signed with here.
        own_installer: the program that NVIDIA's own installer leaves; none = it was not used.
        record: none = nothing was done here.
    """

    boot: str
    container: bool
    headers: str
    installed: Mapping[str, str]
    held: tuple[str, ...]
    builders: tuple[str, ...]
    version: str | None
    built: tuple[str, ...]
    next_kernel: str | None
    loaded: str | None
    card: bool
    problem: str | None
    key_refused: bool
    own_installer: str | None
    record: DriverRecord | None


@dataclass(frozen=True, kw_only=True)
class DriverKey:
    """The key that a repository is signed with: its address, and the SHA-256 of the file."""

    url: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class InstallDriver(ChangeRequest):
    """Install the driver's packages, build its module, hold them.

    Attributes:
        packages: what to install, the one that all depends on first; empty = only what is there is held or not.
        version: the version that they must have, or how it begins; none = the newest.
        hold: whether they are held afterwards.
        repository: address of NVIDIA's, with its key; none = Debian's own archives.
        oldest: the oldest version that is of use; none = any.
        oldest_for: what needs it, for people.
        cache: the layout's.
        way_out: how packages and key are reached; none = directly.
    """

    program = "driver.install"

    source: DriverSource
    packages: tuple[str, ...]
    version: str | None
    hold: bool
    repository: str | None
    key: DriverKey | None
    oldest: str | None
    oldest_for: str
    cache: str
    way_out: WayOut | None = None


@dataclass(frozen=True, kw_only=True)
class LeaveDriver(ChangeRequest):
    """Let go of the driver: what we hold is no longer held, and our files for apt go. The packages stay."""

    program = "driver.leave"
