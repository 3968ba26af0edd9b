"""`python -m tests.gpu pack FOLDER` where a network is, `python -m tests.gpu run FOLDER` where a card is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.gpu.packing import (
    REPOSITORY,
    PackError,
    host_python,
    make_environment,
    make_pack,
    open_pack,
    say,
    unpack_python,
)

SECONDS = 480.0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="fetch all that the check needs into a folder")
    packing.add_argument("folder", type=Path)
    packing.add_argument("--python", help="version of the machine's Python, e.g. 3.12; none = as here")
    running = commands.add_parser("run", help="run the check from such a folder")
    running.add_argument("folder", type=Path)
    running.add_argument("--work", type=Path, default=REPOSITORY / ".gpu", help="where it works; kept, so that a "
                         "second run need not build again")  # fmt: skip
    running.add_argument("--out", type=Path, help="folder for the table, the recordings and the logs")
    running.add_argument("--seconds", type=float, default=SECONDS, help="what is left by then is not run")
    running.add_argument("--built", type=Path, help="folder of programs of a llama.cpp to take instead of a build")
    options = parser.parse_args(arguments)
    try:
        if options.command == "pack":
            make_pack(options.folder, options.python or host_python(), say)
            return 0
        _run(options)
    except PackError as error:
        say(str(error))
    return 1


def _run(options: argparse.Namespace) -> None:
    """Make the environment, and go on there."""
    work: Path = options.work.resolve()
    open_pack(options.folder)
    say("unpacking")
    unpack_python(options.folder, work / "packages")
    python = make_environment(work / "environment", work / "packages/check")
    command = [
        str(python), "-m", "tests.gpu.check", "--pack", str(options.folder.resolve()), "--work", str(work),
        "--seconds", str(options.seconds),
    ]  # fmt: skip
    for name in ("out", "built"):
        if (path := getattr(options, name)) is not None:
            command += [f"--{name}", str(path.resolve())]
    os.chdir(REPOSITORY)
    # Others' packages on this machine are none of the check's.
    os.environ.pop("PYTHONPATH", None)
    os.execv(python, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
