"""What changed from one verdict to the next: what began to fail, what passes again, what got slow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roles.contract.verdict import Check, Verdict

SLOWER = 2.0
"""How many times as long as before an answer must take to be reported."""

FLOOR = 1.0
"""Seconds. Below it a doubling is chance."""

_OUTSIDE = "host/outside/"
"""The beginning of the ids of checks that are made from other machines; that machine's name follows."""
_HERE = ""
_ON_DEMAND = re.compile("^route/.*/(fault-injection-|speed$)")


@dataclass(frozen=True)
class Changes:
    """Attributes:
    since: when the earlier run began: ISO 8601, UTC.
    context: what else is different: another generation, another boot.
    failing: checks that did not fail and do now, and those that passed and could not be made this time.
    recovered: checks that pass again.
    new: checks that were not made before, but for those on demand that pass.
    gone: checks that are no longer made, but for those on demand.
    slower: requests that pass but take far longer, each with the seconds that it took before.
    """

    since: str
    context: tuple[str, ...]
    failing: tuple[Check, ...]
    recovered: tuple[Check, ...]
    new: tuple[Check, ...]
    gone: tuple[Check, ...]
    slower: tuple[tuple[Check, float], ...]

    def lines(self) -> list[str]:
        """For people, the worst first; empty if nothing changed."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for check in self.failing:
            yield f"{'fails now' if check.ok is False else 'could not be checked'}: {check.id}: {check.seen}"
        for check in self.recovered:
            yield f"passes again: {check.id}"
        for check, before in self.slower:
            yield f"slower: {check.id}: {before:.1f} s → {check.seconds:.1f} s"
        for check in self.new:
            yield f"new{'' if check.ok else ', and does not pass'}: {check.id}"
        for check in self.gone:
            yield f"no longer checked: {check.id}"
        yield from self.context


def changes(earlier: Sequence[Verdict], verdict: Verdict) -> Changes | None:
    """What changed since the last of the `earlier` verdicts; None = there is none.

    A check that another machine makes counts if that machine had a part in both.
    """
    if not earlier:
        return None
    last = earlier[-1]
    places = _places(last) & _places(verdict)
    before = {check.id: check for check in last.checks if _place(check) in places}
    made = [check for check in verdict.checks if _place(check) in places]
    now = {check.id for check in made}
    both = [(before[check.id], check) for check in made if check.id in before]
    return Changes(
        since=last.time,
        context=tuple(_context(last, verdict)),
        failing=tuple(
            sorted((check for old, check in both if _is_worse(old, check)), key=lambda each: each.ok is None)
        ),
        recovered=tuple(check for old, check in both if check.ok and not old.ok),
        new=tuple(check for check in made if check.id not in before and not (check.ok and _is_on_demand(check))),
        gone=tuple(check for check in before.values() if check.id not in now and not _is_on_demand(check)),
        slower=tuple((check, old.seconds) for old, check in both if _is_slower(old, check)),
    )


def _places(verdict: Verdict) -> frozenset[str]:
    """Where its checks were made: those of the control machine are only in a verdict by hand, those of another host
    only if that was in the inventory."""
    return frozenset({_HERE, *map(_place, verdict.checks)})


def _place(check: Check) -> str:
    """The machine that made a check."""
    return check.id.split("/")[2] if check.id.startswith(_OUTSIDE) else _HERE


def _is_on_demand(check: Check) -> bool:
    """It is made only if somebody wants it: its absence says nothing."""
    return check.asks_apis or bool(_ON_DEMAND.search(check.id))


def _is_worse(old: Check, check: Check) -> bool:
    return (old.ok is not False and check.ok is False) or (bool(old.ok) and check.ok is None)


def _is_slower(old: Check, check: Check) -> bool:
    # The duration of other checks shows nothing about the service.
    asks = check.group == "route" and bool(old.ok and check.ok) and not check.id.endswith("/speed")
    return asks and check.seconds >= FLOOR and check.seconds > SLOWER * old.seconds


def _context(last: Verdict, verdict: Verdict) -> Iterator[str]:
    if last.generation != verdict.generation:
        yield f"generation {last.generation} → {verdict.generation}"
    if last.boot_id != verdict.boot_id:
        yield "the host was booted since"
