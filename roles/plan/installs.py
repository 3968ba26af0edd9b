"""What a host plan brings to the host, beside units and files: installs, and what they need of it."""

from __future__ import annotations

from dataclasses import dataclass

from roles.contract.generation import PlatformKey
from roles.contract.recipes import Recipe
from roles.options import GivenSecret, Gpus

MEGABYTE = 10**6


@dataclass(frozen=True)
class Install:
    """Something that is installed once, into a folder named by its digest, beside what is running.

    Attributes:
        name: its name in units: `<config>/install/<name>` links to its folder.
        title: shown to people while it is made.
        recipe: everything that its content depends on; its type says which installer makes it.
        needs: names of the installs that its recipe refers to.
        platform: facts of the host that its content depends on too.
        disk: bytes that it takes in the installs' folder, roughly, as measured on Debian 12.
        work_disk: bytes that making it takes in the cache, likewise, with empty caches.
        token: what fetching it needs. Its content does not depend on it.
        sent_from: path on the control machine of the file that is sent for it. Its content does not depend on it.
        machine: the processor that its programs are for, as `uname -m` prints it; none = any, or not known.
        cpu_flags: what an x86_64 processor must be able to for them, as /proc/cpuinfo names it.
        copies: how many copies of a model its server makes beside it, at most at one time. Likewise.
    """

    name: str
    title: str
    recipe: Recipe
    needs: tuple[str, ...] = ()
    platform: tuple[PlatformKey, ...] = ()
    disk: int = 0
    work_disk: int = 0
    token: GivenSecret | None = None
    sent_from: str | None = None
    machine: str | None = None
    cpu_flags: tuple[str, ...] = ()
    copies: int = 0

    @property
    def kind(self) -> str:
        return self.recipe.kind


@dataclass(frozen=True)
class PulledModel:
    """A model that a server fetches by itself from a registry, as OCI's distribution specification has them.

    Attributes:
        name: as the inventory has it.
        manifest_url: address of its manifest; its parts are below `blobs` beside `manifests`.
        digest: SHA-256 of the manifest; none = whatever the name refers to.
    """

    name: str
    manifest_url: str
    digest: str | None


@dataclass(frozen=True, kw_only=True)
class CardNeeds:
    """What a server needs of its cards and their driver.

    Attributes:
        what: what needs it, for people.
        gpus: the cards that it uses.
        count: how many of them at least.
        fewer: what to do with fewer.
        driver: NVIDIA's oldest driver; none = any.
        older: what to do with an older one, if no newer one is installed.
        capability: the lowest compute capability; none = any.
        instead: what to do with a lower one.
        toolkit: the CUDA toolkit of the host that compiles it: its folder, or empty for the one on PATH or in NVIDIA's
            folder; none = it needs none of the host's.
        compiles_for: whether that compiles for the cards of the host, and not for architectures that were given.
        shared_memory: bytes in /dev/shm.
    """

    what: str
    gpus: Gpus
    count: int = 1
    fewer: str = ""
    driver: str | None = None
    older: str = ""
    capability: str | None = None
    instead: str = ""
    toolkit: str | None = None
    compiles_for: bool = True
    shared_memory: int = 0
