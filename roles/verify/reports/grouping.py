"""The checks of a verdict in reading order: by part and subject, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roles.contract.verdict import Check, Status, Verdict

_TITLES: Mapping[str, str] = {
    "host": "Host",
    "generation": "Generation",
    "unit": "Units",
    "install": "Installs",
    "model": "Models",
    "gateway": "Gateway",
    "external": "Run by others",
    "route": "Routes",
}
_WORST_FIRST: tuple[Status, ...] = ("fail", "unknown", "pass")


def rank(check: Check) -> int:
    """A key to sort by: the worst first."""
    return _WORST_FIRST.index(check.status)


def worst(checks: Sequence[Check]) -> Status:
    """The status of the subject of the checks."""
    return min(checks, key=rank).status


def groups(verdict: Verdict) -> list[tuple[str, list[Check]]]:
    """Title → checks, for each part of the verdict that has any: known ones in a fixed order, then the others."""
    found = dict.fromkeys([*_TITLES, *(check.group for check in verdict.checks)])
    parts = {group: [check for check in verdict.checks if check.group == group] for group in found}
    return [(_TITLES.get(group, group.capitalize()), checks) for group, checks in parts.items() if checks]


def subjects(checks: Sequence[Check]) -> list[tuple[str, list[Check]]]:
    """Subject → its checks, both the worst first."""
    found = [(subject, [check for check in checks if check.subject == subject]) for subject in _subjects(checks)]
    return sorted(((subject, sorted(own, key=rank)) for subject, own in found), key=lambda each: rank(each[1][0]))


def _subjects(checks: Sequence[Check]) -> list[str]:
    return list(dict.fromkeys(check.subject for check in checks))
