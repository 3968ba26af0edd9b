"""The output formats of a verdict: pure functions of it and of earlier ones, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from roles.contract.verdict import Verdict
from roles.verify.reports.html import html
from roles.verify.reports.junit import junit
from roles.verify.reports.markdown import markdown
from roles.verify.reports.prometheus import prometheus
from roles.verify.reports.terminal import print_report

__all__ = ["EARLIER", "FORMS", "Form", "print_report"]

EARLIER = 30
"""How many earlier verdicts a page shows."""


@dataclass(frozen=True)
class Form:
    """Attributes:
    file: the name of a file of that format.
    what: its description, for people.
    write: returns its text, which ends with a newline.
    graphs: it has those of the last day.
    """

    file: str
    what: str
    write: Callable[[Verdict, Sequence[Verdict]], str]
    graphs: bool = False


FORMS: Mapping[str, Form] = {
    "json": Form(
        "verdict.json",
        "the verdict as one JSON object (docs/verdict.schema.json)",
        lambda v, _: f"{v.to_json()}\n",
        True,
    ),
    "markdown": Form("status.md", "a status page in Markdown", markdown),
    "html": Form("status.html", "a status page in HTML, complete in one file", html, True),
    "junit": Form("junit.xml", "JUnit XML, for CI servers", lambda v, _: junit(v)),
    "prometheus": Form("metrics.prom", "a textfile for Prometheus' node exporter", lambda v, _: prometheus(v)),
}
