"""A host's GPUs, and the wait until they are present and free: `gpu facts`, `gpu wait`.

Stands alone (imports no other program), as its text is also a generation's `bin/gpu`. Units run that before their
server, in the same sandbox. Reads `nvidia-smi`, /proc and /sys; changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

SMI_SECONDS = 30.0
"""Timeout of one `nvidia-smi`: with many cards and no persistence daemon it takes more than ten."""
LAST_LOOK_SECONDS = 20.0
"""Time for all queries after a wait is over. systemd gives units 30 seconds more than their wait."""
POLL_SECONDS = 1.0
NOTICE_SECONDS = 5.0
"""Pause between two lines that say what the wait is for."""

_FIELDS = (
    "index", "uuid", "name", "pci.bus_id", "memory.total", "memory.reserved", "memory.free", "compute_cap",
    "mig.mode.current", "pstate", "temperature.gpu",
)  # fmt: skip
"""Fields of `nvidia-smi --query-gpu`. The last two are there only because that is where a card asks for a reset."""

_MIB = 1 << 20
_NVIDIA, _AMD = "0x10de", "0x1002"


class Process(TypedDict):
    """A process that uses a card's memory; name and bytes are none if the driver does not report them."""

    pid: int
    name: str | None
    memory: int | None


class Card(TypedDict):
    """One GPU.

    index: NVIDIA's number in the order of PCI addresses, or ROCm's.
    uuid: in the form of CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES; none for AMD's integrated graphics.
    memory_total: bytes available to programs: without the driver's own share, as CUDA counts it.
    compute_capability: `8.9` or `gfx1100`.
    problem: why it cannot be used as a whole card; none = it can.
    """

    index: int
    uuid: str | None
    name: str
    memory_total: int | None
    memory_free: int | None
    compute_capability: str | None
    pci: str | None
    problem: str | None
    processes: list[Process]


class Driver(TypedDict):
    """Versions. `agree` is false if the kernel module and the library are known to differ."""

    kernel: str | None
    library: str | None
    cuda: str | None
    agree: bool


class Facts(TypedDict):
    """The output of `gpu facts`. `problem` concerns the host: if set, treat its cards as unusable."""

    vendor: str | None
    driver: Driver
    cards: list[Card]
    problem: str | None


class GpuError(Exception):
    """The wanted cards are not available: the message names what, where and how to fix it."""


def facts(root: Path = Path("/")) -> Facts:
    """The GPUs of one vendor: NVIDIA's if there are any, or AMD's.

    Args:
        root: where /proc, /sys and /dev are. Programs are found on PATH.
    """
    for vendor, read in _READERS.items():
        found = read(root, math.inf)
        if found["vendor"] == vendor:
            return found
    return _nothing()


def cuda_architectures(found: Facts) -> str:
    """The compile targets of the cards: CMAKE_CUDA_ARCHITECTURES (`86;89`), or AMDGPU_TARGETS (`gfx1100`)."""
    names = {(card["compute_capability"] or "").replace(".", "") for card in found["cards"]} - {""}
    return ";".join(sorted(names, key=lambda name: (len(name), name)))


def _nothing() -> Facts:
    return {
        "vendor": None,
        "driver": {"kernel": None, "library": None, "cuda": None, "agree": True},
        "cards": [],
        "problem": None,
    }


# NVIDIA -------------------------------------------------------------------------------------------------------------

