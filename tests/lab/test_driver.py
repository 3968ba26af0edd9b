"""The graphics driver as part of a deploy: Debian's packages, the module compiled for Debian's kernel, the reboot.

There is no card, and a lab host runs on its machine's kernel: what is claimed ends where the module would be loaded.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.lab.conftest import NewHost
from tests.lab.deploys import OPERATIONS, deploy, failures, inventory_file, verdict
from tests.lab.driver_repository import HEADERS, KERNEL, KEY, make_package, make_repository
from tests.labhost import LabHost
from tests.labhost.faulty_mirror import FaultyMirror

pytestmark = pytest.mark.soak_only

DRIVER = "Install the NVIDIA driver"
ALL = [*OPERATIONS[:2], DRIVER, *OPERATIONS[2:]]
SOURCES = "/etc/apt/sources.list.d/ai-backend-nvidia-driver.sources"
WITH = """
from roles.options import NvidiaDriver
hosts = [lab_host(lab_stack().model_copy(update={{"driver": NvidiaDriver({options})}}))]
"""
_BOOT = "cat /proc/sys/kernel/random/boot_id"
_KERNELS = "ls -d /lib/modules/*-amd64 | xargs -n 1 basename"
_OF_DRIVER = "dpkg-query -W -f '${Package} ${Version}\\n' 'nvidia-*' 'libnvidia-*' libcuda1 'firmware-nvidia-*'"


@pytest.fixture(scope="module")
def host(new_module_host: NewHost) -> LabHost:
    return new_module_host("driver", prepared=True)


def held(host: LabHost) -> list[str]:
    return host.run("apt-mark showhold").stdout.split()


def test_a_driver_from_a_repository_like_nvidias_comes_goes_and_survives_a_killed_run(
    host: LabHost, mirror: FaultyMirror, tmp_path: Path
) -> None:
    digest = make_repository(mirror.folder, ["570.133.20-1", "580.95.05-1"])
    headers = make_package(tmp_path, HEADERS, "6.1").read_bytes()  # nothing is compiled here
    host.run("base64 -d > /tmp/headers.deb; dpkg -i /tmp/headers.deb", input=base64.b64encode(headers).decode())
    host.run("apt-mark hold curl")  # the administrator's
    curl = host.run("dpkg-query -W curl").stdout

    def inventory(version: str, sha256: str = digest) -> Path:
        key = f'UrlFile(url="{mirror.url}/{KEY}", sha256="{sha256}")'
        options = f'source="nvidia", repository="{mirror.url}", key={key}, version="{version}"'
        return inventory_file(tmp_path, WITH.format(options=options))

    refused = deploy(host, inventory=inventory("570", "0" * 64))
    assert refused.status != 0
    assert f"{mirror.url}/{KEY} is not the key that the inventory has the SHA-256 of" in refused.output
    assert host.run("dpkg-query -W nvidia-open", check=False).returncode != 0

    boot = host.run(_BOOT).stdout
    run = deploy(host, inventory=inventory("570")).must_pass()
    assert run.results()[DRIVER] == "Success"
    assert f"NVIDIA driver: built for {KERNEL}" in run.output
    assert host.run(_BOOT).stdout != boot
    assert host.run("dpkg-query -W -f '${Version}' nvidia-open").stdout == "570.133.20-1"
    assert held(host) == ["curl", "nvidia-kernel-open-dkms", "nvidia-open"]
    again = deploy(host, inventory=inventory("570")).must_pass()
    assert again.results() == dict.fromkeys(ALL, "No changes")

    # A newer one, and the run dies before the reboot: the next one knows that it is due.
    boot = host.run(_BOOT).stdout
    deploy(host, inventory=inventory("580"), at="NVIDIA driver: built for")
    assert host.run(_BOOT).stdout == boot
    run = deploy(host, inventory=inventory("580")).must_pass()
    assert "rebooted after" in run.output
    assert host.run("dpkg-query -W -f '${Version}' nvidia-open").stdout == "580.95.05-1"
    assert held(host) == ["curl", "nvidia-kernel-open-dkms", "nvidia-open"]
    assert failures(verdict(host)) == []

    gone = deploy(host).must_pass()
    assert gone.results()[DRIVER] == "Success"
    assert held(host) == ["curl"]
    assert host.run(f"ls {SOURCES}", check=False).returncode != 0
    assert host.run("dpkg-query -W -f '${Version}' nvidia-open").stdout == "580.95.05-1"
    assert host.run("dpkg-query -W curl").stdout == curl
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")


def test_the_driver_is_installed_and_held_and_the_host_rebooted_within_the_deploy(
    host: LabHost, tmp_path: Path
) -> None:
    inventory = inventory_file(tmp_path, WITH.format(options=""))
    host.run(f"dpkg --purge nvidia-open nvidia-kernel-open-dkms {HEADERS}; rm -rf /lib/modules/{KERNEL}", check=False)
    before, apt_files = host.run(_BOOT).stdout, host.run("sha256sum /etc/apt/sources.list").stdout
    host.run("apt-mark hold curl")  # the administrator's
    run = deploy(host, inventory=inventory).must_pass()
    assert run.results()[DRIVER] == "Success"
    assert "rebooted after" in run.output
    assert host.run(_BOOT).stdout != before
    kernel = host.run(_KERNELS).stdout.strip()
    assert f"NVIDIA driver: built for {kernel}. This is a container: the kernel that it runs on is not its own" in (
        run.output
    )
    host.run(f"modinfo -k {kernel} nvidia-current")
    assert "blacklist nouveau" in host.run("modprobe --showconfig").stdout
    assert host.run("ls /proc/driver/nvidia", check=False).returncode != 0
    versions = dict(line.split() for line in host.run(_OF_DRIVER).stdout.splitlines() if " " in line.strip())
    version = versions["nvidia-kernel-dkms"]
    assert sorted(held(host)) == sorted(["curl", *(name for name, has in versions.items() if has == version)])
    assert host.run("sha256sum /etc/apt/sources.list").stdout == apt_files
    assert failures(verdict(host)) == []

    again = deploy(host, inventory=inventory).must_pass()
    assert again.results() == dict.fromkeys(ALL, "No changes")

    loose = inventory_file(tmp_path, WITH.format(options="hold=False"))
    run = deploy(host, inventory=loose).must_pass()
    assert held(host) == ["curl"]
    assert "rebooted" not in run.output

    deploy(host, inventory=inventory_file(tmp_path, WITH.format(options=""))).must_pass()
    assert "nvidia-smi" in held(host)
    gone = deploy(host).must_pass()
    assert gone.results()[DRIVER] == "Success"
    assert held(host) == ["curl"]
    assert host.run(f"ls {SOURCES}", check=False).returncode != 0
    host.run(f"modinfo -k {kernel} nvidia-current")
    assert deploy(host).must_pass().results() == dict.fromkeys(OPERATIONS, "No changes")
