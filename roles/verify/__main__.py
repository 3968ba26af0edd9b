"""`python -m roles.verify --config FOLDER`: exit status 0 = all checks pass, 1 = some fail, 2 = unknown."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from roles.contract.verdict import Verdict
from roles.verify.checks.speed import Measuring
from roles.verify.first_answers import first_answers
from roles.verify.generation import Generation
from roles.verify.loading import ConfigError, load_generation
from roles.verify.reports import EARLIER, FORMS, print_report
from roles.verify.reports.prometheus import prometheus
from roles.verify.request_way import way_on_this_host
from roles.verify.run import verify
from roles.verify.staged import verify_staged
from roles.verify.verdict.kept import VERDICTS, keep, read_kept
from roles.verify.verdict.kept_speeds import read_speeds
from roles.verify.verdict.quoting import printable
from roles.verify.verdict.writing import write_whole
from roles.verify.watch import WEBHOOK_VARIABLE, NotDelivered, has_changed, notify, settled, webhook

_UNKNOWN = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the verifier and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m roles.verify",
        description="Verifies that the deployed generation runs and that every route answers.",
        epilog="Exit status: 0 all checks pass, 1 some fail, 2 some or all could not be made.",
    )
    parser.add_argument("--config", type=Path, required=True, help="link to the generation, e.g. /etc/ai-backend")
    parser.add_argument("--deep", action="store_true", help="read every model's files, and compare their digests")
    parser.add_argument(
        "--apis",
        metavar="SECONDS",
        nargs="?",
        const=math.inf,
        type=float,
        help="ask each route as client programs ask, and with their mistakes; for so many seconds, else all",
    )
    parser.add_argument(
        "--faults", action="store_true", help="really stop backends, to see fallbacks answer: clients notice"
    )
    parser.add_argument(
        "--speed",
        nargs="?",
        choices=["all", "changed"],
        const="all",
        help="measure how fast each route answers, ten seconds each at most; changed: those that changed since",
    )
    forms = parser.add_mutually_exclusive_group()
    for name, form in FORMS.items():
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=form, help=f"print {form.what}")
    parser.add_argument("--keep", action="store_true", help="keep the verdict in the state folder, beside earlier ones")
    parser.add_argument("--staged", metavar="URL", help="ask the gateway there, which is tried out, and it alone")
    parser.add_argument("--stale", metavar="UNIT", nargs="*", default=[], help="units that do not run yet as deployed")
    parser.add_argument("--first-answers", action="store_true", help="print how soon each route answers after the boot")
    parser.add_argument(
        "--request",
        metavar="ID",
        type=_identifier,
        help="verify nothing, and show the way of the request whose client got this id in x-request-id",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help=f"keep the verdict, print for a journal, notify ${WEBHOOK_VARIABLE} of a change",
    )
    parser.add_argument(
        "--speed-at",
        metavar="HH:MM",
        help="with --watch: measure each route once in the three hours from then on, beside no request of others",
    )
    parser.add_argument("--textfile", type=Path, metavar="FILE", help="write the metrics there too")
    options = parser.parse_args(arguments)
    try:
        generation = load_generation(options.config)
    except ConfigError as error:
        print(f"verify: {error}", file=sys.stderr)
        return _UNKNOWN
    try:
        if options.request:
            print("\n".join(way_on_this_host(generation, options.request)))
            return 0
        if options.first_answers:
            print(json.dumps(asyncio.run(first_answers(generation))))
            return 0
        if options.staged:
            verdict = asyncio.run(verify_staged(generation, options.staged, options.stale))
        elif options.watch:
            speed = Measuring.at_night(options.speed_at, datetime.now().astimezone()) if options.speed_at else None
            # Each attempt verifies the generation that is current then.
            verdict = settled(
                lambda: asyncio.run(
                    verify(load_generation(options.config), speed=speed, last=_last(generation), sparing=True)
                ),
                generation.state,
            )
        else:
            # Rules of the firewall refuse others at some ports, and no wait changes that.
            wait = generation.scope == "user" or os.geteuid() == 0
            if not wait:
                _print_error(
                    "verify: not run as root: many checks cannot be made, and services are not waited for; use sudo"
                )
            made = verify(
                generation,
                progress=_print_error,
                deep=options.deep,
                apis=options.apis is not None,
                apis_seconds=options.apis or math.inf,
                faults=options.faults,
                speed=Measuring(options.speed) if options.speed else None,
                wait=wait,
                last=_last(generation),
                graphs=bool(options.form and options.form.graphs),
            )
            verdict = asyncio.run(made)
    except ConfigError as error:
        print(f"verify: {error}", file=sys.stderr)
        return _UNKNOWN
    except KeyboardInterrupt:
        print("verify: interrupted", file=sys.stderr)
        return _INTERRUPTED
    earlier = read_kept(generation.state, EARLIER)
    if options.keep or options.watch:
        _keep(verdict, generation)
    if options.textfile:
        _write_metrics(verdict, generation, options.textfile)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Models answer in any script; the terminal may support only one.
        sys.stdout.reconfigure(errors="backslashreplace")
    if options.watch:
        _print_for_journal(verdict)
        _notify_of_change(verdict, earlier)
    elif options.form:
        sys.stdout.write(options.form.write(verdict, earlier))
    else:
        print_report(verdict, Console(), earlier)
    return verdict.exit_status


def _identifier(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_-]{1,128}", text):
        raise argparse.ArgumentTypeError("an id of a request has letters, digits, - and _ alone")
    return text


def _last(generation: Generation) -> Verdict | None:
    """The last kept verdict."""
    return next(iter(read_kept(generation.state, 1)), None)


def _print_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _keep(verdict: Verdict, generation: Generation) -> None:
    """A verdict is valid even if it cannot be kept."""
    try:
        keep(verdict, generation.state)
    except OSError as error:
        place = error.filename or generation.state / VERDICTS
        _print_error(f"verify: the verdict is not kept: {place}: {error.strerror}")


def _write_metrics(verdict: Verdict, generation: Generation, file: Path) -> None:
    """Most verdicts measure no speed: the metrics have what was measured last."""
    measured = {each.route: each for each in verdict.speeds}
    last = [each.last for each in read_speeds(generation.state) if each.generation == verdict.generation]
    speeds = {each.route: each for each in last} | measured
    try:
        write_whole(prometheus(replace(verdict, speeds=tuple(speeds.values()))), file)
    except OSError as error:
        _print_error(f"verify: the metrics are not written: {error.filename or file}: {error.strerror}")


def _print_for_journal(verdict: Verdict) -> None:
    """One line for each check that does not pass, and a summary. The numbers are syslog's levels: see sd-daemon(3)."""
    for check in verdict.checks:
        if not check.ok:
            cause = f" (maybe {check.causes[0].cause}: {check.causes[0].look})" if check.causes else ""
            print(printable(f"<3>{check.id}: {' '.join(check.seen.split())}{cause}"))
    print(f"<{6 if verdict.status == 'pass' else 3}>{verdict.summary}", flush=True)


def _notify_of_change(verdict: Verdict, earlier: Sequence[Verdict]) -> None:
    url = webhook()
    if url and has_changed(verdict, earlier):
        try:
            notify(verdict, url)
        except NotDelivered as error:
            _print_error(f"verify: {error}")


if __name__ == "__main__":
    sys.exit(main())
