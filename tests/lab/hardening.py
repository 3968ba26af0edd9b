"""What each unit may do on a host, as `systemd-analyze security` rates it: the table of `docs/hardening.md`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

DOCS = REPOSITORY / "docs/hardening.md"
BEGIN, END = "<!-- written by tests/lab/test_providers.py -->\n", "<!-- end -->\n"
LIMIT, VERIFIERS_LIMIT = 1.5, 2.2
VERIFIER = "ai-backend-verify.service"
FIREWALL = "ai-backend-firewall.service"

_EVERYWHERE = {
    "RootDirectoryOrRootImage": "the files of Debian's packages and of the installs are its program",
    "PrivateNetwork": "it is asked over the host's loopback or network",
    "RestrictAddressFamilies_AF_INET_INET6": "likewise",
    "RestrictAddressFamilies_AF_UNIX": "the journal, and sockets between its own processes",
    "DeviceAllow": "`ProtectClock=` lets the clock's device be read",
    "IPAddressDeny": "it may talk to this host alone, and does",
}
_REASONS: Mapping[str, Mapping[str, str]] = {
    "ai-backend-front.service": {
        "IPAddressDeny": "clients come from anywhere, where `bind` lets them",
        "MemoryDenyWriteExecute": "HAProxy compiles its regular expressions into memory",
    },
    "ollama.service": {
        "IPAddressDeny": "it pulls models from a registry",
        "ProcSubset": "it reads `/proc/meminfo` to see how much memory there is for models",
    },
    "vllm@tiny.service": {
        "ProcSubset": "it counts processors and memory in `/proc`",
        "MemoryDenyWriteExecute": "PyTorch and oneDNN compile kernels into memory",
        "SystemCallFilter_resources": "it binds its threads and their memory to processors",
        "RestrictAddressFamilies_AF_NETLINK": "gloo lists the network interfaces at its start",
    },
    FIREWALL: {
        "UserOrDynamicUser": "only root may change the rules of nftables",
        "CapabilityBoundingSet_CAP_NET_ADMIN": "it changes the rules of nftables",
        "PrivateNetwork": "they are those of the host's network",
        "PrivateUsers": "in a user namespace that right would end at a network of its own",
        "RestrictAddressFamilies_AF_NETLINK": "it talks to the kernel",
    },
    VERIFIER: {
        "UserOrDynamicUser": "it looks at the processes, keys and sockets of all units, which belong to other users",
        "CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER": "it reads what the modes of their files hide",
        "CapabilityBoundingSet_CAP_SYS_PTRACE": "it reads the environment and the descriptors of processes",
        "PrivateUsers": "in a user namespace these rights would end at its own processes",
        "ProtectProc": "it looks at the processes of others",
        "ProcSubset": "it reads the boot id, the uptime and the drivers in `/proc`",
        "IPAddressDeny": "a webhook may be anywhere",
    },
}


def rated(host: LabHost, units: Sequence[str]) -> dict[str, tuple[float, list[tuple[str, str]]]]:
    """Unit → its exposure, and the directives that are not as strict as they can be: key and how systemd writes it."""
    found = {}
    for unit in units:
        rows = json.loads(host.run(f"systemd-analyze security --no-pager --json=short {unit}").stdout)
        told = host.run(f"systemd-analyze security --no-pager {unit}").stdout
        overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        assert overall, told
        relaxed = [(row["json_field"], row["name"]) for row in rows if row["exposure"]]
        found[unit] = float(overall[1]), sorted(relaxed)
    return found


def table(ratings: Mapping[str, tuple[float, list[tuple[str, str]]]]) -> str:
    """What the documentation says of it; each relaxed directive with its reason, those of all units once.

    Raises:
        KeyError: of a directive nobody has said why.
    """
    lines = ["| unit | exposure | relaxed, besides what all have |", "|---|---|---|"]
    common: dict[str, str] = {}
    for unit, (exposure, relaxed) in ratings.items():
        own = []
        for key, name in relaxed:
            shown = f"`{name}`"
            if reason := _REASONS.get(unit, {}).get(key):
                # In a table a bar ends the cell, also within code.
                own.append(f"{shown}: {reason}".replace("|", r"\|"))
            else:
                common[shown] = _EVERYWHERE[key]
        lines.append(f"| `{unit}` | {exposure} | {'; '.join(own)} |")
    lines += ["", "All of them, or most:", ""]
    lines += [f"- {shown}: {reason}" for shown, reason in sorted(common.items())]
    return "\n".join(lines) + "\n"
