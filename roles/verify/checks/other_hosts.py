"""Outages of the inventory's other hosts, seen from a gateway that uses them: while others answer in their place, no
failure of this host."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from roles.contract.verdict import Check, ExternalState
from roles.verify.generation import Generation, Route


def outages_tolerated(checks: Sequence[Check], states: Sequence[ExternalState], generation: Generation) -> list[Check]:
    """The checks, of which those of routes pass that fail for such an outage alone.

    Args:
        states: of the providers that others run: with a problem, others answer for one in each of its routes.
    """
    hosts = {each.name: each.host for each in generation.externals if each.host}
    away = {each.name for each in states if each.problem} & hosts.keys()
    excused = {id: name for route in generation.routes for id, name in _concerned(route, away)} if away else {}
    return [_tolerated(check, excused, hosts) for check in checks]


def _tolerated(check: Check, excused: dict[str, str], hosts: dict[str, str]) -> Check:
    # A check by the route's name has what is asked at its end.
    name = excused.get(check.id) or excused.get(check.id.rpartition("/")[0])
    if check.ok or name is None:
        return check
    return replace(check, ok=True, code=None, seen=f"{check.seen}; host {hosts[name]} does not answer, and others do")


def _concerned(route: Route, away: Collection[str]) -> list[tuple[str, str]]:
    """What an outage explains, as the ids of checks, or what they begin with; each with the provider that is away."""
    gone = [each for each in route.deployments if each.provider in away]
    if not gone:
        return []
    name = gone[0].provider
    found = [(f"route/{each.id}/alone", each.provider) for each in gone]
    found.append((f"route/{route.name}/balance", name))
    if all(each.provider in away for each in route.sharers):
        found += [(f"route/{public}", name) for public in route.names]
    return found
