"""What `nvidia-smi` says, in two ways: by a document of its own that the facts are held against, and by what it prints
for the facts' queries, which is recorded."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from roles.host.programs.gpu.cards import Facts
from tests.gpu.steps import StepError

_MIB = 1 << 20
_SLACK = 64 * _MIB
"""Free memory may differ so much between two questions."""
_LONGEST_ANSWER = 60.0
_SAID = ("query-gpu", "query-compute-apps", "version")
"""Files of what the tool said for the facts."""
_RECORDER = """#!/bin/sh
# Prints what the driver's tool says, and keeps a copy.
case "$*" in
--query-gpu=*utilization.gpu*) name=query-metrics; echo "$1" >{folder}/asked ;;
--query-gpu=*) name=query-gpu ;;
--query-compute-apps=*) name=query-compute-apps ;;
*) name=version ;;
esac
{tool} "$@" >{folder}/$name 2>&1
status=$?
[ $name = query-gpu ] && [ $status != 0 ] && echo $status >{folder}/status
cat {folder}/$name
exit $status
"""


def asked(program: Path) -> Facts:
    """What the program `gpu` of a generation finds, run as the verifier runs it."""
    return _facts(program, os.environ)


def recorded(program: Path, folder: Path, hidden: Mapping[str, str]) -> Facts:
    """The same, and what the driver's tool told it: in `folder`, as `tests/unit/gpu_recordings` has it.

    Args:
        hidden: texts that nobody else needs to know, and what stands for them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with recorder(folder) as path:
        found = _facts(program, {**os.environ, "PATH": path})
    version = Path("/proc/driver/nvidia/version")
    if version.exists():
        copy = folder / "root" / version.relative_to("/")
        copy.parent.mkdir(parents=True)
        copy.write_text(version.read_text())
    mask(folder, hidden)
    return found


@contextlib.contextmanager
def recorder(folder: Path) -> Iterator[str]:
    """A PATH on which the driver's tool keeps copies of what it says in the folder."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise StepError("there is no nvidia-smi on PATH")
    program = folder / "bin/nvidia-smi"
    program.parent.mkdir(parents=True)
    program.write_text(_RECORDER.format(tool=shlex.quote(tool), folder=shlex.quote(str(folder))))
    program.chmod(0o755)
    yield f"{program.parent}:{os.environ['PATH']}"
    shutil.rmtree(program.parent)


def _facts(program: Path, environment: Mapping[str, str]) -> Facts:
    command = [sys.executable, "-I", "-S", str(program), "facts"]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False, timeout=_LONGEST_ANSWER * 3
    )
    if done.returncode != 0:
        raise StepError(f"`gpu facts` ended with status {done.returncode}", done.stdout + done.stderr)
    return cast(Facts, json.loads(done.stdout))


def mask(folder: Path, hidden: Mapping[str, str], names: Sequence[str] = _SAID) -> None:
    """In these files, number the UUIDs of cards in the order of their appearance, and hide what is to be hidden."""
    numbers: dict[str, str] = {}

    def masked(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"{match[1]}-00000000-0000-0000-0000-{len(numbers):012d}")

    for name in names:
        path = folder / name
        if path.exists():
            text = path.read_text()
            for old, new in hidden.items():
                text = text.replace(old, new)
            path.write_text(re.sub(r"(GPU|MIG)(?:-[0-9a-f]+){5}", masked, text))


def document() -> str:
    """All that the tool knows, as XML."""
    done = subprocess.run(
        ["nvidia-smi", "-q", "-x"], capture_output=True, text=True, check=False, timeout=_LONGEST_ANSWER
    )
    if done.returncode != 0:
        raise StepError(f"`nvidia-smi -q -x` ended with status {done.returncode}", done.stdout + done.stderr)
    return done.stdout


def differences(found: Facts, said: str) -> list[str]:
    """Where the facts say something else than the tool's own document, each in words; empty = nowhere."""
    root = ElementTree.fromstring(said)
    wrong: list[str] = []

    def compare(what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            wrong.append(f"{what} is {ours!r} and should be {theirs!r}")

    compare("the kernel's version", found["driver"]["kernel"], _text(root, "driver_version"))
    compare("CUDA's version", found["driver"]["cuda"], _text(root, "cuda_version"))
    compare("the host's problem", found["problem"], None)
    cards = root.findall("gpu")
    compare("the number of cards", len(found["cards"]), len(cards))
    for index, (ours, theirs) in enumerate(zip(found["cards"], cards, strict=False)):
        card = f"card {index}: the"
        compare(f"{card} index", ours["index"], index)
        compare(f"{card} name", ours["name"], _text(theirs, "product_name"))
        compare(f"{card} UUID", ours["uuid"], _text(theirs, "uuid"))
        compare(f"{card} PCI address", ours["pci"], theirs.get("id", "").lower())
        divided = _text(theirs, "mig_mode/current_mig") == "Enabled"
        compare(f"{card} division", "divided by MIG" in (ours["problem"] or ""), divided)
        total, reserved, free = (_bytes(theirs, f"fb_memory_usage/{name}") for name in ("total", "reserved", "free"))
        if total is not None:
            compare(f"{card} memory", ours["memory_total"], total - (reserved or 0))
        if free is not None and abs((ours["memory_free"] or 0) - free) > _SLACK:
            compare(f"{card} free memory", ours["memory_free"], free)
        computing = {
            int(_text(process, "pid") or 0)
            for process in theirs.findall("processes/process_info")
            if "C" in (_text(process, "type") or "")
        }
        compare(f"{card} processes", {process["pid"] for process in ours["processes"]}, computing)
    return wrong


def _text(element: ElementTree.Element, path: str) -> str | None:
    found = element.findtext(path)
    return found.strip() if found else None


def _bytes(element: ElementTree.Element, path: str) -> int | None:
    """Of `81559 MiB`; none where the tool does not know."""
    match = re.fullmatch(r"(\d+) MiB", _text(element, path) or "")
    return int(match[1]) * _MIB if match else None
