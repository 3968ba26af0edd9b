"""Names of others: users, packages, processes, in any bytes."""

from __future__ import annotations

import pwd
import subprocess
from pathlib import Path


def printable(name: str) -> str:
    """A foreign name on one line, with each unprintable character as its escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def decoded(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def user_name(uid: int) -> str:
    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def dpkg_owner(path: Path) -> str | None:
    """The Debian package that brought a file."""
    if not path.is_relative_to("/usr") and not path.is_relative_to("/lib") and not path.is_relative_to("/etc"):
        return None
    try:
        done = subprocess.run(["dpkg-query", "--search", str(path)], capture_output=True, check=False)
    except OSError:
        return None
    # "redis-server: /lib/…"; with its architecture where several are installed.
    return printable(decoded(done.stdout).partition(":")[0]) if done.returncode == 0 else None
