"""A verdict as JUnit XML: a suite for each part, a test case for each check.

Source of the format: `junit-10.xsd` of Jenkins' xUnit plugin. A check that could not be made is an error: a run that
verifies nothing must not look green.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from roles.contract.verdict import Check, Status, Verdict
from roles.verify.reports.grouping import groups
from roles.verify.verdict.quoting import printable

_ELEMENTS: dict[Status, str] = {"fail": "failure", "unknown": "error"}

_UNCODED = "unknown"
"""The type of a result without a code: of a check that could not be made, or of a verdict without codes."""


def junit(verdict: Verdict) -> str:
    """The text of `junit.xml`."""
    found = verdict.count
    root = ElementTree.Element(
        "testsuites",
        {"name": f"ai-backend {printable(verdict.host)}", "time": _seconds(verdict.seconds), **_counts(found)},
    )
    root.set("tests", str(len(verdict.checks)))
    for title, checks in groups(verdict):
        root.append(_suite(title, checks, verdict))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(title: str, checks: Sequence[Check], verdict: Verdict) -> ElementTree.Element:
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": title,
            "tests": str(len(checks)),
            **_counts(Counter(check.status for check in checks)),
            "skipped": "0",
            "time": _seconds(sum(check.seconds for check in checks)),
            "timestamp": verdict.time,
            "hostname": printable(verdict.host),
        },
    )
    for check in checks:
        suite.append(_case(check))
    return suite


def _case(check: Check) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        {
            "name": printable(f"{check.subject} {check.claim}"),
            # CI servers split it at dots into a tree, and names of models and units are full of dots.
            "classname": f"ai-backend.{check.group}",
            "time": _seconds(check.seconds),
        },
    )
    if check.status in _ELEMENTS:
        about = {"type": check.code or _UNCODED, "message": check.seen}
        element = _ELEMENTS[check.status]
        wrong = ElementTree.SubElement(case, element, {key: printable(text) for key, text in about.items()})
        causes = [f"maybe: {cause.cause}\n  look: {cause.look}" for cause in check.causes]
        wrong.text = printable(
            "\n".join([f"check: {check.id}", f"expected: {check.expected}", f"seen: {check.seen}", *causes])
        )
    return case


def _counts(found: Counter[Status]) -> dict[str, str]:
    return {"failures": str(found["fail"]), "errors": str(found["unknown"])}


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
