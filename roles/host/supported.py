"""Whether a host is of a kind that this is made for. Pure."""

from __future__ import annotations

from roles.contract.state import HostState
from roles.plan import HostPlan

_RELEASES = {"debian": ("12", "13"), "ubuntu": ("24.04",)}
_MACHINES = ("x86_64", "aarch64")
SUPPORTED = "Debian 12 or 13, or Ubuntu 24.04"
_INITS = {"init": "a System V or BusyBox init", "openrc-init": "OpenRC", "runit": "runit"}
CONTAINERS = {"wsl": "WSL", "systemd-nspawn": "systemd-nspawn", "lxc": "LXC", "docker": "Docker", "podman": "Podman"}


def unsupported(plan: HostPlan, state: HostState) -> list[str]:
    """What the host is and may not be, by name."""
    problems = []
    name, _, version = state.platform["os"].partition("-")
    if version not in _RELEASES.get(name, ()):
        shown = state.system.name or f"{name} {version}"
        problems.append(
            f"it runs {shown}, and this needs {SUPPORTED}, whose packages it installs: take a host with one of these, "
            "or a virtual machine or container with one that boots with systemd"
        )
    if state.platform["machine"] not in _MACHINES:
        problems.append(
            f"its processor is {state.platform['machine']}, and this needs {' or '.join(_MACHINES)}: what it installs "
            "is made for no others. Take another host; or, on such a processor, install a system of 64 bits"
        )
    if state.systemd is None:
        problems.append(_no_systemd(plan, state))
    return problems


def _no_systemd(plan: HostPlan, state: HostState) -> str:
    system = state.system
    kind = CONTAINERS.get(system.container, system.container)
    if system.init == "systemd":
        whose = "systemd" if plan.layout.scope == "system" else f"{state.user}'s systemd manager"
        return f"{whose} does not answer on this host: see `systemctl status`, and in user scope `loginctl user-status`"
    init = _INITS.get(system.init, f"`{system.init}`") if system.init else "unknown"
    if kind:
        advice = " (`systemd=true` in its /etc/wsl.conf)" if system.container == "wsl" else ""
        return (
            f"systemd does not answer on this host: it is a container ({kind}) whose first process is {init}. Boot it "
            f"with systemd{advice}, or deploy to the host itself"
        )
    return (
        f"systemd does not answer on this host: its init system is {init}, and all services are units of systemd. Take "
        "a host that boots with systemd"
    )
