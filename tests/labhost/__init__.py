"""The lab: throwaway Debian hosts with systemd as PID 1, for tests and demonstrations.

Each host is a copy-on-write root over a shared base image, booted by systemd-nspawn behind an address of
its own, with sshd, reboots, power cuts, air gaps and slow links. ``python -m tests.labhost --help`` drives
it by hand.
"""

from tests.labhost.errors import LabError
from tests.labhost.host import LabHost
from tests.labhost.lab import Lab

__all__ = ["Lab", "LabError", "LabHost"]
