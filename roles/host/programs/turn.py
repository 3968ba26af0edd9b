"""One program at a time on a host, whoever started it.

A run that is killed may leave a step running on the host, which goes on to its end. The next run's steps wait for it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from roles.host.programs.console import say
from roles.host.programs.files import make_folder

_held: set[int] = set()


@contextmanager
def one_at_a_time(state: str | None) -> Iterator[None]:
    """Hold the host's turn while the block runs.

    Args:
        state: the layout's state folder; none = a program that needs no turn.
    """
    if state is None:
        yield
        return
    make_folder(Path(state))
    with Path(state, "turn").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("a step of an earlier run is still under way on this host, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        _held.add(file.fileno())
        try:
            yield
        finally:
            _held.clear()


def held_turn() -> Collection[int]:
    """Descriptors that children must inherit: should this program be killed, they hold its turn until they end."""
    return _held
