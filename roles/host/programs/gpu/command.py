"""The command line of `gpu`."""

from __future__ import annotations

import argparse
import json
import sys

from roles.host.programs.gpu.facts import READERS, facts
from roles.host.programs.gpu.serve import serve
from roles.host.programs.gpu.wait import GpuError, wait


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="gpu", description="What GPUs this host has, what they do, and the wait for them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("facts", help="print what GPUs there are, as JSON")
    serving = commands.add_parser("serve", help="show what NVIDIA's cards are doing, as metrics for Prometheus")
    serving.add_argument("--port", type=int, required=True, help="of 127.0.0.1")
    waiting = commands.add_parser("wait", help="end once the wanted cards are there, usable and free enough")
    waiting.add_argument("--vendor", choices=sorted(READERS), required=True)
    waiting.add_argument(
        "--uuid",
        action="append",
        default=[],
        help="a card that is wanted; none = all usable ones",
    )
    waiting.add_argument("--free-share", type=float, help="part of each card's memory that must be free, e.g. 0.9")
    waiting.add_argument("--timeout", type=float, required=True, help="seconds")
    chosen = parser.parse_args(arguments)
    if chosen.command == "facts":
        print(json.dumps(facts(), indent=2))
        return 0
    if chosen.command == "serve":
        try:
            serve(chosen.port)
        except OSError as error:
            print(f"port {chosen.port} of 127.0.0.1 cannot be had ({error.strerror}): free it", file=sys.stderr)
            return 1
    try:
        wait(chosen.vendor, chosen.uuid, chosen.free_share, chosen.timeout)
    except GpuError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
