"""A driver's tool that knows the fields of a recording, and refuses others as the real one does."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

_TOOL = """#!{python} -IS
import sys

THROTTLE, EVENT = "clocks_throttle_reasons.", "clocks_event_reasons."
said = open({recording!r}, encoding="utf-8").read()
for old, new in {replaced!r}.items():
    said = said.replace(old, new)
names, *rows = said.splitlines()
names = names.split(",")
# Both names of a field, as drivers from 535 on take them.
names += [name.replace(THROTTLE, EVENT) for name in names if name.startswith(THROTTLE)]
asked = next(each for each in sys.argv if each.startswith("--query-gpu=")).partition("=")[2].split(",")
with open({asked!r}, "a") as file:
    print(",".join(asked), file=file)
for name in asked:
    if name not in names or name in {unknown!r}:
        print('Field "' + name + '" is not a valid field to query.\\n')
        sys.exit(2)
for row in rows:
    values = row.split(", ")
    values += [value for name, value in zip(names, values) if name.startswith(THROTTLE)]
    print(", ".join(values[names.index(name)] for name in asked))
"""


def write_metrics_tool(
    folder: Path, recording: Path, *, unknown: Collection[str] = (), replaced: Mapping[str, str] | None = None
) -> Path:
    """Write `nvidia-smi` into the folder; gives the file in which it writes each question: its fields, on a line.

    Args:
        recording: a file `query-metrics`.
        unknown: fields that this driver does not know.
        replaced: words of the recording → others.
    """
    asked = folder / "asked"
    tool = folder / "nvidia-smi"
    tool.write_text(
        _TOOL.format(
            python=sys.executable,
            recording=str(recording),
            replaced=dict(replaced or {}),
            unknown=[*unknown],
            asked=str(asked),
        )
    )
    tool.chmod(0o755)
    return asked
