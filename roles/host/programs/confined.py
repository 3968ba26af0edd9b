"""Running third-party code: as the build user, in its own unit, with write access to its own folders only.

The unit is transient and disappears by itself. Its client, `systemd-run`, waits for it and keeps the host lock
meanwhile.
"""

from __future__ import annotations

import json
import pwd
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_UNIT = "ai-backend-build-"
"""Prefix of the units' names."""
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
    # A runaway compiler or unpacked program takes neither the servers' memory nor all of the host's processes.
    "MemoryMax=80%",
    "TasksMax=8192",
    # All processes that it started end with it: none is left that could change its output.
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
    """The command that runs another command in its own unit; `sent` passes that other command on standard input.

    Args:
        writable: the folders that it may write to.
        network: without it there is no network, not even the host's loopback.
        devices: give it access to the cards.
    """
    frame = [
        *_FRAME,
        f"PrivateNetwork={'no' if network else 'yes'}",
        f"PrivateDevices={'no' if devices else 'yes'}",
        # A download may be declared to come from a folder in a home.
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
    """The command and its variables. A command line would expose them to every user of the host; so would a unit's."""
    return json.dumps({"command": list(command), "environment": dict(environment)}).encode()


def stop_leftovers() -> None:
    """Stop the units of a run whose client was killed too, so that no step waits for them."""
    subprocess.run(["systemctl", "stop", f"{_UNIT}*.service"], capture_output=True, check=False)
