"""AMD's cards, as the kernel shows them in /sys."""

from __future__ import annotations

import re
from pathlib import Path

from roles.host.programs.gpu.cards import Card, Facts, Process, no_cards
from roles.host.programs.gpu.kernel import read_number, read_text

AMD = "0x1002"
"""AMD's number as a vendor on the PCI bus."""


def amd_cards(root: Path, _end: float) -> Facts:
    """See `facts.READERS`."""
    found = no_cards()
    nodes = sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("[0-9]*"), key=lambda node: int(node.name))
    for node in nodes:
        # A node hidden by the unit's DeviceAllow= cannot be read.
        properties = dict(re.findall(r"^(\w+) (\d+)$", read_text(node / "properties") or "", re.MULTILINE))
        if int(properties.get("gfx_target_version", 0)) > 0:
            found["cards"].append(_card(len(found["cards"]), node, properties, root))
    if found["cards"]:
        found["vendor"] = "amd"
        found["driver"]["kernel"] = read_text(root / "sys/module/amdgpu/version")
    return found


def _card(index: int, node: Path, properties: dict[str, str], root: Path) -> Card:
    device = root / f"sys/class/drm/renderD{properties.get('drm_render_minor', '')}/device"
    total, used = read_number(device / "mem_info_vram_total"), read_number(device / "mem_info_vram_used")
    version, unique = int(properties["gfx_target_version"]), int(properties.get("unique_id", 0))
    gfx = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
    location = int(properties.get("location_id", 0))
    bus, slot, function = location >> 8 & 255, location >> 3 & 31, location & 7
    return {
        "index": index,
        "uuid": f"GPU-{unique:016x}" if unique else None,
        "name": read_text(device / "product_name") or f"AMD GPU ({gfx})",
        "memory_total": total,
        "memory_free": total - used if total is not None and used is not None else None,
        "compute_capability": gfx,
        "pci": f"{int(properties.get('domain', 0)):04x}:{bus:02x}:{slot:02x}.{function}",
        "problem": None,
        "exclusive": False,
        "processes": _processes(read_text(node / "gpu_id"), root),
    }


def _processes(gpu_id: str | None, root: Path) -> list[Process]:
    found: list[Process] = []
    for process in (root / "sys/class/kfd/kfd/proc").glob("[0-9]*"):
        memory = read_number(process / f"vram_{gpu_id}")
        if memory:
            name = read_text(root / "proc" / process.name / "comm")
            found.append({"pid": int(process.name), "name": name, "memory": memory})
    return found
