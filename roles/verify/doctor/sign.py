"""How a failure is identified, and its description with the commands for the host's scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from roles.contract.verdict import Cause, Check
from roles.verify.generation import Scope
from roles.verify.verdict.codes import Code

AGAIN = "run deploys/full.py: it fixes that"
LOG = "{journalctl} -u {unit} -n 50"
GATEWAY_LOG = "{journalctl} -u 'litellm*' -n 50"
FRONT_LOG = "{journalctl} -u 'litellm*' -u ai-backend-front -n 50"
INSTALLS = "ls -lL {config}/install/"
FIREWALL = "{as_root}nft list ruleset"
KERNEL_DISK_LOG = "{as_root}journalctl -k -p err"
KERNEL_MEMORY_LOG = "{as_root}journalctl -k -g oom"


@dataclass(frozen=True)
class Place:
    """The names of a host's parts in commands.

    Attributes:
        config: the folder of the configuration, by its permanent name.
        state: the folder with the generated secrets.
        disks: folders on whose file systems the stack writes.
    """

    scope: Scope
    config: str
    state: str
    disks: tuple[str, ...] = ()

    def words(self, unit: str) -> Mapping[str, str]:
        """The values for the braces in causes."""
        user = self.scope == "user"
        return {
            "unit": unit,
            "config": self.config,
            "secrets": f"{self.state}/secrets",
            "disks": " ".join(self.disks),
            "systemctl": "systemctl --user" if user else "systemctl",
            "journalctl": "journalctl --user" if user else "journalctl",
            # In the system journal, a crash of a user unit has the name of that user's service manager.
            "coredump": f"coredumpctl info COREDUMP_USER_UNIT={unit}" if user else f"coredumpctl info {unit}",
            # What the user of a user scope may not see.
            "as_root": "sudo " if user else "",
        }


@dataclass(frozen=True)
class Sign:
    """One row of the table.

    Attributes:
        checks: patterns of the ids of the checks that may fail this way; `*` matches any text.
        codes: of the failure; empty = any, if a unit that the check is about is not well.
        title: its usual name.
        causes: the likeliest first, with the names of `Place.words` in braces.
    """

    checks: tuple[str, ...]
    codes: tuple[Code, ...]
    title: str
    causes: tuple[Cause, ...]

    def explains(self, check: Check, *, a_unit_is_down: bool) -> bool:
        known = check.code in self.codes if self.codes else a_unit_is_down
        return known and any(fnmatchcase(check.id, pattern) for pattern in self.checks)

    def causes_at(self, place: Place, unit: str) -> tuple[Cause, ...]:
        """The causes, with that host's commands for that unit."""
        words = place.words(unit)
        return tuple(Cause(each.cause.format(**words), each.look.format(**words)) for each in self.causes)
