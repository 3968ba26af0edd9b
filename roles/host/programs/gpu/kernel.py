"""What the kernel shows of GPUs in /proc and /sys, and which modules it has for them."""

from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
FOR_MACHINES = "vfio-pci"
"""The driver of a card that is set aside for virtual machines."""
_SIGNATURE = b"~Module signature appended~\n"
"""The end of a signed module: linux/Documentation/admin-guide/module-signing.rst."""


def read_text(path: Path) -> str | None:
    """The stripped text of a file; none = it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def read_number(path: Path) -> int | None:
    """The number in a file; none = there is none, or it cannot be read."""
    text = read_text(path)
    return int(text) if text and text.isdecimal() else None


def display_devices(root: Path, vendor: str) -> dict[str, str]:
    """The vendor's display and 3D controllers: address on the PCI bus → the kernel's driver; empty = it has none."""
    return {
        device.name: (device / "driver").readlink().name if (device / "driver").is_symlink() else ""
        for device in sorted((root / "sys/bus/pci/devices").glob("*"))
        if read_text(device / "vendor") == vendor and (read_text(device / "class") or "").startswith("0x03")
    }


def has_display_device(root: Path, vendor: str) -> bool:
    """Whether one of them is not set aside for virtual machines."""
    return any(driver != FOR_MACHINES for driver in display_devices(root, vendor).values())


def barred_by(root: Path, module: str) -> str | None:
    """The file that keeps the kernel from loading a module by itself; none = no file does."""
    words = (rf"blacklist\s+{module}", rf"alias\s+{module}\s+off", rf"install\s+{module}\s+\S*/(?:false|true)")
    bars = re.compile(rf"^\s*(?:{'|'.join(words)})\s*$", re.MULTILINE)
    for folder in _MODPROBE:
        for path in sorted((root / folder).glob("*.conf")):
            if bars.search(read_text(path) or ""):
                return f"/{path.relative_to(root)}"
    return None


def secure_boot(root: Path) -> bool:
    """Whether the firmware lets only signed code start. Its variable is four bytes of attributes and one of value."""
    try:
        return (root / _SECURE_BOOT).read_bytes()[4:] == b"\x01"
    except OSError:
        return False


def running_kernel(root: Path) -> str | None:
    """Its release, `6.1.0-40-amd64`; none = not known."""
    return read_text(root / "proc/sys/kernel/osrelease")


def module_files(root: Path, *names: str) -> list[Path]:
    """The running kernel's modules of these names, patterns allowed, compressed or not."""
    folder = root / "lib/modules" / (running_kernel(root) or "unknown")
    return sorted(path for name in names for path in folder.glob(f"**/{name}.ko*"))


def is_signed(module: Path) -> bool | None:
    """Whether a module has a signature, whoever's; none = its compression cannot be read here, or it is gone."""
    try:
        match module.suffix:
            case ".ko":
                content = module.read_bytes()
            case ".xz":
                content = lzma.decompress(module.read_bytes())
            case ".gz":
                content = gzip.decompress(module.read_bytes())
            case _:
                return None
    except (OSError, EOFError, lzma.LZMAError):
        return None
    return content.endswith(_SIGNATURE)