_MISMATCH = "Driver/library version mismatch"
_NOT_PERMITTED = (
    "/dev/nvidia* may not be opened from here. In a unit: its DeviceAllow= counts the drivers that were loaded when it "
    "started, so start it again. By hand: check `ls -l /dev/nvidia*`"
)
_FAILURES = (
    (
        _MISMATCH,
        "the NVIDIA driver was upgraded and not reloaded (the kernel runs {kernel}, the library is {library}): "
        "reboot the host",
    ),
    (
        "couldn't communicate with the NVIDIA driver",
        "the kernel module `nvidia` is not loaded. `modprobe nvidia` as root says why: usually there is none for the "
        "running kernel (`dkms status`; install its headers), or Secure Boot refuses it (enrol its key)",
    ),
    (
        "Unable to determine the device handle",
        "a card does not answer the NVIDIA driver ({said}). Its Xid is in `journalctl -k -g NVRM`. Power the host off "
        "and on; if it comes back, check the card's power, seating and cooling",
    ),
    (
        "No devices were found",
        "the NVIDIA driver runs and no card answers it. `journalctl -k -g NVRM` says why: usually a card that this "
        "driver does not support, a power cable, or one that has fallen off the bus (power the host off and on)",
    ),
    ("Failed to initialize NVML: Insufficient Permissions", _NOT_PERMITTED),
    (
        "not a valid field to query",
        "the NVIDIA driver is too old to be asked ({said}): install driver 525 or newer",
    ),
)
"""Known error messages of `nvidia-smi`, and their meaning."""

_LOST = ("[GPU is lost]", "[GPU requires reset]", "[Unknown Error]", "ERR!")
"""Values in place of a figure for a card that no longer works."""


