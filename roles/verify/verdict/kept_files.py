"""The files of kept verdicts, in the order in which they were written.

A file's name begins with a number, one more than the highest before it: a clock may have been ahead once, and what was
written then must not stay the last for ever. Names of the version before begin with a date; they come first.

Imports nothing of this project: its text is also the command of a fact, which prints the last verdicts, one a line.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from pathlib import Path

_NUMBERED = re.compile(r"(0[0-9]{11})-")
"""Enough for a verification a second in 3,000 years. More digits, or a first digit other than 0: not our name."""


def in_order(folder: Path) -> list[Path]:
    """The oldest first. Empty if there is no such folder, or the user may not read it."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(paths, key=lambda path: (_number(path), path.name))


def next_name(folder: Path, time: str) -> str:
    """For a verdict of that time, which is in the name for people only. The suffix differs between concurrent runs."""
    number = max(map(_number, in_order(folder)), default=0) + 1
    shown = time.partition("+")[0].replace(":", "")
    return f"{number:012}-{shown}Z-{secrets.token_hex(2)}.json"


def _number(path: Path) -> int:
    found = _NUMBERED.match(path.name)
    return int(found[1]) if found else 0


def text_of(path: Path) -> str:
    """The content of a kept file.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    if not path.is_file():
        # Reading a pipe may never end.
        raise ValueError(f"{path} is no regular file")
    return path.read_bytes().decode()


def _print_last(folder: Path, count: int) -> None:
    lines: list[str] = []
    for path in reversed(in_order(folder)):
        if len(lines) == count:
            break
        try:
            lines.append(json.dumps(json.loads(text_of(path))))
        except (OSError, ValueError, RecursionError):
            continue
    print("\n".join(reversed(lines)))


if __name__ == "__main__":
    _print_last(Path(sys.argv[1]), int(sys.argv[2]))
