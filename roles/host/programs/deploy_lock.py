"""The deploy lock: one deploy per host at a time. It is a folder, as each step of a deploy is a process of its own.

It exists with its holder's name in it, or not at all. A lock without a readable name was left by an older version on
a full disk, and blocks nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from roles.contract.requests import AcquireLock, Holder, ReleaseLock
from roles.host.programs.console import HostError, say
from roles.host.programs.files import make_folder, sync_folder, write_atomic

HOLDER = "holder.json"
_LOCK = "lock"
GUARD = ".lock-guard"
"""Both are in the state folder."""


def main(request: AcquireLock | ReleaseLock) -> None:
    match request:
        case AcquireLock():
            _acquire(Path(request.folder), request.holder, request.take_over)
        case ReleaseLock():
            _release(Path(request.folder), request.id)


def require(state: str | None, holder_id: str | None) -> None:
    """Stop a step whose run no longer holds the lock.

    Args:
        state: the layout's state folder; none = a program that changes nothing under the lock.
        holder_id: none = a step outside of a deploy, which holds no lock.

    Raises:
        HostError: the lock is gone, or another run holds it.
    """
    if state is None or holder_id is None:
        return
    present = holder_of(Path(state, _LOCK))
    if present is None or present.get("id") != holder_id:
        whose = f"is held by {described(present)} now" if present else "is gone: it was broken, with deploys/unlock.py"
        raise HostError(
            f"this run has lost the deploy lock, which {whose}. It ends here; what it has done so far stays, and "
            "nothing is half done. Run again when no other deploy is under way"
        )


def holder_of(folder: Path) -> dict[str, str] | None:
    """The lock's holder; empty = a lock that names none, none = there is no lock."""
    if not folder.is_symlink() and not folder.exists():
        return None
    file = folder / HOLDER
    try:
        # Read regular files only: reading others, such as a pipe, may never end.
        return parse_holder(file.read_bytes() if file.is_file() else b"")
    except OSError:
        return {}


def parse_holder(content: bytes) -> dict[str, str]:
    """Empty if the content names no holder."""
    try:
        holder = json.loads(content.decode())
        texts = {key: value for key, value in holder.items() if isinstance(value, str)}
        "".join(texts.values()).encode()
    except (ValueError, AttributeError, RecursionError):
        return {}
    return texts if texts.get("id") else {}


def described(holder: Mapping[str, str]) -> str:
    return f"{holder.get('who', 'somebody')} since {holder.get('since', 'an unknown time')}"


def _acquire(folder: Path, holder: Holder, take_over: str | None) -> None:
    """Take the lock, or take it over from a holder that is known to be dead."""
    holder = {**holder, "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    make_folder(folder.parent)
    with _alone(folder.parent):
        present = holder_of(folder)
        if present and present["id"] != take_over and present.get("boot_id") in (None, holder["boot_id"]):
            raise HostError(
                f"this host is being deployed by {described(present)}. Wait for it, or, if that run is dead, "
                "break its lock with deploys/unlock.py"
            )
        if present == {}:
            say(f"{folder} does not say who holds it, so nobody does: taken over")
        new = folder.with_name(f".{_LOCK}-{secrets.token_hex(4)}")
        try:
            new.mkdir(mode=0o755)
            write_atomic(new / HOLDER, json.dumps(holder).encode(), 0o644)
            _remove(folder)
            new.rename(folder)
        except BaseException as error:
            shutil.rmtree(new, ignore_errors=True)
            if isinstance(error, OSError):
                error.filename = str(folder)  # the name that people know
            raise
        sync_folder(folder.parent)


def _release(folder: Path, holder_id: str | None) -> None:
    """Remove the lock if it has that holder; none = any holder."""
    if not folder.parent.is_dir():
        return
    with _alone(folder.parent):
        present = holder_of(folder)
        if present is not None and (holder_id is None or present.get("id") == holder_id):
            _remove(folder)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Let one program at a time look at the lock and change it."""
    # Only its owner may open it: anyone who can read a file can hold a kernel lock on it forever.
    descriptor = os.open(state / GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Rename it first, so that there is never half a lock; also remove what killed runs have left here."""
    if folder.is_symlink() or folder.exists():
        folder.rename(folder.with_name(f".{_LOCK}-gone-{secrets.token_hex(4)}"))
    for gone in folder.parent.glob(f".{_LOCK}-gone-*"):
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
        else:
            gone.unlink()
