"""Ports that require no login are closed to the host's other users: nftables matches on the connecting user. Ports of
providers that gateways of other hosts use are closed to all other hosts.

The rules are in a table of our own. It changes no other rules, and adds nothing but refusals. Only root can create one:
in user scope there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from roles.contract.generation import DIGEST_VARIABLE
from roles.plan.layout import Layout
from roles.plan.model import STAGED_PORTS, ServicePlan
from roles.plan.templates import render
from roles.plan.unit_file import DIGEST_PLACEHOLDER, GATEWAY_INSTANCES
from roles.plan.units import ServerUnit, TaskUnit, runtime_folder

GATEWAY_USER = "ai-backend-gateway"
FRONT_USER = "ai-backend-front"
LOADER_USER = "ai-backend-loader"
PROMETHEUS_USER = "ai-backend-prometheus"
"""The users that call what is closed to others. A dynamic user of systemd has no uid before its unit runs."""

FIREWALL_UNIT = "ai-backend-firewall.service"
_RULES = "firewall.nft"
_TABLE = ("inet", "ai_backend")
_NFT = "/usr/sbin/nft"
_START_SECONDS = 30


def load_command(layout: Layout) -> tuple[str, ...]:
    """Loads the rules. Each loading takes the place of the one before, in one step."""
    return (_NFT, "-f", f"{layout.config}/{_RULES}")


def firewall_plan(layout: Layout, servers: Sequence[ServerUnit]) -> ServicePlan | None:
    """The rules, and the task that loads them before the services that they close; none in user scope."""
    if layout.scope == "user":
        return None
    closed = [server for server in servers if server.callers is not None]
    peered = [server for server in servers if server.peers is not None]
    listing = (_NFT, "list", "table", *_TABLE)
    unit = TaskUnit(
        name=FIREWALL_UNIT,
        text=render(
            f"host/{FIREWALL_UNIT}.j2",
            layout=layout,
            unit=FIREWALL_UNIT,
            nft=_NFT,
            rules=_RULES,
            table=" ".join(_TABLE),
            listing=" ".join(listing),
            # All instances that there may be: then a change of their number does not change this unit.
            closed_units=list(dict.fromkeys([*GATEWAY_INSTANCES, *(server.name for server in (*closed, *peered))])),
            runtime_folder=runtime_folder(FIREWALL_UNIT),
            digest_variable=DIGEST_VARIABLE,
            digest_placeholder=DIGEST_PLACEHOLDER,
        ),
        reads=(_RULES,),
        start_timeout=_START_SECONDS,
        effect_command=listing,
        last=True,
    )
    rules = render(
        f"host/{_RULES}.j2",
        unit=FIREWALL_UNIT,
        table=" ".join(_TABLE),
        closed=[
            *((each.name, each.endpoint.port, _quoted("root", *(each.callers or ()))) for each in closed),
            *(
                (each.name, each.endpoint.metrics_port, _quoted("root", PROMETHEUS_USER))
                for each in servers
                if each.endpoint.metrics_port
            ),
        ],
        staged_ports=STAGED_PORTS,
        peered=[(each.name, each.endpoint.port, ", ".join(each.peers or ())) for each in peered],
    )
    return ServicePlan(units=(unit,), packages=("nftables",), files={_RULES: rules})


def _quoted(*users: str) -> str:
    return ", ".join(f'"{user}"' for user in users)
