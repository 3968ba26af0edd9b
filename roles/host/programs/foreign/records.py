"""The records of what was moved aside: one folder each, in a folder of ours that only its owner may read.

A record is written before the first change and removed after the last one: whoever was killed in between, the next run
knows from it what is where.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from roles.contract.foreign import TakenOver
from roles.contract.wire import WireError, read, written
from roles.host.programs.files import make_folder, remove_tree, write_atomic

_RECORD = "record.json"


def records(folder: str) -> list[tuple[Path, TakenOver]]:
    """The records and their folders, the oldest first; what cannot be read is left alone."""
    found = []
    for file in Path(folder).glob(f"[!.]*/{_RECORD}"):
        try:
            found.append((file.parent, read(TakenOver, json.loads(file.read_text()), strict=False)))
        except (OSError, ValueError, WireError):
            continue
    return sorted(found, key=lambda each: (each[1].time, each[0].name))


def free_folder(folder: str, name: str) -> Path:
    """A folder for a new record: named after what it is for, with a number where that exists already."""
    plain = re.sub(r"[^A-Za-z0-9@._-]+", "-", name).strip("-.")
    number = 1
    while (path := Path(folder, plain if number == 1 else f"{plain}-{number}") / _RECORD).exists():
        number += 1
    return path.parent  # without a record there is nothing in it


def write_record(folder: Path, record: TakenOver) -> None:
    # Unit files of others may contain secrets.
    make_folder(folder.parent, 0o700)
    make_folder(folder, 0o700)
    write_atomic(folder / _RECORD, f"{json.dumps(written(record), indent=2)}\n".encode(), 0o600)


def finish(folder: Path, record: TakenOver) -> None:
    write_record(folder, replace(record, finished=True))


def forget(folder: Path) -> None:
    for path in (folder, *folder.parent.glob(".removed-*")):  # and what a killed run has not removed to its end
        remove_tree(path)
