"""Signs of the host itself."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import AGAIN, FIREWALL, Sign

HOST: Mapping[str, Sign] = {
    "disk": Sign(
        ("host/disk",),
        ("disk-full",),
        "a file system is nearly full",
        (
            Cause(
                "old installs and models: deploys/prune.py frees those that are no longer used",
                "df -h; du -xh -d 1 {disks}",
            ),
            Cause("something fills a file system that lies in memory, as /run", "df -h /run /dev/shm; du -xsh /run/*"),
        ),
    ),
    "packages": Sign(
        ("host/packages",),
        ("package-missing",),
        "a Debian package that the stack needs is not installed",
        (Cause(f"somebody removed it: {AGAIN}", "grep ' remove ' /var/log/dpkg.log | tail"),),
    ),
    "clock": Sign(
        ("host/clock",),
        ("clock-behind", "clock-not-set"),
        "the clock is wrong",
        (Cause("the time service cannot reach its servers", "timedatectl timesync-status"),),
    ),
    "driver": Sign(
        ("host/driver",),
        ("gpu-unusable", "driver-mismatch"),
        "the graphics driver does not work",
        (Cause("it was upgraded, and the older one is still loaded: reboot", "nvidia-smi"),),
    ),
    "listener": Sign(
        ("host/listeners",),
        ("undeclared-listener",),
        "a unit listens where it should not",
        (Cause("an option of its own opens a further port: take it out of `extra_arguments`", "ss -ltnp"),),
    ),
    "open": Sign(
        ("host/outside/*",),
        ("port-exposed",),
        "a port can be reached from elsewhere, or one that should be cannot",
        (
            Cause(
                "something forwards to it, or listens there besides: a proxy, a container, a firewall's rule",
                f"ss -ltnp; {FIREWALL}",
            ),
        ),
    ),
}
