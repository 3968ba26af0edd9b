"""`ai-backend-lint FILE…`, or `python -m roles.lint FILE…`.

Exit status: 0 = no errors (warnings may be), 1 = errors, 2 = a file cannot be read.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from roles.lint.document import reason
from roles.lint.environment_file import parse_environment
from roles.lint.files import STANDARD_INPUT, NotReadableError, read_included, read_named
from roles.lint.finding import Finding
from roles.lint.known import known_releases, parse_version
from roles.lint.rules.reading import UNREADABLE
from roles.lint.run import Source, lint_together

_ERRORS, _UNREADABLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the findings and returns the exit status."""
    options = _parser().parse_args(arguments)
    if len(options.env_file) not in (0, 1, len(options.files)):
        return _refuse("give --env-file once for all files, or once for each")
    if [*options.files, *options.env_file].count(STANDARD_INPUT) > 1:
        return _refuse(f"name {STANDARD_INPUT} once: standard input can be read once")
    environment_files = [_source(file, None) for file in options.env_file]
    environments = [None if source.unreadable else parse_environment(source.text) for source in environment_files]
    if len(environments) < len(options.files):
        environments = (environments or [None]) * len(options.files)
    sources = [_source(*pair) for pair in zip(options.files, environments, strict=True)]
    unread = [source for source in environment_files if source.unreadable]
    findings = lint_together([*unread, *sources], version=options.litellm)
    if sys.stdout is None:
        return _refuse("the findings cannot be written: standard output is closed")
    try:
        _print(findings, as_json=options.json)
    except OSError as error:
        # What is left in the buffer would be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refuse(f"the findings cannot be written: {reason(error)}")
    if any(finding.rule in UNREADABLE for finding in findings):
        return _UNREADABLE
    return _ERRORS if any(finding.severity == "error" for finding in findings) else 0


def _source(file: str, environment: Mapping[str, str] | None) -> Source:
    try:
        return Source(read_named(file), file, environment, read_included)
    except NotReadableError as error:
        return Source("", file, unreadable=str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ai-backend-lint",
        description="Finds mistakes in LiteLLM configurations that LiteLLM itself accepts.",
        epilog="Exit status: 0 no errors (warnings may be), 1 errors, 2 a file cannot be read.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="configuration, - = standard input; several = proxies on one host"
    )
    parser.add_argument(
        "--litellm",
        type=_version,
        default=known_releases()[-1],
        metavar="VERSION",
        help="release that will run with it (default: %(default)s)",
    )
    parser.add_argument(
        "--env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="environment of the process (NAME=value lines); once for all files, or once for each in their order",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of the findings")
    return parser


def _version(text: str) -> str:
    try:
        parse_version(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _print(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]), flush=True)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Model names can be in any script; the terminal may support only one.
        sys.stdout.reconfigure(errors="backslashreplace")
    for finding in findings:
        print(finding)
    sys.stdout.flush()


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return _UNREADABLE


def command() -> None:
    """The installed command."""
    # `… | head` ends it without a message.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())


if __name__ == "__main__":
    command()