def _nvidia(root: Path, end: float) -> Facts:
    """`end`: deadline for all queries, on the monotonic clock."""
    found = _nothing()
    found["driver"]["kernel"] = _nvidia_kernel_module(root)
    present = found["driver"]["kernel"] is not None or _has_display_device(root, _NVIDIA)
    if shutil.which("nvidia-smi") is None:
        if present:
            found["vendor"] = "nvidia"
            found["problem"] = (
                "there is an NVIDIA card and no nvidia-smi on PATH: install the driver's tools, of its own version "
                "(Debian: nvidia-smi, Ubuntu: nvidia-utils-<branch>)"
            )
        return found
    said = _smi(end, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
    rows = csv.DictReader((said or "").splitlines(), fieldnames=_FIELDS, skipinitialspace=True)
    found["cards"] = [_nvidia_card(row, root) for row in rows if _is_card(row)]
    if found["cards"] or present:
        found["vendor"] = "nvidia"
        found["problem"] = _nvidia_problem(said, found)
    if found["cards"]:
        _add_processes(found["cards"], root, end)
        _add_versions(found["driver"], _smi(end, "--version") or "")
    return found


def _nvidia_kernel_module(root: Path) -> str | None:
    """From `… NVIDIA UNIX x86_64 Kernel Module  570.86.15  …` or `… Open Kernel Module for x86_64  570.86.15  …`."""
    match = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\b", _read(root / "proc/driver/nvidia/version") or "")
    return match[1] if match else None


def _has_display_device(root: Path, vendor: str) -> bool:
    """Whether the PCI bus has a display or 3D controller of the vendor that is not reserved for a virtual machine."""
    return any(
        _read(device / "vendor") == vendor
        and (_read(device / "class") or "").startswith("0x03")
        and (device / "driver").resolve().name != "vfio-pci"
        for device in (root / "sys/bus/pci/devices").glob("*")
    )


def _smi(end: float, *arguments: str) -> str | None:
    """Both output streams of `nvidia-smi`; none if it did not end within `SMI_SECONDS` or by `end`.

    A faulty driver can block it in the kernel, where no signal ends it. So its output goes to a file (in memory, as the
    disk may be full), and after the kill nothing waits for it.
    """
    limit = min(SMI_SECONDS, end - time.monotonic())
    if limit <= 0:
        return None
    with os.fdopen(os.memfd_create("nvidia-smi"), "w+b") as output:
        try:
            process = subprocess.Popen(
                ["nvidia-smi", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return str(error)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            return None
        output.seek(0)
        return output.read().decode(errors="replace")


def _is_card(row: dict[str, str]) -> bool:
    return row["index"].isdecimal() and row["temperature.gpu"] is not None


def _nvidia_card(row: dict[str, str], root: Path) -> Card:
    total, free = _mebibytes(row["memory.total"]), _mebibytes(row["memory.free"])
    lost = next((value for value in row.values() if value in _LOST), None)
    if row["memory.total"] in ("[N/A]", "[Not Supported]"):
        total, free = _system_memory(root)
    elif total is not None:
        total -= _mebibytes(row["memory.reserved"]) or 0
    problem = None
    if lost:
        problem = (
            f"the driver says {lost} of it: its Xid is in `journalctl -k -g NVRM`; "
            f"`nvidia-smi -r -i {row['index']}` as root, or power the host off and on"
        )
    elif row["mig.mode.current"] == "Enabled":
        problem = (
            "it is divided by MIG, and only whole cards are given out: "
            f"`nvidia-smi -i {row['index']} -mig 0` as root, then reboot"
        )
    return {
        "index": int(row["index"]),
        "uuid": row["uuid"],
        "name": row["name"],
        "memory_total": total,
        "memory_free": free,
        "compute_capability": row["compute_cap"] if re.fullmatch(r"\d+\.\d+", row["compute_cap"]) else None,
        "pci": row["pci.bus_id"].lower(),
        "problem": problem,
        "processes": [],
    }


def _mebibytes(value: str) -> int | None:
    """Bytes; none for `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` and the like."""
    return int(value) * _MIB if value.isdecimal() else None


def _system_memory(root: Path) -> tuple[int | None, int | None]:
    """Total and available bytes for a card that shares the system's memory (GB10, Jetson)."""
    figures = dict(re.findall(r"^(\w+):\s+(\d+) kB$", _read(root / "proc/meminfo") or "", re.MULTILINE))
    if not {"MemTotal", "MemAvailable"} <= figures.keys():
        return None, None
    return int(figures["MemTotal"]) * 1024, int(figures["MemAvailable"]) * 1024


def _nvidia_problem(said: str | None, found: Facts) -> str | None:
    """Why the host's cards do not work, in one message."""
    if said is None:
        return (
            "nvidia-smi does not answer: the driver hangs. `journalctl -k -g NVRM` says what happened; power the host "
            "off and on"
        )
    for text, meaning in _FAILURES:
        if text in said:
            if text == _MISMATCH:
                library = re.search(r"NVML library version: ([\d.]+)", said)
                found["driver"]["library"] = library[1] if library else None
                found["driver"]["agree"] = False
            line = next(line.strip() for line in said.splitlines() if text in line)
            kernel, version = found["driver"]["kernel"], found["driver"]["library"]
            return meaning.format(kernel=kernel or "another", library=version or "newer", said=line)
    if not found["cards"]:
        last = said.strip().splitlines()[-1:] or ["nothing"]
        return f"nvidia-smi shows no card and says: {last[0]}. `journalctl -k -g NVRM` may say more"
    return None


def _add_versions(driver: Driver, said: str) -> None:
    """From `nvidia-smi --version`, whose labels changed with driver 610."""
    library = re.search(r"^NVML version\s*:\s*([\d.]+)", said, re.MULTILINE)
    cuda = re.search(r"^CUDA (?:UMD )?version\s*:\s*([\d.]+)", said, re.MULTILINE | re.IGNORECASE)
    driver["library"] = library[1] if library else None
    driver["cuda"] = cuda[1] if cuda else None
    if driver["kernel"] and driver["library"]:
        # NVML's own version lacks the third part.
        driver["agree"] = f"{driver['kernel']}.".startswith(f"{driver['library']}.")


def _add_processes(cards: list[Card], root: Path, end: float) -> None:
    # The name comes last, as it may contain commas.
    said = _smi(end, "--query-compute-apps=gpu_uuid,pid,used_memory,process_name", "--format=csv,noheader,nounits")
    for line in (said or "").splitlines():
        parts = line.split(", ", 3)
        if len(parts) == 4 and parts[1].isdecimal():
            uuid, pid, memory, name = parts
            known = None if name.startswith("[") else name
            process: Process = {
                "pid": int(pid),
                "name": known or _read(root / "proc" / pid / "comm"),
                "memory": _mebibytes(memory),
            }
            for card in cards:
                if card["uuid"] == uuid:
                    card["processes"].append(process)


# AMD ----------------------------------------------------------------------------------------------------------------


def _amd(root: Path, _end: float) -> Facts:
    found = _nothing()
    nodes = sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("[0-9]*"), key=lambda node: int(node.name))
    for node in nodes:
        # A node hidden by the unit's DeviceAllow= cannot be read.
        properties = dict(re.findall(r"^(\w+) (\d+)$", _read(node / "properties") or "", re.MULTILINE))
        if int(properties.get("gfx_target_version", 0)) > 0:
            found["cards"].append(_amd_card(len(found["cards"]), node, properties, root))
    if found["cards"]:
        found["vendor"] = "amd"
        found["driver"]["kernel"] = _read(root / "sys/module/amdgpu/version")
    return found


def _amd_card(index: int, node: Path, properties: dict[str, str], root: Path) -> Card:
    device = root / f"sys/class/drm/renderD{properties.get('drm_render_minor', '')}/device"
    total, used = _number(device / "mem_info_vram_total"), _number(device / "mem_info_vram_used")
    version, unique = int(properties["gfx_target_version"]), int(properties.get("unique_id", 0))
    gfx = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
    location = int(properties.get("location_id", 0))
    bus, slot, function = location >> 8 & 255, location >> 3 & 31, location & 7
    return {
        "index": index,
        "uuid": f"GPU-{unique:016x}" if unique else None,
        "name": _read(device / "product_name") or f"AMD GPU ({gfx})",
        "memory_total": total,
        "memory_free": total - used if total is not None and used is not None else None,
        "compute_capability": gfx,
        "pci": f"{int(properties.get('domain', 0)):04x}:{bus:02x}:{slot:02x}.{function}",
        "problem": None,
        "processes": _amd_processes(_read(node / "gpu_id"), root),
    }


def _amd_processes(gpu_id: str | None, root: Path) -> list[Process]:
    found: list[Process] = []
    for process in (root / "sys/class/kfd/kfd/proc").glob("[0-9]*"):
        memory = _number(process / f"vram_{gpu_id}")
        if memory:
            name = _read(root / "proc" / process.name / "comm")
            found.append({"pid": int(process.name), "name": name, "memory": memory})
    return found


_READERS = {"nvidia": _nvidia, "amd": _amd}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text and text.isdecimal() else None


# The wait -----------------------------------------------------------------------------------------------------------


def wait(
    vendor: str,
    uuids: list[str],
    free_share: float | None,
    timeout: float,
    *,
    root: Path = Path("/"),
    poll: float = POLL_SECONDS,
    notice: float = NOTICE_SECONDS,
) -> None:
    """Return once the wanted cards are present, usable, and free enough.

    Args:
        vendor: `nvidia` or `amd`.
        uuids: the wanted cards, all of them; empty = all usable ones, at least one.
        free_share: share of each wanted card's memory that must be free; none = any. vLLM does not start unless its
            gpu_memory_utilization is free, and the memory of a killed server stays in use for a while.
        timeout: seconds; a check that is under way then may take `LAST_LOOK_SECONDS` more.

    Raises:
        GpuError: the timeout is over, or waiting is pointless.
    """
    started = time.monotonic()
    said = None
    while True:
        # The last check explains a failure. It must be able to say who uses the memory, on a slow host too.
        end = max(started + timeout, time.monotonic() + LAST_LOOK_SECONDS)
        found = _READERS[vendor](root, end)
        lack = _host_lack(vendor, found, root) or _cards_lack(found, uuids, free_share)
        elapsed = time.monotonic() - started
        if lack is None:
            names = ", ".join(map(_name, _wanted(found, uuids)))
            print(f"the GPU is ready ({names}), after {elapsed:.0f} s", flush=True)
            return
        if lack.hopeless:
            raise GpuError(lack.message)
        if elapsed >= timeout:
            raise GpuError(f"waited {elapsed:.0f} s for the GPU: {lack.message}")
        if said is None or elapsed - said >= notice:
            said = elapsed
            print(f"waiting for the GPU, {elapsed:.0f} of at most {timeout:.0f} s: {lack.message}", flush=True)
        time.sleep(min(poll, timeout - elapsed))


class _Lack:
    """What is still missing; `hopeless` = waiting does not help."""

    def __init__(self, message: str, hopeless: bool = False) -> None:
        self.message = message
        self.hopeless = hopeless


def _host_lack(vendor: str, found: Facts, root: Path) -> _Lack | None:
    if found["problem"]:
        return _Lack(found["problem"], not found["driver"]["agree"] or found["problem"] == _NOT_PERMITTED)
    if not found["cards"]:
        if vendor == "amd":
            return _Lack(
                "the kernel shows no AMD GPU that can compute (/sys/class/kfd): is the module `amdgpu` loaded "
                "(`modprobe amdgpu`), and does a unit's DeviceAllow= let it through?"
            )
        return _Lack("the host shows no NVIDIA card: is it in `lspci`, and is a driver installed?")
    # Without this device file nvidia-smi works, but CUDA does not. Jetson and WSL have none; their GPU is on no PCI
    # bus.
    if vendor == "nvidia" and _has_display_device(root, _NVIDIA):
        return _device_file_lack(root / "dev/nvidia-uvm")
    return None


def _device_file_lack(node: Path) -> _Lack | None:
    try:
        os.close(os.open(node, os.O_RDWR))
    except PermissionError:
        return _Lack(_NOT_PERMITTED, hopeless=True)
    except OSError as error:
        return _Lack(
            f"CUDA's device file {node} cannot be used ({error.strerror}): `nvidia-modprobe -u -c 0` as root makes "
            "it, once after each boot"
        )
    return None


def _cards_lack(found: Facts, uuids: list[str], free_share: float | None) -> _Lack | None:
    here = [card["uuid"] for card in found["cards"]]
    missing = [uuid for uuid in uuids if uuid not in here]
    if missing:
        return _Lack(
            f"{', '.join(missing)} is not among the cards of this host ({', '.join(map(_name, found['cards']))}). If a "
            "card was changed, name the new one in the inventory"
        )
    wanted = _wanted(found, uuids)
    lacks = [f"{_name(card)}: {card['problem']}" for card in wanted if card["problem"]]
    if not lacks and free_share is not None:
        lacks = [lack for card in wanted if (lack := _memory_lack(card, free_share))]
    return _Lack("; ".join(lacks)) if lacks else None


def _wanted(found: Facts, uuids: list[str]) -> list[Card]:
    if uuids:
        return [card for card in found["cards"] if card["uuid"] in uuids]
    return [card for card in found["cards"] if not card["problem"]] or found["cards"]


def _memory_lack(card: Card, free_share: float) -> str | None:
    total, free = card["memory_total"], card["memory_free"]
    if total is None or free is None:
        return f"{_name(card)}: the driver does not say how much of its memory is free; wait without --free-share"
    if free >= total * free_share:
        return None
    holders = ", ".join(map(_holder, card["processes"]))
    return (
        f"{_name(card)}: {_gibibytes(free)} of {_gibibytes(total)} are free and {_gibibytes(total * free_share)} are "
        f"wanted; {'held by ' + holders if holders else 'no process is shown that holds the rest'}. "
        "Stop what holds it, or ask for a smaller share"
    )


def _name(card: Card) -> str:
    return f"GPU {card['index']} ({card['name']}, {card['uuid'] or card['pci']})"


def _holder(process: Process) -> str:
    memory = "of unknown size" if process["memory"] is None else _gibibytes(process["memory"])
    return f"{process['name'] or 'a process of another user'} (pid {process['pid']}, {memory})"


def _gibibytes(size: float) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gpu", description="What GPUs this host has, and the wait for them.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("facts", help="print what GPUs there are, as JSON")
    waiting = commands.add_parser("wait", help="end once the wanted cards are there, usable and free enough")
    waiting.add_argument("--vendor", choices=sorted(_READERS), required=True)
    waiting.add_argument(
        "--uuid",
        action="append",
        default=[],
        help="a card that is wanted; none = all usable ones",
    )
    waiting.add_argument("--free-share", type=float, help="part of each card's memory that must be free, e.g. 0.9")
    waiting.add_argument("--timeout", type=float, required=True, help="seconds")
    chosen = parser.parse_args(arguments)
    if chosen.command == "facts":
        print(json.dumps(facts(), indent=2))
        return 0
    try:
        wait(chosen.vendor, chosen.uuid, chosen.free_share, chosen.timeout)
    except GpuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
