"""Running commands on the host, as root or, confined, as the build user."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from roles.contract.outbound import PROXY_VARIABLES
from roles.host.programs.confined import confined_command, sent, stop_leftovers
from roles.host.programs.console import HostError
from roles.host.programs.host_lock import host_lock_descriptors

LONGEST_TRY = 180.0
"""Seconds that the first try of what was installed may take: reading its libraries from a slow disk, not more."""
_KEPT_LINES = 25
_SHOWN = 100


def user_of(name: str | None) -> pwd.struct_passwd | None:
    """The user that a build runs as; none = the user of this program."""
    return pwd.getpwnam(name) if name else None


def run(
    command: Sequence[str],
    *,
    what: str,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    writable: Sequence[Path] = (),
    network: bool = False,
    devices: bool = False,
    longest: float | None = None,
) -> None:
    """Run a command to its end; each line of its output goes to `on_line`.

    Args:
        what: what the command does, for the message if it fails.
        user: the user to run as, confined in a unit; none = the user of this program, with all its rights.
        writable: the folders that the user may write to.
        network: let the user reach other hosts.
        devices: give the user access to the cards.
        longest: seconds after which it is killed; none = it may take any time.

    Raises:
        HostError: it cannot be started, takes too long, or ends with a status other than 0; with the last lines of its
            output.
    """
    account = user_of(user)
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    started, stdin = list(command), b""
    if account:
        if not network:
            # Third-party code that needs no proxy does not get to know its password.
            variables = {name: value for name, value in variables.items() if name not in PROXY_VARIABLES}
        variables |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
        stop_leftovers()
        started = confined_command(account, writable, network=network, devices=devices, folder=folder or Path("/"))
        stdin = sent(command, variables)
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    try:
        process = subprocess.Popen(
            started,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder or "/",
            env=variables,
            pass_fds=host_lock_descriptors(),
            # So that all of its processes can be killed: one that was left would keep its output open.
            process_group=None if longest is None else 0,
        )
    except OSError as error:
        raise HostError(f"{what}: cannot run {started[0]}: {error.strerror}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    with _ended_after(process, longest, confined=account is not None) as killed:
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(stdin)
        for line in io.TextIOWrapper(process.stdout, errors="replace"):
            last.append(line.rstrip())
            if on_line:
                on_line(line.rstrip())
        status = process.wait()
    if status != 0:
        shown = "\n".join(f"    {line}" for line in last if line)
        how = f"took longer than {longest:g} s and was killed" if killed.is_set() else f"ended with status {status}"
        raise HostError(f"{what} failed: `{' '.join(command[:4])[:_SHOWN]} …` {how}\n{shown}".rstrip())


@contextlib.contextmanager
def _ended_after(
    process: subprocess.Popen[bytes], longest: float | None, *, confined: bool
) -> Iterator[threading.Event]:
    """Kills the process, and those that it has started, should the block take longer; the event says that it did."""
    killed = threading.Event()
    if longest is None:
        yield killed
        return

    def end() -> None:
        killed.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if confined:
            # Its unit outlives the client.
            stop_leftovers()

    timer = threading.Timer(longest, end)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()
