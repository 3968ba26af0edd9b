"""The process that keeps one host: ``python -m tests.labhost.supervisor NAME``.

It mounts the host's disk, plugs it into the network, runs systemd-nspawn and runs it again when the host
reboots. It ends on request, on SIGTERM, and when the host's owner dies, however that dies; then it takes
everything down. Its mounts and network namespace are its own and go with it and its host; so even after a
SIGKILL of the supervisor only processes, a folder and a link are left, which `Lab.sweep` removes.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.labhost import cgroup, control, guest, network
from tests.labhost.errors import LabError
from tests.labhost.paths import HostFolder, LabFolders, locked
from tests.labhost.programs import run_program
from tests.labhost.removal import remove_host
from tests.labhost.spec import HostSpec, Live
from tests.labhost.ssh import write_ssh_config

_REBOOT_STATUS = 133  # how systemd-nspawn ends when its host asked for a reboot
_TICK_SECONDS = 0.1
_JOIN_GROUPS_AND_RUN = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


class Supervisor:
    """One host's life, from its disk to its removal."""

    def __init__(self, folders: LabFolders, spec: HostSpec) -> None:
        self._folders = folders
        self._folder: HostFolder = folders.host(spec.name)
        self._spec = spec
        self._live: Live | None = None
        self._groups: list[Path] = []
        self._mounts: list[Path] = []
        self._machine: subprocess.Popen[bytes] | None = None
        self._delay_line: subprocess.Popen[str] | None = None
        self._boots = 0
        self._exit_status: int | None = None
        self._failure: str | None = None
        self._ending = False
        self._keep: Path | None = None
        """Where the host's disk goes at its end."""

    def run(self) -> None:
        """Live until the end of the host."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        with closing(control.listen(self._folder.control)) as server:
            try:
                self._build()
                self._power_on()
            except Exception as error:  # whatever it is: the creator asks for it, and then ends this host
                traceback.print_exc()
                self._failure = str(error)
            try:
                last_words = self._serve(server)
            finally:
                self._tear_down()
            if last_words is not None:
                control.reply(last_words)  # its other end sees the end of the file when this process is gone

    def _on_sigterm(self, *_: object) -> None:
        self._ending = True

    # building and taking down

    def _build(self) -> None:
        folder, spec = self._folder, self._spec
        for path in (folder.disk, folder.merged):
            path.mkdir()
        if run_program("stat", "--file-system", "--format=%T", str(folder.path)).strip() == "overlayfs":
            self._mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder.disk)  # no overlay above an overlay
        for path in (folder.upper, folder.work):
            path.mkdir()
        guest.lend_packages(self._folders.apt_archives(spec.release), folder.upper)
        lower = ":".join([*spec.disks, spec.image])
        # redirect_dir: a folder of a kept disk can be renamed, as on the disk of a real host.
        layers = f"lowerdir={lower},upperdir={folder.upper},workdir={folder.work},redirect_dir=on"
        self._mount("-t", "overlay", "-o", layers, "overlay", folder.merged)
        for number, size in enumerate(spec.small_disks.values()):
            disk = folder.small_disks / str(number)
            disk.mkdir(parents=True)
            self._mount("-t", "tmpfs", "-o", f"mode=0755,size={size}", "tmpfs", disk)
        # nspawn's own runtime folder must be on a tmpfs; a private one keeps hosts out of each other's way as well.
        runtime = Path("/run/systemd/nspawn")
        runtime.mkdir(parents=True, exist_ok=True)
        run_program("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(runtime))

        self._groups = cgroup.choose(spec.name)
        link = network.attach(f"lab-{spec.name}")
        self._live = Live(link, tuple(map(str, self._groups)))
        guest.furnish(folder.merged, spec.name, link, self._folders.ssh_key.with_suffix(".pub").read_text())
        self._live.save(folder)
        with locked(self._folders.lock):
            write_ssh_config(self._folders)

    def _mount(self, *arguments: str | Path) -> None:
        run_program("mount", *map(str, arguments))
        self._mounts.append(Path(arguments[-1]))

    def _tear_down(self) -> None:
        self._normal_link()
        self._cut_power()
        guest.collect_packages(self._folders.apt_archives(self._spec.release), self._folder.upper)
        for mount in reversed(self._mounts):
            if self._keep and mount == self._folder.merged:
                run_program("umount", str(mount))  # now, not lazily: nothing is to be written to it any more
                run_program("mv", "--no-target-directory", str(self._folder.upper), str(self._keep))
                continue
            run_program("umount", "--lazy", str(mount))
        with locked(self._folders.lock):
            remove_host(self._folders, self._spec.name)

    # the machine

    def _power_on(self) -> None:
        assert self._live is not None
        cgroup.make_fresh(self._groups)
        with self._folder.console.open("ab") as console:
            self._machine = subprocess.Popen(
                (
                    *("sh", "-c", _JOIN_GROUPS_AND_RUN, "sh", *map(str, self._groups), "--"),
                    *self._nspawn(self._live.link.namespace),
                ),
                env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},  # /proc/sys/net, as on a server
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._boots += 1
        self._exit_status = None

    def _nspawn(self, namespace: str) -> list[str]:
        spec, folder = self._spec, self._folder
        caches = self._folders.deploy_caches(spec.release)
        small_disks = {str(folder.small_disks / str(n)): path for n, path in enumerate(spec.small_disks)}
        binds = {**caches, **small_disks, **spec.binds}
        return [
            "systemd-nspawn",
            "--quiet",
            "--settings=no",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=read-only",
            "--link-journal=no",
            "--resolv-conf=off",  # `guest.furnish` wrote one
            "--timezone=off",
            f"--directory={folder.merged}",
            f"--machine={spec.name}",
            f"--network-namespace-path=/run/netns/{namespace}",
            *(f"--bind={source}:{target}" for source, target in binds.items()),
            *(f"--bind-ro={source}:{target}" for source, target in spec.read_only_binds.items()),
            # Its firewall is its own, as the network namespace is.
            f"--capability={'all' if spec.nested else 'CAP_NET_ADMIN'}",
            "systemd.show_status=yes",  # an argument of its systemd's: say on the console what starts and fails
        ]

    def _cut_power(self) -> None:
        cgroup.kill(self._groups)
        if self._machine is not None:
            self._exit_status = self._machine.wait()
            self._machine = None

    def _watch_machine(self) -> None:
        if self._machine is None or (status := self._machine.poll()) is None:
            return
        self._machine = None
        self._exit_status = status
        if status == _REBOOT_STATUS:
            self._power_on()
        else:
            cgroup.kill(self._groups)  # a container outlives a systemd-nspawn that was killed

    # the link

    def _slow_link(self, milliseconds: float) -> None:
        assert self._live is not None
        self._normal_link()
        device, tap = self._live.link.device, f"labtap{self._live.link.number}"
        self._delay_line = subprocess.Popen(
            (
                *("setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.labhost.delay_line"),
                *(device, tap, str(milliseconds)),
            ),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._delay_line.stdout is not None
        if self._delay_line.stdout.readline() != "ready\n":
            self._normal_link()
            raise LabError(f"host {self._spec.name}: no delay line; see {self._folder.log}")
        network.detour(self._live.link, tap)

    def _normal_link(self) -> None:
        if self._delay_line is None or self._live is None:
            return
        self._delay_line.kill()
        self._delay_line.communicate()
        self._delay_line = None
        network.end_detour(self._live.link)

    # requests

    def _serve(self, server: socket.socket) -> socket.socket | None:
        """Answer requests until the end; return the connection that asked for the end, if one did."""
        while not self._ending:
            if self._spec.owner is not None and not self._spec.owner.lives():
                return None
            self._watch_machine()
            readable, _, _ = select.select([server], [], [], _TICK_SECONDS)
            if readable:
                connection, _ = server.accept()
                if self._answer(connection):
                    return connection
                connection.close()
        return None

    def _answer(self, connection: socket.socket) -> bool:
        """Do what is asked; True when that is to end."""
        connection.settimeout(5)
        try:
            request = control.receive(connection)
            if request is None:
                return False
            if request["verb"] == "destroy":
                self._keep = Path(request["keep"]) if request.get("keep") else None
                return True
            control.reply(connection, **self._obey(request))
        except LabError as error:
            control.reply(connection, error=str(error))
        except OSError:
            traceback.print_exc()  # the asker went away
        return False

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["verb"]:
            case "describe":
                pass
            case "boot":
                if self._machine is None:
                    self._power_on()
            case "cut_power":
                self._cut_power()
            case "slow_link":
                self._slow_link(request["milliseconds"])
            case "normal_link":
                self._normal_link()
            case verb:
                raise LabError(f"a supervisor cannot {verb}")
        return {
            "running": self._machine is not None,
            "boots": self._boots,
            "exit_status": self._exit_status,
            "failure": self._failure,
        }


def main(name: str) -> None:
    os.umask(0o022)
    folders = LabFolders.from_environment()
    Supervisor(folders, HostSpec.load(folders.host(name))).run()


if __name__ == "__main__":
    main(sys.argv[1])
