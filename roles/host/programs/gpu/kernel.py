"""What the kernel shows of GPUs in /proc and /sys."""

from __future__ import annotations

from pathlib import Path


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
