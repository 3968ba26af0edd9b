"""NVIDIA's cards, as `nvidia-smi` shows them."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

from roles.host.programs.gpu.cards import Card, Driver, Facts, Process, no_cards
from roles.host.programs.gpu.kernel import (
    FOR_MACHINES,
    barred_by,
    display_devices,
    has_display_device,
    is_signed,
    module_files,
    read_text,
    running_kernel,
    secure_boot,
)
from roles.host.programs.gpu.nvidia_smi import ask

NVIDIA = "0x10de"
"""NVIDIA's number as a vendor on the PCI bus."""
_MIB = 1 << 20

_FIELDS = (
    "index", "uuid", "name", "pci.bus_id", "memory.total", "memory.reserved", "memory.free", "compute_cap",
    "mig.mode.current", "pstate", "temperature.gpu", "compute_mode",
)  # fmt: skip
"""Fields of `nvidia-smi --query-gpu`. `pstate` and `temperature.gpu` are there only because that is where a card asks
for a reset."""

_MISMATCH = "Driver/library version mismatch"
_NOT_LOADED = "couldn't communicate with the NVIDIA driver"
NOT_PERMITTED = (
    "/dev/nvidia* may not be opened from here. In a unit: its DeviceAllow= counts the drivers that were loaded when it "
    "started, so start it again. By hand: check `ls -l /dev/nvidia*`"
)
_NOT_PASSED = (
    "the NVIDIA driver runs, and its device files /dev/nvidia* cannot be used here ({said}). In a container its host "
    "has to pass them, and to allow them (LXC: `lxc config device add NAME card gpu`; Docker: `--gpus all`); elsewhere "
    "`nvidia-modprobe -u -c 0` as root makes them"
)
_CLOSED_MODULE = (
    " (this is its closed module, and the RTX 50 series and later need the open one: Debian's nvidia-open-kernel-dkms, "
    "Ubuntu's nvidia-driver-<branch>-open)"
)
_OPEN_MODULE = (
    " (this is its open module, and cards before the RTX 20 series need the closed one, of a branch up to 580)"
)
_FAILURES = (
    (
        _MISMATCH,
        "the NVIDIA driver was upgraded and not reloaded (the kernel runs {kernel}, the library is {library}): "
        "reboot the host",
    ),
    (
        _NOT_LOADED,
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
        "driver does not support{module}, a power cable, or one that has fallen off the bus (power the host off and "
        "on)",
    ),
    ("Failed to initialize NVML: Insufficient Permissions", NOT_PERMITTED),
    ("Failed to initialize NVML: Unknown Error", _NOT_PASSED),
    ("GPU access blocked by the operating system", _NOT_PASSED),
    (
        "not a valid field to query",
        "the NVIDIA driver is too old to be asked ({said}): install driver 525 or newer",
    ),
)
"""Known error messages of `nvidia-smi`, and their meaning."""

_LOST = ("[GPU is lost]", "[GPU requires reset]", "[Unknown Error]", "ERR!")
"""Values in place of a figure for a card that no longer works."""


MODULES = ("nvidia", "nvidia-current*", "nvidia-open*")
"""Files of the driver's modules: the name of NVIDIA and Ubuntu, then those of Debian."""


def nvidia_cards(root: Path, end: float) -> Facts:
    """See `facts.READERS`."""
    found = no_cards()
    found["driver"]["kernel"] = _kernel_module(root)
    present = found["driver"]["kernel"] is not None or has_display_device(root, NVIDIA)
    if shutil.which("nvidia-smi") is None:
        if present:
            found["vendor"] = "nvidia"
            found["problem"] = _no_tools(found["driver"]["kernel"], root)
        return found
    said = ask(end, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
    rows = csv.DictReader((said or "").splitlines(), fieldnames=_FIELDS, skipinitialspace=True)
    found["cards"] = [_card(row, root) for row in rows if _is_card(row)]
    if found["cards"] or present:
        found["vendor"] = "nvidia"
        found["problem"] = _problem(said, found, root)
    if found["cards"]:
        _add_processes(found["cards"], root, end)
        _add_versions(found["driver"], ask(end, "--version") or "")
    return found


def _kernel_module(root: Path) -> str | None:
    """From `… NVIDIA UNIX x86_64 Kernel Module  570.86.15  …` or `… Open Kernel Module for x86_64  570.86.15  …`."""
    text = read_text(root / "proc/driver/nvidia/version") or ""
    match = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\b", text)
    return match[1] if match else None


def _is_card(row: dict[str, str]) -> bool:
    return row["index"].isdecimal() and row["temperature.gpu"] is not None


def _card(row: dict[str, str], root: Path) -> Card:
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
    elif row["compute_mode"] == "Prohibited":
        problem = (
            "its compute mode is Prohibited, in which no program may compute on it: "
            f"`nvidia-smi -i {row['index']} -c 0` as root"
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
        "exclusive": row["compute_mode"] == "Exclusive_Process",
        "processes": [],
    }


def _mebibytes(value: str) -> int | None:
    """Bytes; none for `[N/A]`, `[Not Supported]`, `[Insufficient Permissions]` and the like."""
    return int(value) * _MIB if value.isdecimal() else None


def _system_memory(root: Path) -> tuple[int | None, int | None]:
    """Total and available bytes for a card that shares the system's memory (GB10, Jetson)."""
    figures = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read_text(root / "proc/meminfo") or "", re.MULTILINE))
    if not {"MemTotal", "MemAvailable"} <= figures.keys():
        return None, None
    return int(figures["MemTotal"]) * 1024, int(figures["MemAvailable"]) * 1024


