"""`Lab`: the hosts of this machine as a whole. Create one, list them, remove what crashed programs left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.labhost import control, mirror_process
from tests.labhost.errors import LabError
from tests.labhost.guest import collect_packages
from tests.labhost.host import LabHost
from tests.labhost.image import DEFAULT_RELEASE, Progress, base_image, say
from tests.labhost.launch import launch
from tests.labhost.network import MIRROR_PORT, lab_subnet
from tests.labhost.paths import LabFolders, locked
from tests.labhost.programs import TO_BOOT_A_HOST, require
from tests.labhost.removal import remove_host
from tests.labhost.spec import HostSpec, Owner
from tests.labhost.ssh import ensure_key, write_ssh_config

_SECONDS_TO_START = 20.0


class Lab:
    """Throwaway Debian hosts on this machine. Several processes may use one lab at once."""

    def __init__(self, folders: LabFolders | None = None, progress: Progress = say) -> None:
        self.folders = folders or LabFolders.from_environment()
        self._progress = progress

    @property
    def ssh_config(self) -> Path:
        return self.folders.ssh_config

    @property
    def mirror_url(self) -> str:
        """Where hosts find the files of ``files/``, while any host made with ``mirror`` is up."""
        return f"http://{lab_subnet().gateway}:{MIRROR_PORT}"

    def create(
        self,
        name: str,
        *,
        release: str = DEFAULT_RELEASE,
        owner: int | None = None,
        disks: Sequence[Path] = (),
        nested: bool = False,
        mirror: bool = True,
        binds: Mapping[str, str] | None = None,
        read_only_binds: Mapping[str, str] | None = None,
        small_disks: Mapping[str, str] | None = None,
    ) -> LabHost:
        """Make a host, boot it and wait until it runs.

        ``owner`` is a process number: the host goes when that process does. Without one it stays until
        `destroy`. ``disks`` are kept ones of earlier hosts of that release (`LabHost.keep_disk`), the uppermost
        first: the host begins with what is on them, and does not change them. ``binds`` and
        ``read_only_binds`` map folders of this machine to paths in the host; ``small_disks`` maps paths in the
        host to the size of a disk of their own (``{"/opt/ai-backend": "200M"}``), to be filled by a test.
        ``nested`` gives the host what it takes to run a lab of its own.
        """
        require(TO_BOOT_A_HOST)
        if mirror:
            mirror_process.require_libraries()
        spec = HostSpec(
            name=name,
            release=release,
            image=str(base_image(self.folders, release, self._progress)),
            disks=[str(disk) for disk in disks],
            nested=nested,
            binds=dict(binds or {}),
            read_only_binds=dict(read_only_binds or {}),
            small_disks=dict(small_disks or {}),
            owner=Owner.of(owner) if owner is not None else None,
        )
        with locked(self.folders.lock):
            self._sweep()
            self._start_supervisor(spec)
        host = LabHost(self.folders, name)
        try:
            host.wait_until_running()
            if mirror:
                mirror_process.ensure(self.folders)
        except BaseException:
            with contextlib.suppress(LabError):
                host.destroy()
            raise
        return host

    def host(self, name: str) -> LabHost:
        """The host of that name; `LabError` when there is none."""
        return LabHost(self.folders, name)

    def list(self) -> list[LabHost]:
        """Every host with a living supervisor, by name."""
        hosts = self.folders.hosts
        names = sorted(path.name for path in hosts.iterdir()) if hosts.exists() else []
        found = []
        for name in names:
            with contextlib.suppress(LabError):  # another process may remove it meanwhile
                if self._is_alive(name):
                    found.append(LabHost(self.folders, name))
        return found

    def sweep(self) -> None:
        """Remove what is left of hosts whose supervisor was killed."""
        with locked(self.folders.lock):
            self._sweep()

    def _sweep(self) -> None:
        self.folders.hosts.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folders.hosts.iterdir()):
            if not self._is_alive(path.name):
                self._progress(f"lab: removing what is left of host {path.name}")
                self._collect_packages(path.name)
                remove_host(self.folders, path.name)

    def _collect_packages(self, name: str) -> None:
        folder = self.folders.host(name)
        if folder.spec.exists():
            collect_packages(self.folders.apt_archives(HostSpec.load(folder).release), folder.upper)

    def _is_alive(self, name: str) -> bool:
        return control.is_alive(self.folders.host(name).control)

    def _start_supervisor(self, spec: HostSpec) -> None:
        folder = self.folders.host(spec.name)
        if folder.path.exists():
            raise LabError(f"there is a lab host {spec.name!r} already: `python -m tests.labhost down {spec.name}`")
        ensure_key(self.folders)
        folder.path.mkdir(mode=0o700)
        spec.save(folder)
        write_ssh_config(self.folders)
        launch(self.folders, f"ai-backend-lab-{spec.name}", "tests.labhost.supervisor", spec.name, log=folder.log)
        deadline = time.monotonic() + _SECONDS_TO_START
        while not control.is_alive(folder.control):
            if time.monotonic() > deadline:
                said = folder.log.read_text().strip() if folder.log.exists() else "nothing"
                remove_host(self.folders, spec.name)
                raise LabError(f"the supervisor of host {spec.name} does not start; it said: {said}")
            time.sleep(0.02)
