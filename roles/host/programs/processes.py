"""Running commands on the host, as root or as the user who may only build."""

from __future__ import annotations

import collections
import os
import pwd
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from roles.host.programs.console import HostError
from roles.host.programs.turn import held_turn

_KEPT_LINES = 25


def user_of(name: str | None) -> pwd.struct_passwd | None:
    """The user that a build runs as; none = who runs this program."""
    return pwd.getpwnam(name) if name else None


def run(
    command: Sequence[str],
    *,
    what: str,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a command to its end; each line of its output goes to `on_line`.

    Args:
        what: what the command does, for the message when it fails.
        user: who it runs as; none = who runs this program.

    Raises:
        HostError: it can not be started or ends with a status other than 0; with the last lines of its output.
    """
    account = user_of(user)
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    if account:
        variables |= {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder or "/",
            env=variables,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            pass_fds=held_turn(),
        )
    except OSError as error:
        raise HostError(f"{what}: can not run {command[0]}: {error.strerror}") from None
    assert process.stdout is not None
    for line in process.stdout:
        last.append(line.rstrip())
        if on_line:
            on_line(line.rstrip())
    if (status := process.wait()) != 0:
        shown = "\n".join(f"    {line}" for line in last if line)
        raise HostError(f"{what} failed: `{' '.join(command[:4])} …` ended with status {status}\n{shown}")


def give_to(user: str | None, *paths: Path) -> None:
    """Make files and folders a user's own; none = leave them."""
    if account := user_of(user):
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def give_tree_to(user: str | None, folder: Path) -> None:
    """Make a whole tree a user's own; none = leave it."""
    if user_of(user) is None:
        return
    give_to(user, folder)
    for parent, folders, files in os.walk(folder):
        give_to(user, *(Path(parent, name) for name in (*folders, *files)))
