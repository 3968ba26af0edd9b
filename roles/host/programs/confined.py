"""Running what others have written: as the user who builds, in a unit of its own, writing to its own folder alone.

The unit lies in memory and goes by itself. Its client, `systemd-run`, waits for it and keeps the host lock meanwhile.
"""

from __future__ import annotations

import json
import pwd
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_UNIT = "ai-backend-build-"
"""How the names of the units begin."""
_FRAME = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    # A compiler or an unpacked program that goes wild takes neither the servers' memory nor the host's processes.
    "MemoryMax=80%",
    "TasksMax=8192",
    # All that it started ends with it: nothing is left that could change what it made.
    "KillMode=control-group",
    "TimeoutStopSec=10",
)
_START = """
import json, os, sys
sent = json.load(sys.stdin)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
try:
    os.execvpe(sent["command"][0], sent["command"], {**os.environ, **sent["environment"]})
except OSError as error:
    sys.exit(f"cannot run {sent['command'][0]}: {error.strerror}")
"""


def confined_command(
    account: pwd.struct_passwd, writable: Iterable[Path], *, network: bool, devices: bool, folder: Path
) -> list[str]:
    """What runs a command, sent to its standard input by `sent`, in a unit of its own.

    Args:
        writable: the folders that it may write to.
        network: without it there is not even the host's loopback.
        devices: let it see the cards.
    """
    frame = [
        *_FRAME,
        f"PrivateNetwork={'no' if network else 'yes'}",
        f"PrivateDevices={'no' if devices else 'yes'}",
        # What is fetched may be declared to come from a folder of somebody's home.
        f"ProtectHome={'read-only' if network else 'yes'}",
        *(f"ReadWritePaths={path}" for path in writable),
    ]
    return [
        "systemd-run", "--system", "--quiet", "--pipe", "--wait", "--collect", "--no-ask-password",
        f"--unit={_UNIT}{secrets.token_hex(4)}", "--description=What AI Unified Backend builds or tries",
        f"--uid={account.pw_uid}", f"--gid={account.pw_gid}", f"--working-directory={folder}",
        *(f"--property={line}" for line in frame),
        "/usr/bin/python3", "-I", "-c", _START,
    ]  # fmt: skip


def sent(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """The command and its variables. On the command line every user of the host could read them, of a unit too."""
    return json.dumps({"command": list(command), "environment": dict(environment)}).encode()


def stop_leftovers() -> None:
    """Stop the units of a run whose client was killed too, so that nobody waits for them."""
    subprocess.run(["systemctl", "stop", f"{_UNIT}*.service"], capture_output=True, check=False)