def _problem(said: str | None, found: Facts, root: Path) -> str | None:
    """Why the host's cards do not work, in one message."""
    if said is None:
        return (
            "nvidia-smi does not answer: the driver hangs. `journalctl -k -g NVRM` says what happened; power the host "
            "off and on"
        )
    kernel = found["driver"]["kernel"]
    if _NOT_LOADED in said and kernel and not (root / "dev/nvidiactl").exists():
        return _NOT_PASSED.format(said="there is no /dev/nvidiactl")
    if _NOT_LOADED in said and (cause := _why_not_loaded(root)):
        return cause
    for text, meaning in _FAILURES:
        if text in said:
            if text == _MISMATCH:
                library = re.search(r"NVML library version: ([\d.]+)", said)
                found["driver"]["library"] = library[1] if library else None
                found["driver"]["agree"] = False
            line = next(line.strip() for line in said.splitlines() if text in line)
            return meaning.format(
                kernel=kernel or "another",
                library=found["driver"]["library"] or "newer",
                said=line,
                module=_OPEN_MODULE if _is_open(root) else _CLOSED_MODULE,
            )
    if not found["cards"]:
        last = said.strip().splitlines()[-1:] or ["nothing"]
        return f"nvidia-smi shows no card and says: {last[0]}. `journalctl -k -g NVRM` may say more"
    return None


def _is_open(root: Path) -> bool:
    """Whether the driver's module that runs is the open one."""
    return "Open Kernel Module" in (read_text(root / "proc/driver/nvidia/version") or "")


def _no_tools(kernel: str | None, root: Path) -> str:
    """What there is instead of the driver's own program.

    Args:
        kernel: version of the driver's module that runs; none = none does.
    """
    if kernel:
        return (
            f"the NVIDIA driver {kernel} runs, and there is no nvidia-smi on PATH: install the driver's tools, of its "
            "own version (Debian: nvidia-smi, Ubuntu: nvidia-utils-<branch>)"
        )
    others = _other_drivers(root)
    return (
        f"there is an NVIDIA card ({', '.join(display_devices(root, NVIDIA))}) and no driver of NVIDIA"
        f"{f', only {others}, with which nothing can compute' if others else ''}: install the driver and its tools, "
        "and reboot (Debian: nvidia-driver and nvidia-smi of the section non-free; Ubuntu: `ubuntu-drivers install`), "
        "or let the deploy do both: `driver=NvidiaDriver()` in the stack"
    )


def _other_drivers(root: Path) -> str:
    """Those that have NVIDIA's cards instead of NVIDIA's own, such as `nouveau`."""
    drivers = {*display_devices(root, NVIDIA).values()} - {"", "nvidia", FOR_MACHINES}
    return " and ".join(sorted(drivers))


def _why_not_loaded(root: Path) -> str | None:
    """Why the kernel has not loaded the driver's module, where its files show it."""
    kernel, modules = running_kernel(root), module_files(root, *MODULES)
    if kernel is None or not (root / "lib/modules" / kernel).is_dir():
        return None  # a container sees another system's modules
    if not modules:
        return (
            f"there is no kernel module `nvidia` for the running kernel {kernel}: install linux-headers-{kernel}, and "
            f"`dkms autoinstall -k {kernel}` as root builds it; or reboot, if it was built for a newer kernel"
        )
    unsigned = next((module for module in modules if is_signed(module) is False), None)
    if unsigned and secure_boot(root):
        return (
            f"Secure Boot is on and refuses the kernel module `nvidia`: /{unsigned.relative_to(root)} is not signed. "
            "Sign it with a key that is enrolled (dkms signs with its own: `mokutil --import /var/lib/dkms/mok.pub`, "
            "then `dkms install --force`, reboot, and confirm the key at the console), or turn Secure Boot off in the "
            "firmware"
        )
    if bar := barred_by(root, "nvidia"):
        return (
            f"{bar} keeps the kernel from loading the module `nvidia`: remove that line (on a laptop with two cards "
            "`prime-select nvidia` does), run `update-initramfs -u` and reboot"
        )
    if others := _other_drivers(root):
        return (
            f"the NVIDIA driver is installed, and {others} still has the card: reboot. If it has it then too, as root "
            f"`echo blacklist {others} > /etc/modprobe.d/no-{others}.conf`, `update-initramfs -u`, and reboot again"
        )
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
    said = ask(end, "--query-compute-apps=gpu_uuid,pid,used_memory,process_name", "--format=csv,noheader,nounits")
    for line in (said or "").splitlines():
        parts = line.split(", ", 3)
        if len(parts) == 4 and parts[1].isdecimal():
            uuid, pid, memory, name = parts
            known = None if name.startswith("[") else name
            process: Process = {
                "pid": int(pid),
                "name": known or read_text(root / "proc" / pid / "comm"),
                "memory": _mebibytes(memory),
            }
            for card in cards:
                if card["uuid"] == uuid:
                    card["processes"].append(process)
