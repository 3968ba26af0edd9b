"""The figures, for people and for programs, with all that they depend on."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from roles.litellm import LITELLM_VERSION
from tests.bench.errors import BenchError
from tests.bench.gateway import PLACES
from tests.bench.measure import Row
from tests.bench.overhead import Overhead
from tests.bench.requests.compare import Comparison
from tests.bench.requests.report import COMPARISON_TITLES, THROUGHPUT_TITLES, comparison_cells, throughput_cells
from tests.bench.requests.throughput import Rates
from tests.labhost.image import DEFAULT_RELEASE, RELEASES


@dataclass(frozen=True)
class Setting:
    """Where and when the figures were taken."""

    date: str
    command: str
    processor: str
    cores: int
    load: float
    """Mean number of busy processes in the minute before: above 0 somebody else was at work."""
    kernel: str
    python: str
    pyinfra: str
    ansible_core: str | None
    """None where nothing is measured of Ansible."""

    @classmethod
    def now(cls, arguments: Sequence[str], ansible: bool = True) -> Setting:
        """This machine, now.

        Raises:
            BenchError: Ansible is needed and not installed.
        """
        try:
            ansible_core = version("ansible-core") if ansible else None
        except PackageNotFoundError:
            raise BenchError("Ansible is not installed: run `make bench`, or first `uv sync --group bench`") from None
        model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            command=shlex.join(["python", "-m", "tests.bench", *arguments]),
            processor=model[1] if model else platform.machine(),
            cores=os.cpu_count() or 0,
            load=round(os.getloadavg()[0], 1),
            kernel=platform.release(),
            python=platform.python_version(),
            pyinfra=version("pyinfra"),
            ansible_core=ansible_core,
        )


def print_report(setting: Setting, rows: Sequence[Row], overheads: Sequence[Overhead]) -> None:
    """Markdown tables and what they were measured with, on standard output."""
    console = Console(file=sys.stdout, width=120, highlight=False)
    if rows:
        _print_table(
            console,
            ("run", "added round trip", "SSH channels", "seconds: median (min-max)", "changed"),
            [(row.what, f"{row.round_trip} ms", row.channels, row.seconds, row.changed) for row in rows],
        )
    if overheads:
        _print_table(
            console,
            ("the same chat, by way of", "p50", "p95", f"p95, {PLACES} at once", "answers/s (min-max)", "memory"),
            [_overhead_cells(each) for each in overheads],
        )
    _print_setting(console, setting, f"Lab hosts: {RELEASES[DEFAULT_RELEASE]}. ")


def print_requests(setting: Setting, comparison: Comparison, rates: Sequence[Rates]) -> None:
    """Likewise, of `requests`."""
    console = Console(file=sys.stdout, width=140, highlight=False)
    print(f"Before: commit {comparison.before}.\n")
    _print_table(console, COMPARISON_TITLES, comparison_cells(comparison))
    _print_table(console, THROUGHPUT_TITLES, throughput_cells(rates))
    _print_setting(console, setting)


def _print_setting(console: Console, setting: Setting, hosts: str = "") -> None:
    ansible = f"ansible-core {setting.ansible_core}, " if setting.ansible_core else ""
    console.print(
        f"{setting.date}, `{setting.command}`. {hosts}Machine: {setting.cores} cores of "
        f"{setting.processor}, kernel {setting.kernel}, load {setting.load} before the run. "
        f"Python {setting.python}, pyinfra {setting.pyinfra}, {ansible}LiteLLM {LITELLM_VERSION}.",
        soft_wrap=True,
        markup=False,
    )


def _print_table(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=box.MARKDOWN)
    table.add_column(titles[0])
    for title in titles[1:]:
        table.add_column(title, justify="right")
    for cells in rows:
        table.add_row(*cells)
    with console.capture() as printed:
        console.print(table)
    print(printed.get().strip(), end="\n\n")  # rich frames a Markdown table with lines of spaces


def _overhead_cells(overhead: Overhead) -> Sequence[str]:
    return (
        overhead.way,
        *(f"{seconds * 1000:.1f} ms" for seconds in (overhead.p50, overhead.p95, overhead.busy_p95)),
        f"{overhead.rate:.0f} ({min(overhead.rates):.0f}-{max(overhead.rates):.0f})",
        f"{overhead.memory / 2**20:.0f} MB",
    )


def as_json(setting: Setting, rows: Sequence[Row], overheads: Sequence[Overhead]) -> dict[str, Any]:
    return {
        "setting": {**asdict(setting), "lab_host": RELEASES[DEFAULT_RELEASE]},
        "rows": [
            {
                "what": row.what.name.lower(),
                "added_round_trip_ms": row.round_trip,
                "runs": [asdict(run) for run in row.runs],
            }
            for row in rows
        ],
        "overheads": [{**asdict(each), "way": each.way.name.lower()} for each in overheads],
    }
