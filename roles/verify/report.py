"""A verdict for people: one table, the failed checks first in each of its parts, one line to sum it up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roles.verify.verdict import Check, Status, Verdict

_GROUPS: Mapping[str, str] = {
    "host": "Host",
    "unit": "Units",
    "model": "Models",
    "gateway": "Gateway",
    "route": "Routes",
}
_MARKS: Mapping[Status, str] = {"pass": "ok", "fail": "FAIL", "unknown": "?"}
_STYLES: Mapping[Status, str] = {"pass": "green", "fail": "bold red", "unknown": "bold yellow"}
_WORST_FIRST: tuple[Status, ...] = ("fail", "unknown", "pass")


def print_report(verdict: Verdict, console: Console) -> None:
    """Prints the table and the summary. Colours only where the console is a terminal."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("check", ratio=3, overflow="fold")
    table.add_column("expected", ratio=3, overflow="fold")
    table.add_column("seen", ratio=4, overflow="fold")
    table.add_column("s", justify="right", no_wrap=True, min_width=5)
    table.add_column("", no_wrap=True, min_width=4)
    for group, title in _GROUPS.items():
        _add_group(table, title, [check for check in verdict.checks if check.group == group])
    console.print(table)
    console.print(Text(verdict.summary, style=_STYLES[verdict.status]), soft_wrap=True)


def _add_group(table: Table, title: str, checks: Iterable[Check]) -> None:
    """A heading for the group, one for each subject, a row for each check."""
    by_subject: dict[str, list[Check]] = {}
    for check in checks:
        by_subject.setdefault(check.subject, []).append(check)
    if not by_subject:
        return
    table.add_section()
    table.add_row(Text(title, style="bold underline"))
    for found in sorted(by_subject.values(), key=lambda found: min(map(_rank, found))):
        table.add_row(Text(found[0].subject, style="bold"))
        for check in sorted(found, key=_rank):
            style = _STYLES[check.status]
            table.add_row(
                Text(f"  {check.claim}"),
                Text(check.expected),
                # Text, not markup: a model may well answer in square brackets.
                Text(check.seen, style="" if check.ok else style),
                f"{check.seconds:.1f}",
                Text(_MARKS[check.status], style=style),
            )


def _rank(check: Check) -> int:
    return _WORST_FIRST.index(check.status)
