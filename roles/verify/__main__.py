"""`python -m roles.verify --config FOLDER [--json]`: exit status 0 = all checks hold, 1 = some fail, 2 = unknown."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from roles.verify.first_answers import first_answers
from roles.verify.generation import ConfigError, load_generation
from roles.verify.report import print_report
from roles.verify.run import verify
from roles.verify.staged import verify_staged

_UNKNOWN = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the verifier and gives its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m roles.verify",
        description="Proves that the deployed generation runs and that every route answers.",
        epilog="Exit status: 0 all checks hold, 1 some fail, 2 some or all could not be made.",
    )
    parser.add_argument("--config", type=Path, required=True, help="link to the generation, e.g. /etc/ai-backend")
    parser.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    parser.add_argument("--deep", action="store_true", help="read every model's files, and compare their digests")
    parser.add_argument("--staged", metavar="URL", help="ask the gateway there, which is tried out, and it alone")
    parser.add_argument("--stale", metavar="UNIT", nargs="*", default=[], help="units that do not run yet as deployed")
    parser.add_argument("--first-answers", action="store_true", help="print how soon each route answers after the boot")
    options = parser.parse_args(arguments)
    try:
        generation = load_generation(options.config)
    except ConfigError as error:
        print(f"verify: {error}", file=sys.stderr)
        return _UNKNOWN
    try:
        if options.first_answers:
            print(json.dumps(asyncio.run(first_answers(generation))))
            return 0
        if options.staged:
            verdict = asyncio.run(verify_staged(generation, options.staged, options.stale))
        else:
            verdict = asyncio.run(verify(generation, progress=_tell, deep=options.deep))
    except KeyboardInterrupt:
        print("verify: interrupted", file=sys.stderr)
        return _INTERRUPTED
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Models answer in any script; the terminal may know only one.
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.json:
        print(verdict.to_json())
    else:
        print_report(verdict, Console())
    return verdict.exit_status


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
