"""Where the lab keeps things, and the two habits that keep several processes from tripping over each other.

Several programs use one lab at once (pytest, a demo, xdist workers), so whatever is written is written
beside and renamed, and whatever is decided (a name, an address, an image to build) is decided under a file
lock.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER_VARIABLE = "AI_BACKEND_LAB_DIR"


@dataclass(frozen=True)
class LabFolders:
    """The lab's tree. ``root`` is ``$AI_BACKEND_LAB_DIR``, else ``~/.cache/ai-backend-lab``."""

    root: Path

    @classmethod
    def from_environment(cls) -> LabFolders:
        chosen = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(chosen).resolve() if chosen else Path.home() / ".cache" / "ai-backend-lab")

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def files(self) -> Path:
        """What the file mirror serves."""
        return self.root / "files"

    @property
    def hosts(self) -> Path:
        return self.root / "hosts"

    @property
    def ssh_key(self) -> Path:
        return self.root / "ssh_key"

    @property
    def ssh_config(self) -> Path:
        return self.root / "ssh_config"

    @property
    def lock(self) -> Path:
        """Guards host names, the ssh key and ``ssh_config``."""
        return self.root / "lab.lock"

    @property
    def mirror_log(self) -> Path:
        return self.root / "mirror.log"

    @property
    def mirror_lock(self) -> Path:
        """Held by the running file mirror for as long as it lives."""
        return self.root / "mirror.lock"

    @property
    def llama_cpp(self) -> Path:
        """A build of llama.cpp of this machine's own, for what tests run beside the hosts."""
        return self.root / "cache" / "llama-cpp"

    def host(self, name: str) -> HostFolder:
        return HostFolder(self.hosts / name)

    def deploy_caches(self, release: str, guest: str = "/var/cache/ai-backend") -> dict[str, str]:
        """Folder here -> folder below ``guest``: the caches of deploys that every host of a release shares.

        Only those of uv and ccache, which are made for several users at once. Build trees and half fetched files are
        not. Folders that are missing here are made.
        """
        shared = {}
        for name in ("uv", "ccache"):
            folder = self.root / "cache" / release / "ai-backend" / name
            folder.mkdir(parents=True, exist_ok=True)
            shared[str(folder)] = f"{guest}/{name}"
        return shared

    def apt_archives(self, release: str) -> Path:
        """Debian packages that hosts of a release have fetched before."""
        return self.root / "cache" / release / "apt-archives"


@dataclass(frozen=True)
class HostFolder:
    """What belongs to one host and goes away with it."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "host.json"

    @property
    def live(self) -> Path:
        """Written by the supervisor once the host has an address."""
        return self.path / "live.json"

    @property
    def control(self) -> Path:
        """The supervisor's Unix socket: whoever can connect to it knows that the supervisor lives."""
        return self.path / "control"

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def log(self) -> Path:
        return self.path / "supervisor.log"

    @property
    def disk(self) -> Path:
        """Holds ``upper`` and ``work``; a tmpfs where the lab itself lies on an overlay."""
        return self.path / "disk"

    @property
    def upper(self) -> Path:
        return self.disk / "upper"

    @property
    def work(self) -> Path:
        return self.disk / "work"

    @property
    def merged(self) -> Path:
        """The host's root, mounted only in the supervisor's own mount namespace."""
        return self.path / "merged"

    @property
    def small_disks(self) -> Path:
        return self.path / "small-disks"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the kernel lets go of it when this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace ``path`` in one step, so that a reader sees the old text or the new one."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
