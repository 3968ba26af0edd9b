"""Puts a lab host into the state of another: a driver that says what was recorded, cards that the kernel shows, a
distribution, another first process; and takes it away again.

The files that the project's programs read lie in /proc, /sys and /etc: they are mounted over for as long as the state
is wanted. Nothing of the project is replaced.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tests.lab.test_gpu_host import install_driver
from tests.labhost import LabHost
from tests.labhost.paths import REPOSITORY

RECORDINGS = REPOSITORY / "tests/unit/gpu_recordings"
NVIDIA = "0x10de"
_PORT = 2222
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ANOTHER_SYS = f"""
mkdir -p /run/sys; mount --rbind /sys /run/sys; mount -t tmpfs shown /sys
for each in /run/sys/*; do
    [ $each = /run/sys/firmware ] || {{ mkdir /sys/${{each##*/}}; mount --rbind $each /sys/${{each##*/}}; }}
done
mkdir -p {_SECURE_BOOT.rpartition("/")[0]}; printf '\\006\\0\\0\\0\\001' > {_SECURE_BOOT}
"""
"""The kernel lets nobody make a folder in /sys: where there is no EFI, the whole is mounted anew, with its parts."""


class CardHost:
    """A lab host, and what it is made to look like.

    Attributes:
        data: what an inventory has to say of the host to reach it in that state.
    """

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.data: dict[str, Any] = {}
        self._undo: list[str] = []

    def says(self, case: str = "one_card", replace: Mapping[str, str] | None = None) -> None:
        """Its driver's program says what was recorded, but for some words."""
        install_driver(self.host, seconds=0, recording=RECORDINGS / case, replace=replace)
        self._undo.append("rm -rf /usr/local/bin/nvidia-smi /opt/recording")

    def drives(self, case: str) -> None:
        """The kernel runs the driver's module that was recorded."""
        version = (RECORDINGS / case / "root/proc/driver/nvidia/version").read_text()
        self.shows("/proc/driver", {"nvidia/version": version})

    def has_card(self, vendor: str = NVIDIA, driver: str = "nvidia") -> None:
        """A display controller is on its PCI bus, with a driver of the kernel."""
        card = "devices/0000:01:00.0"
        self.shows("/sys/bus/pci", {f"{card}/vendor": f"{vendor}\n", f"{card}/class": "0x030000\n"})
        self.host.run(f"ln -s ../../drivers/{driver} /sys/bus/pci/{card}/driver")

    def has_amd_card(self) -> None:
        """One that ROCm's part of the kernel knows, as recorded."""
        root = RECORDINGS / "amd_one_card/root/sys/class"
        files = (path for path in root.rglob("*") if path.is_file())
        self.shows("/sys/class", {str(path.relative_to(root)): path.read_text() for path in files})

    def has_module(self, name: str, content: str) -> None:
        """A file of the running kernel's modules."""
        path = f"/lib/modules/$(uname -r)/{name}"
        self.host.run(f"mkdir -p $(dirname {path}) && cat > {path}", input=content)
        self._undo.append("rm -rf /lib/modules/$(uname -r)")

    def shows(self, folder: str, files: Mapping[str, str]) -> None:
        """The folder has these files, and no others."""
        self.does(f"mount -t tmpfs shown {folder}", f"umount {folder}")
        for name, content in files.items():
            path = shlex.quote(f"{folder}/{name}")
            self.host.run(f"mkdir -p $(dirname {path}) && cat > {path}", input=content)

    def reads(self, path: str, content: str) -> None:
        """A file has other content."""
        self.host.run("cat > /run/shown", input=content)
        self.does(f"mount --bind /run/shown {path}", f"umount {path}; rm /run/shown")

    def is_of_32_bits(self) -> None:
        """Its kernel calls the processor i686, to everything that a login starts."""
        folder = "/run/systemd/system/ssh.service.d"
        restart = "systemctl daemon-reload; systemctl restart ssh"
        unit = "[Service]\\nPersonality=x86\\n"
        self.does(f"mkdir -p {folder}; printf '{unit}' > {folder}/32.conf; {restart}", f"rm -r {folder}; {restart}")

    def boots_securely(self) -> None:
        """Its firmware lets only signed code start. What is to be seen in /sys besides has to be there before."""
        self._answers_from("--mount", _ANOTHER_SYS)

    def has_no_systemd(self) -> None:
        """The first process is another, which is the server for logins."""
        self._answers_from("--mount --pid --fork --mount-proc", "mount -t tmpfs shown /run/systemd")

    def _answers_from(self, namespaces: str, script: str) -> None:
        """Logins come to a server of their own, in namespaces that a script prepares."""
        ready = f"timeout 20 sh -c 'until ss -tln | grep -q :{_PORT}; do sleep 0.1; done'"
        # In a file: systemd would fill in the variables of a command by itself.
        self.host.run("cat > /run/answers.sh", input=f"set -e; {script}\nexec /usr/sbin/sshd -D -p {_PORT}\n")
        unit = "systemd-run --quiet --collect --unit answers -p KillMode=control-group"
        self.does(f"{unit} unshare {namespaces} sh /run/answers.sh; {ready}", "systemctl stop answers")
        self.data = {"ssh_port": _PORT}

    def does(self, do: str, undo: str) -> None:
        """A command, and the one that takes back what it does."""
        self._undo.append(undo)
        self.host.run(do)

    def undo(self) -> None:
        for command in reversed(self._undo):
            self.host.run(command, check=False)


@contextlib.contextmanager
def card_host(host: LabHost) -> Iterator[CardHost]:
    """What is done to the host within is undone at the end."""
    made = CardHost(host)
    try:
        yield made
    finally:
        made.undo()
