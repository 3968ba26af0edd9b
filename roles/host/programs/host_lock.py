"""One program at a time on a host, whichever run started it.

A killed run may leave a step running on the host, which goes on to its end. The next run's steps wait for it, and
the host's own verification raises no alarm for what such a step breaks meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from roles.contract.generation import HOST_LOCK
from roles.host.programs.console import Progress
from roles.host.programs.files import make_folder

_held: set[int] = set()
_LONGEST = 300
"""Bytes to read of a step's description."""


@contextmanager
def one_at_a_time(state: str | None, step: str, who: str) -> Iterator[None]:
    """Keep the host lock while the block runs.

    Args:
        state: the layout's state folder; none = a program that does not need it.
        step: what is done, shown to programs that wait.
        who: who runs it.
    """
    if state is None:
        yield
        return
    make_folder(Path(state))
    descriptor = os.open(Path(state, HOST_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # Anyone who can read a file can hold a kernel lock on it forever; the version before left it readable for all.
        os.fchmod(descriptor, 0o600)
        _take(descriptor)
        # Also for the host's own verification, which sees by the file's time that a step has begun.
        with contextlib.suppress(OSError):  # on a full disk others do not see the step, and all else works
            os.ftruncate(descriptor, 0)
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            os.pwrite(descriptor, f"{step!r} of {who}, under way since {now}".encode(), 0)
        _held.add(descriptor)
        yield
    finally:
        _held.clear()
        os.close(descriptor)


def _take(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with Progress("waiting for another step on this host", lambda: _holder(descriptor)):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, _LONGEST, 0).decode(errors="replace") or "of an earlier run"


def host_lock_descriptors() -> Collection[int]:
    """Descriptors that children must inherit: if this program is killed, they keep the host lock until they end."""
    return _held
