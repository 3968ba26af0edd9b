"""What the kernel shows of GPUs in /proc and /sys, and which modules it has for them."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
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


def has_display_device(root: Path, vendor: str) -> bool:
    """Whether the PCI bus has a display or 3D controller of the vendor that is not reserved for a virtual machine."""
    return any(
        read_text(device / "vendor") == vendor
        and (read_text(device / "class") or "").startswith("0x03")
        and (device / "driver").resolve().name != "vfio-pci"
        for device in (root / "sys/bus/pci/devices").glob("*")
    )


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
