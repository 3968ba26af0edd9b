"""What is read of a driver: kernels, packages, keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.contract.driver import DriverRecord
from roles.host.programs.driver import look
from roles.host.programs.driver.record import read_record, write_record

_EFI = "sys/firmware/efi/efivars"
_ON = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ENROLLED = "MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"


@pytest.mark.parametrize(
    ("kernel", "package"),
    [
        ("6.1.0-56-amd64", "linux-headers-amd64"),
        ("6.1.0-56-cloud-amd64", "linux-headers-cloud-amd64"),
        ("6.12.48+deb13-amd64", "linux-headers-amd64"),
        ("6.12.43+deb13-cloud-arm64", "linux-headers-cloud-arm64"),
        ("6.8.0-51-generic", "linux-headers-generic"),
        ("6.18.44", "linux-headers-amd64"),
        (None, "linux-headers-amd64"),
    ],
)
def test_the_headers_are_those_of_the_hosts_kind_of_kernel(kernel: str | None, package: str) -> None:
    assert look.headers_package(kernel, "amd64") == package


def test_the_next_boot_starts_the_newest_kernel(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    assert look.next_kernel(tmp_path) is None
    for kernel in ("6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-10-amd64"):
        (tmp_path / f"boot/vmlinuz-{kernel}").touch()
    assert look.next_kernel(tmp_path) == "6.1.0-56-amd64"


def test_a_kernel_has_the_module_under_debians_name_too(tmp_path: Path) -> None:
    for path in ("6.1.0-56-amd64/updates/dkms/nvidia-current.ko.xz", "6.1.0-9-amd64/updates/dkms/nvidia.ko"):
        (tmp_path / "lib/modules" / path).parent.mkdir(parents=True)
        (tmp_path / "lib/modules" / path).touch()
    (tmp_path / "lib/modules/6.1.0-60-amd64/kernel").mkdir(parents=True)
    assert look.built_kernels(tmp_path) == ("6.1.0-9-amd64", "6.1.0-56-amd64")


def test_the_driver_is_what_has_the_modules_version() -> None:
    installed = {
        "nvidia-kernel-dkms": "1:535.309.01-0+deb12u1",
        "libcuda1": "535.309.01-0+deb12u1",
        "nvidia-kernel-common": "20220217+3~deb12u1",
        "nvidia-container-toolkit": "1.17.8-1",
        "linux-headers-amd64": "6.1.192-2",
    }
    version = look.version_of(installed, ["nvidia-kernel-dkms"])
    assert version == "535.309.01"
    assert look.of_driver(installed, version) == ("libcuda1", "nvidia-kernel-dkms")
    assert look.of_driver(installed, None) == ()


def test_secure_boot_takes_a_key_that_its_owner_has_enrolled(tmp_path: Path) -> None:
    def refused() -> bool:
        return look.driver_state(str(tmp_path), tmp_path).key_refused

    (tmp_path / _EFI).mkdir(parents=True)
    assert not refused()
    (tmp_path / _EFI / _ON).write_bytes(b"\6\0\0\0\1")
    assert refused()
    (tmp_path / "var/lib/dkms").mkdir(parents=True)
    (tmp_path / "var/lib/dkms/mok.pub").write_bytes(b"certificate")
    assert refused()
    (tmp_path / _EFI / _ENROLLED).write_bytes(b"\6\0\0\0another")
    assert refused()
    (tmp_path / _EFI / _ENROLLED).write_bytes(b"\6\0\0\0header certificate another")
    assert not refused()


def test_a_record_is_read_as_it_was_written_and_a_broken_one_is_none(tmp_path: Path) -> None:
    record = DriverRecord(source="debian", version="535", boot="b1", held=("nvidia-smi",))
    assert read_record(str(tmp_path)) is None
    write_record(str(tmp_path), record)
    assert read_record(str(tmp_path)) == record
    (tmp_path / "nvidia-driver.json").write_text('{"source": ')
    assert read_record(str(tmp_path)) is None
