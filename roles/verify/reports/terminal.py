"""A verdict for people: one table with the failed checks first in each of its parts, then a summary line.

What does not pass is repeated below the table, where a terminal that has scrolled still shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roles.contract.verdict import Check, Status, Verdict
from roles.verify.reports.grouping import groups, subjects
from roles.verify.verdict.changes import changes
from roles.verify.verdict.quoting import printable

_MARKS: Mapping[Status, str] = {"pass": "ok", "fail": "FAIL", "unknown": "?"}
_STYLES: Mapping[Status, str] = {"pass": "green", "fail": "bold red", "unknown": "bold yellow"}


def print_report(verdict: Verdict, console: Console, earlier: Sequence[Verdict] = ()) -> None:
    """Prints the table, the changes since the last of the `earlier` verdicts (oldest first), what does not pass, and
    the summary. Colours only if the console is a terminal."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("check", ratio=3, overflow="fold")
    table.add_column("expected", ratio=3, overflow="fold")
    table.add_column("seen", ratio=4, overflow="fold")
    table.add_column("s", justify="right", no_wrap=True, min_width=5)
    table.add_column("", no_wrap=True, min_width=4)
    for title, checks in groups(verdict):
        _add_group(table, title, checks)
    console.print(table)
    _print_changes(verdict, console, earlier)
    for check in verdict.checks:
        if not check.ok:
            line = _line(f"{_MARKS[check.status]} {check.subject} {check.claim}: {check.seen}")
            console.print(Text(line, style=_STYLES[check.status], overflow="fold"))
    for each in verdict.memory:
        if each.planned is not None:
            planned, measured = each.numbers
            console.print(
                Text(_line(f"{each.memory} of {each.provider}: planned {planned}, measured {measured}")), soft_wrap=True
            )
    for warning in verdict.warnings:
        console.print(Text(_line(f"warning: {warning}"), style="bold yellow", overflow="fold"))
    console.print(Text(_line(verdict.summary), style=_STYLES[verdict.status]), soft_wrap=True)


def _print_changes(verdict: Verdict, console: Console, earlier: Sequence[Verdict]) -> None:
    changed = changes(earlier, verdict)
    if changed is None:
        return
    lines = changed.lines()
    console.print(
        Text(f"Since {_line(changed.since)}: {'' if lines else 'nothing changed'}", style="bold"), soft_wrap=True
    )
    for line in lines:
        console.print(Text(f"  {_line(line)}"), soft_wrap=True)
    console.print()


def _line(text: str) -> str:
    """On one line: a single entry must not look like several."""
    return printable(" ".join(text.split()))


def _add_group(table: Table, title: str, checks: Sequence[Check]) -> None:
    """A heading for the group, one for each subject, a row for each check."""
    table.add_section()
    table.add_row(Text(title, style="bold underline"))
    for subject, found in subjects(checks):
        table.add_row(Text(_line(subject), style="bold"))
        for check in found:
            style = _STYLES[check.status]
            table.add_row(
                Text(f"  {_line(check.claim)}"),
                Text(printable(check.expected)),
                # Text, not markup: a model may answer in square brackets.
                Text(printable(check.seen), style="" if check.ok else style),
                f"{check.seconds:.1f}",
                Text(_MARKS[check.status], style=style),
            )
            for cause in check.causes:
                table.add_row(
                    "", Text("    maybe", style="dim"), Text(printable(f"{cause.cause}\n{cause.look}"), style="dim")
                )
