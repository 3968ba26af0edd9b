"""`python -m tests.bench [deploys|gateway] [--json FILE]`: exit status 1 when a run failed or a no-op was none."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.measure import broken_promises, measure
from tests.bench.overhead import measure_overhead
from tests.bench.report import Setting, as_json, print_report
from tests.labhost import Lab, LabError


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=("deploys", "gateway"), help="measure that alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    if options.json and not options.json.parent.is_dir():
        parser.error(f"there is no folder {options.json.parent}")  # now, and not after all the work
    try:
        setting = Setting.now(arguments)
        lab = Lab()
        rows = measure(lab, _say) if options.part != "gateway" else []
        overheads = measure_overhead(lab, _say) if options.part != "deploys" else []
    except (BenchError, LabError) as error:
        _say(str(error))
        return 1
    print_report(setting, rows, overheads)
    if options.json:
        options.json.write_text(json.dumps(as_json(setting, rows, overheads), indent=2) + "\n")
    problems = broken_promises(rows)
    for problem in problems:
        _say(problem)
    return 1 if problems else 0


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
