"""How a host program reports progress and failure."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable
from types import TracebackType

PROGRESS_SECONDS = 5
"""Pause between two lines of progress."""


_NOTED = 80
"""Characters of a step's output to show as its progress."""


_hidden: set[str] = set()


def keep_hidden(*words: str) -> None:
    """From here on no message has these in it, such as a password that a command may repeat."""
    _hidden.update(words)


def without_hidden(message: str) -> str:
    for word in sorted(_hidden, key=len, reverse=True):
        message = message.replace(word, "[not shown]")
    return message


class HostError(Exception):
    """Something on the host is not as it must be: the message names what, where and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(without_hidden(message))


_REMEDIES = {
    errno.ENOSPC: "make room there (`df -h`, `df -i`)",
    errno.EDQUOT: "make room there, or raise the quota",
    errno.EROFS: "the file system is read-only, as the kernel makes one whose disk fails: see `journalctl -k -p err`",
    errno.EIO: "its disk fails: see `journalctl -k -p err`",
}


def described(error: HostError | OSError) -> str:
    """The message for a refusal by the system: where, why, and what to do."""
    if isinstance(error, HostError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    why = error.strerror or str(error) or type(error).__name__
    return f"{where}{why}: {_REMEDIES.get(error.errno or 0, 'see to that')}, then run again"


def say(message: str) -> None:
    """Print a message for people. If the output is closed, the program still runs to its end."""
    with contextlib.suppress(OSError):
        print(without_hidden(message), flush=True)


def seconds(since: float) -> str:
    """`42 s` or `3 min 07 s` since a `time.monotonic()`."""
    total = int(time.monotonic() - since)
    return f"{total} s" if total < 120 else f"{total // 60} min {total % 60:02d} s"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


class Progress:
    """Reports every few seconds how far a long step is, while the `with` block runs.

    Args:
        how_far: called each time; none = the last note.
    """

    def __init__(self, title: str, how_far: Callable[[], str] | None = None) -> None:
        self._title = title
        self._noted = ""
        self._how_far = how_far or self._last_noted
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def note(self, line: str) -> None:
        """Remember how far the step is: a line of its output, or the start of a long one."""
        self._noted = line[:_NOTED]

    def _last_noted(self) -> str:
        return self._noted

    def _run(self) -> None:
        while not self._done.wait(PROGRESS_SECONDS):
            how_far = self._how_far()
            say(f"{self._title}: {how_far + ', ' if how_far else ''}{seconds(self._started)}")
