"""Why a check fails: the likely causes in order, each with the command that shows more.

A failure is identified by its code and by what the check is about, never by the words of its message. The signs are
also a table of the documentation (`docs/troubleshooting.md`, by `make golden`). Each one that is possible on a host
without a card is provoked on a lab host, and must lead to its row (`tests/lab/faults.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from roles.contract.verdict import Check
from roles.verify.doctor.externals import EXTERNALS
from roles.verify.doctor.gateway import GATEWAY
from roles.verify.doctor.host import HOST
from roles.verify.doctor.installed import INSTALLED
from roles.verify.doctor.routes import ROUTES
from roles.verify.doctor.sign import Place, Sign
from roles.verify.doctor.units import UNITS
from roles.verify.generation import Generation

__all__ = ["SIGNS", "Place", "Sign", "explained"]

SIGNS: Mapping[str, Sign] = {**INSTALLED, **UNITS, **HOST, **GATEWAY, **EXTERNALS, **ROUTES}
"""By name, in the order in which they are tried: the first match counts."""


def explained(checks: Sequence[Check], generation: Generation) -> tuple[Check, ...]:
    """The checks, with likely causes for each that does not pass."""
    broken = {check.subject for check in checks if check.group == "unit" and not check.ok}
    place = Place(generation.scope, str(generation.config), str(generation.state), tuple(map(str, generation.disks)))
    return tuple(check if check.ok else _explained(check, generation, broken, place) for check in checks)


def _explained(check: Check, generation: Generation, broken: Collection[str], place: Place) -> Check:
    units = _units(check, generation)
    down = [unit for unit in units if unit in broken]
    for sign in SIGNS.values():
        if sign.explains(check, a_unit_is_down=bool(down)):
            unit = (down or units or [check.subject])[0]
            return replace(check, causes=sign.causes_at(place, unit))
    return check


def _units(check: Check, generation: Generation) -> list[str]:
    """The units that a check is about; for a route, those of its deployments on this host."""
    if check.id == "gateway/cache" and generation.cache:
        return [generation.cache.service.unit]
    if check.group != "route":
        return [check.subject]
    units = {provider.name: provider.service.unit for provider in generation.providers}
    asked = {f"{each.model}@{own.name}": own.service.unit for own in generation.providers for each in own.asked}
    if check.subject in asked:
        return [asked[check.subject]]
    of_routes = {name: route.deployments for route in generation.routes for name in route.names}
    of_routes |= {each.id: (each,) for route in generation.routes for each in route.deployments}
    return [units[each.provider] for each in of_routes.get(check.subject, ()) if each.provider in units]
