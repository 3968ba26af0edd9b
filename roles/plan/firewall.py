"""What asks for no login is closed to the other users of the host: nftables looks at who opens a connection.

It is a table of our own, which takes nothing from whatever other rules there are and adds nothing to them but refusals.
Only root can have one: in user scope there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roles.contract.generation import DIGEST_VARIABLE
from roles.plan.layout import Layout
from roles.plan.model import STAGED_PORTS, ServicePlan, Unit, runtime_folder
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_PLACEHOLDER, GATEWAY_INSTANCES

GATEWAY_USER = "ai-backend-gateway"
FRONT_USER = "ai-backend-front"
LOADER_USER = "ai-backend-loader"
"""Those who call what is closed to others. Of systemd's dynamic users none has a number before it runs."""

FIREWALL_UNIT = "ai-backend-firewall.service"
_RULES = "firewall.nft"
_TABLE = ("inet", "ai_backend")
_NFT = "/usr/sbin/nft"
_START_SECONDS = 30


def firewall_unit(layout: Layout, providers: Iterable[Unit]) -> Unit | None:
    """The task that loads the rules, before all that they close; none = in user scope."""
    if layout.scope == "user":
        return None
    listing = (_NFT, "list", "table", *_TABLE)
    return Unit(
        name=FIREWALL_UNIT,
        text=render(
            f"systemd/{FIREWALL_UNIT}.j2",
            layout=layout,
            unit=FIREWALL_UNIT,
            nft=_NFT,
            rules=_RULES,
            table=" ".join(_TABLE),
            listing=" ".join(listing),
            closed_units=[*GATEWAY_INSTANCES, *(unit.name for unit in _closed(providers))],
            runtime_folder=runtime_folder(FIREWALL_UNIT),
            digest_variable=DIGEST_VARIABLE,
            digest_placeholder=DIGEST_PLACEHOLDER,
        ),
        environment={},
        reads=(_RULES,),
        installs=(),
        start_timeout=_START_SECONDS,
        endpoint=None,
        holds=listing,
        last=True,
    )


def firewall_plan(unit: Unit, all_units: Sequence[Unit]) -> ServicePlan:
    """The rules, and what loads them."""
    rules = render(
        f"{_RULES}.j2",
        unit=FIREWALL_UNIT,
        table=" ".join(_TABLE),
        closed=[
            (each.name, each.endpoint.port, ", ".join(f'"{user}"' for user in ("root", *(each.callers or ()))))
            for each in _closed(all_units)
            if each.endpoint
        ],
        staged_ports=STAGED_PORTS,
    )
    return ServicePlan(units=(unit,), packages=("nftables",), files={_RULES: rules})


def _closed(units: Iterable[Unit]) -> list[Unit]:
    return [unit for unit in units if unit.callers is not None]
