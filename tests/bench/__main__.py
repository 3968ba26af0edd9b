"""`python -m tests.bench [deploys|gateway|requests] [--json FILE]`: exit status 1 when a run failed, a no-op was none,
or requests cost the gateway more than before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.measure import broken_promises, measure
from tests.bench.overhead import measure_overhead
from tests.bench.report import Setting, as_json, print_report, print_requests
from tests.bench.requests.compare import broken_promises as broken_promises_of_requests
from tests.bench.requests.compare import compare
from tests.bench.requests.report import as_json as requests_as_json
from tests.bench.requests.throughput import measure_throughput
from tests.labhost import Lab, LabError

_BEFORE = "12c91d5"
"""Before requests were checked and counted, and clients had keys of their own."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=("deploys", "gateway", "requests"), help="measure that alone")
    parser.add_argument("--before", default=_BEFORE, metavar="COMMIT", help="requests: compare with it (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    if options.json and not options.json.parent.is_dir():
        parser.error(f"there is no folder {options.json.parent}")  # now, and not after all the work
    try:
        if options.part == "requests":
            return _requests(Setting.now(arguments, ansible=False), options.before, options.json)
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


def _requests(setting: Setting, before: str, file: Path | None) -> int:
    comparison, rates = compare(before, _say), measure_throughput(_say)
    print_requests(setting, comparison, rates)
    if file:
        figures = {"setting": asdict(setting), **requests_as_json(comparison, rates)}
        file.write_text(json.dumps(figures, indent=2) + "\n")
    problems = broken_promises_of_requests(comparison)
    for problem in problems:
        _say(problem)
    return 1 if problems else 0


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
