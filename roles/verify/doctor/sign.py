"""What a failure is known by, and what is said of it, in the words of the host's scope."""

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
    """A host as commands name its parts.

    Attributes:
        config: the folder of the configuration, by its lasting name.
        state: the folder with the generated secrets.
        disks: folders on whose file systems the stack writes.
    """

    scope: Scope
    config: str
    state: str
    disks: tuple[str, ...] = ()

    def words(self, unit: str) -> Mapping[str, str]:
        """What stands in causes for the braces."""
        user = self.scope == "user"
        return {
            "unit": unit,
            "config": self.config,
            "secrets": f"{self.state}/secrets",
            "disks": " ".join(self.disks),
            "systemctl": "systemctl --user" if user else "systemctl",
            "journalctl": "journalctl --user" if user else "journalctl",
            # In the system's journal a crash of a user's unit has the name of that user's manager.
            "coredump": f"coredumpctl info COREDUMP_USER_UNIT={unit}" if user else f"coredumpctl info {unit}",
            # What the user of a user scope cannot see.
            "as_root": "sudo " if user else "",
        }


@dataclass(frozen=True)
class Sign:
    """One row of the table.

    Attributes:
        checks: patterns of the ids of the checks that may fail so, with `*` for any words.
        codes: of the failure; empty = whatever it is, where a unit that the check is about is not well.
        title: how people call it.
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
        """The causes as that host is spoken to about that unit."""
        words = place.words(unit)
        return tuple(Cause(each.cause.format(**words), each.look.format(**words)) for each in self.causes)
