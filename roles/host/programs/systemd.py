"""The systemd manager that runs the units: the system's, or the user's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from roles.host.programs.console import HostError

_LOG_LINES = 15
_SEARCHED_LINES = 200
_CAUSES = 4
_FAILURE = re.compile(r"\b(error|fatal|fail(ed|s)?|unable|cannot|no space)\b", re.IGNORECASE)
_CAUSE = re.compile(r"\b[A-Za-z]*(Error|Exception): \S|\b(error|fatal): \S", re.IGNORECASE)


def process_variable(pid: str, name: str) -> str | None:
    """A variable of a process's environment at its start; None = it is not running, or lacks the variable."""
    with contextlib.suppress(OSError):
        for variable in Path("/proc", pid, "environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{name}=".encode()):
                return variable.split(b"=", 1)[1].decode(errors="backslashreplace")
    return None


def _properties(shown: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


class Manager:
    """`systemctl` and `journalctl` of one scope, `system` or `user`.

    Args:
        user: another user, whose manager it is: only root can ask it.
    """

    def __init__(self, scope: str, user: str | None = None) -> None:
        self._scope = scope
        self._flags = ["--user"] if scope == "user" else []
        # A login over ssh sets it; a command through su or cron does not.
        self._environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}
        self._as: tuple[str, ...] = ()
        if user:
            self._environment["XDG_RUNTIME_DIR"] = f"/run/user/{pwd.getpwnam(user).pw_uid}"
            # With its rights: root's own would follow links that it has made.
            self._as = ("runuser", "-u", user, "--")

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        # Log lines may contain any bytes.
        try:
            return subprocess.run(
                [*self._as, *command],
                capture_output=True,
                text=True,
                errors="backslashreplace",
                check=False,
                env=self._environment,
            )
        except FileNotFoundError:
            return subprocess.CompletedProcess(command, 127, "", f"there is no {command[0]} on this host")

    def call(self, *arguments: str) -> None:
        """`systemctl …`.

        Raises:
            HostError: with systemctl's message.
        """
        done = self._run("systemctl", *self._flags, *arguments)
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
            raise HostError(f"systemctl {' '.join(arguments)}: {said}")

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        shown = self._run("systemctl", *self._flags, "show", f"--property={','.join(names)}", unit).stdout
        return _properties(shown)

    def shown(self, units: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Unit → its properties, for several at once; a unit unknown to systemd has them too."""
        if not units:
            return {}
        shown = self._run("systemctl", *self._flags, "show", f"--property={','.join(('Id', *names))}", *units).stdout
        blocks = (_properties(block) for block in shown.strip().split("\n\n"))
        return {block["Id"]: block for block in blocks if "Id" in block}

    @property
    def unit_path(self) -> tuple[str, ...]:
        """The folders of unit files, the one that counts most first."""
        shown = self._run("systemctl", *self._flags, "show", "--property=UnitPath", "--value").stdout
        return tuple(shown.split())

    @property
    def version(self) -> str | None:
        """None if the manager does not answer."""
        return self._run("systemctl", *self._flags, "show", "--property=Version", "--value").stdout.strip() or None

    def variable(self, unit: str, name: str) -> str | None:
        """A variable of the environment at the start of the unit's process; None = it is not running, or lacks
        the variable."""
        return process_variable(self.properties(unit, "MainPID").get("MainPID", "0"), name)

    @property
    def runtime(self) -> Path:
        """The folder that contains the units' `RuntimeDirectory=`."""
        return Path(self._environment["XDG_RUNTIME_DIR"] if self._scope == "user" else "/run")

    def last_log_lines(self, unit: str) -> str:
        """The unit's last log lines, indented; if the journal cannot be read, where to look."""
        lines = self._log(unit)
        if not lines:
            flags = " ".join(["", *self._flags])
            return f"    (no log lines; see `journalctl{flags} --unit {unit}` on the host)"
        last = lines[-_LOG_LINES:]
        # Servers with several processes log the cause first, and then at length that something failed.
        causes = [line for line in dict.fromkeys(lines[:-_LOG_LINES]) if _CAUSE.search(line)][-_CAUSES:]
        return _indented([*causes, *(["…"] if causes else []), *last])

    def failures_in_log(self, unit: str, since: str) -> str:
        """Lines of the unit's log in which something failed, indented; empty = none.

        Args:
            since: a time as systemd prints it.
        """
        lines = self._log(unit, *(["--since", since] if since else []))
        return _indented([line for line in dict.fromkeys(lines) if _FAILURE.search(line)][-_CAUSES:])

    def journal(self, units: Sequence[str], *more: str) -> Iterator[str]:
        """The units' entries, each as JSON, as long as the caller takes any: the oldest first, if `more` says no other.

        A user whom the journal is kept from has none.

        Args:
            more: further arguments of journalctl.
        """
        which = [*(f"--unit={unit}" for unit in units), "--output=json", "--no-pager", "--quiet", *more]
        with subprocess.Popen(
            [*self._as, "journalctl", *self._flags, *which],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="backslashreplace",
            env=self._environment,
        ) as process:
            try:
                yield from process.stdout or ()
            finally:
                process.kill()

    def _log(self, unit: str, *more: str) -> list[str]:
        """Its last lines, oldest first."""
        which = ["--unit", unit, "--lines", str(_SEARCHED_LINES), *more, "--no-pager", "--output", "cat"]
        shown = self._run("journalctl", *self._flags, *which).stdout
        return [line for line in shown.splitlines() if line.strip() and line != "-- No entries --"]


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line[:300]}" for line in lines)
