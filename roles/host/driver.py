"""What a deploy does about the graphics driver: the difference between what is wanted and what is there. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from roles.contract.driver import DriverKey, DriverState, InstallDriver
from roles.contract.state import HostState
from roles.host.programs.driver.install import is_version, numbers
from roles.host.programs.driver.look import of_driver
from roles.host.requests import way_out_of
from roles.options import NvidiaDriver
from roles.plan import CardNeeds, HostPlan

_MAIN = {"debian": ("nvidia-kernel-dkms", "nvidia-smi", "libcuda1"), "nvidia": ("nvidia-open",), "installed": ()}
"""Source → its packages; the first one brings the kernel's module. `nvidia-open` is for cards from Turing on, as all of
NVIDIA's newer drivers are."""


@dataclass(frozen=True)
class DriverSteps:
    """What is to be done; all empty or false on a converged host.

    Attributes:
        packages: those to install; empty = none.
        install: why they must be installed.
        settle: what else is to be changed: what is held, and what apt knows.
        reboot: the kernel still runs without what was installed.
        leave: the inventory says nothing of the driver any more.
    """

    packages: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    settle: tuple[str, ...] = ()
    reboot: bool = False
    leave: bool = False

    @property
    def anything(self) -> bool:
        return bool(self.comes or self.settle or self.leave)

    @property
    def comes(self) -> bool:
        """Whether the driver will be another one once they are done."""
        return bool(self.install or self.reboot)

    @property
    def lines(self) -> tuple[str, ...]:
        """What would be done, for people."""
        return (
            *(f"install the NVIDIA driver, as {reason}" for reason in self.install),
            *self.settle,
            *(["reboot, for the NVIDIA driver to be loaded, and go on afterwards"] if self.comes else []),
            *(["let go of the NVIDIA driver: hold it no longer; its packages stay"] if self.leave else []),
        )


def driver_steps(driver: NvidiaDriver | None, found: DriverState) -> DriverSteps:
    if driver is None:
        return DriverSteps(leave=found.record is not None)
    packages = (*_MAIN[driver.source], *([found.headers] if driver.source != "installed" else []))
    install = _reasons(driver, packages, found) if packages else ()
    return DriverSteps(
        packages=packages if install else (),
        install=install,
        settle=_to_settle(driver, found),
        reboot=found.record is not None and found.record.boot == found.boot,
    )


def _reasons(driver: NvidiaDriver, packages: tuple[str, ...], found: DriverState) -> tuple[str, ...]:
    reasons = []
    if missing := [name for name in packages if name not in found.installed]:
        reasons.append(f"{' '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed")
    elif driver.version and not is_version(found.version or "", driver.version):
        reasons.append(f"it is {found.version}, and {driver.version} is wanted")
    elif found.next_kernel is not None and found.next_kernel not in found.built:
        reasons.append(f"it has no module for {found.next_kernel}, the kernel that the next boot starts")
    elif not found.built:
        reasons.append("its module is not built")
    return tuple(reasons)


def _to_settle(driver: NvidiaDriver, found: DriverState) -> tuple[str, ...]:
    record, steps = found.record, []
    loose = [name for name in of_driver(found.installed, found.version) if name not in found.held]
    if driver.hold and loose:
        steps.append(f"hold {' '.join(loose)}")
    if record is None:
        return tuple(steps)
    if not driver.hold and (ours := [name for name in record.held if name in found.held]):
        steps.append(f"no longer hold {' '.join(ours)}")
    if (record.source, record.version, record.repository) != (driver.source, driver.version, driver.repository):
        steps.append("change where apt has the NVIDIA driver from, and in which version")
    return tuple(steps)


def driver_problems(plan: HostPlan, state: HostState, found: DriverState, steps: DriverSteps) -> list[str]:
    """Why what is to be done about the driver cannot be done, each with its fix."""
    driver = plan.driver
    if driver is None:
        return []
    problems = _too_old(driver, plan.card_needs)
    if driver.source == "installed" and not found.builders:
        problems.append(
            'driver=NvidiaDriver(source="installed"), and no package of a driver is there: take another `source`, or '
            "install one"
        )
    if steps.install:
        problems += _in_the_way(driver, state, found)
    return problems


def _too_old(driver: NvidiaDriver, needs: tuple[CardNeeds, ...]) -> list[str]:
    wanted = oldest(needs)
    if driver.version is None or wanted is None or numbers(driver.version) >= numbers(wanted[0])[: _parts(driver)]:
        return []
    return [
        f"{wanted[1]} needs NVIDIA driver {wanted[0]} or newer, and the stack's `driver` has version {driver.version}: "
        "give a newer one"
    ]


def _parts(driver: NvidiaDriver) -> int:
    return len(numbers(driver.version or ""))


def oldest(needs: tuple[CardNeeds, ...]) -> tuple[str, str] | None:
    """The oldest driver that is enough for all, and who needs it; none = any is."""
    found = [(each.driver, each.what) for each in needs if each.gpus.vendor == "nvidia" and each.driver]
    return max(found, key=lambda each: numbers(each[0]), default=None)


def _in_the_way(driver: NvidiaDriver, state: HostState, found: DriverState) -> list[str]:
    problems = []
    others = sorted({*found.builders} - {*_MAIN[driver.source]})
    ours = found.record is not None and found.record.source == driver.source
    system = state.platform["os"]
    if driver.source == "debian" and not system.startswith("debian-"):
        problems.append(
            f'driver=NvidiaDriver(source="debian"), and it runs {system.replace("-", " ")}: take source="nvidia", or '
            'install the driver by hand and take source="installed"'
        )
    if found.own_installer:
        problems.append(
            f"NVIDIA's own installer has put a driver there, which packages cannot replace: run {found.own_installer} "
            "as root and reboot, or remove `driver` from the stack"
        )
    if found.container and found.loaded:
        problems.append(
            f"it is a container, and the machine around it runs driver {found.loaded}: install the tools of that "
            "version there, and remove `driver` from the stack"
        )
    if others and not ours and not {*_MAIN[driver.source]} & {*found.installed}:
        problems.append(
            f"it has another driver already, {' '.join(others)} {found.version or ''}".rstrip() + ": take "
            'source="installed" to keep it, or remove these packages first'
        )
    if found.key_refused:
        problems.append(
            "Secure Boot is on, and the firmware knows no key that dkms signs with: it would refuse the module. "
            "docs/troubleshooting.md says how to make and enrol one; or turn Secure Boot off in the firmware"
        )
    return problems


def driver_request(plan: HostPlan, steps: DriverSteps) -> InstallDriver:
    """For the program `driver.install`."""
    driver = plan.driver
    assert driver is not None
    wanted = oldest(plan.card_needs)
    return InstallDriver(
        state=plan.layout.state,
        source=driver.source,
        packages=steps.packages,
        version=driver.version,
        hold=driver.hold,
        repository=driver.repository,
        key=DriverKey(url=driver.key.url, sha256=driver.key.sha256) if driver.key else None,
        oldest=wanted[0] if wanted else None,
        oldest_for=wanted[1] if wanted else "",
        cache=plan.layout.cache,
        way_out=way_out_of(plan.outbound),
    )


def not_loaded(found: DriverState) -> list[str]:
    """Why the driver does not run after the reboot that was to load it. Without a card it has nothing to run for."""
    return [found.problem] if found.card and found.problem else []
