"""Signs of providers that others run."""

from __future__ import annotations

from collections.abc import Mapping

from roles.contract.verdict import Cause
from roles.verify.doctor.sign import GATEWAY_LOG, Sign

_ADDRESSES = "grep -A 9 '^externals:' {config}/providers.yaml"

EXTERNALS: Mapping[str, Sign] = {
    "external-unreachable": Sign(
        ("external/*",),
        ("external-unreachable",),
        "a server that others run cannot be reached",
        (
            Cause("it is down, or its address is wrong", _ADDRESSES),
            Cause(
                "it is of another host of the inventory, which does not let this one through yet: deploy that host",
                _ADDRESSES,
            ),
            Cause("a firewall or the network is between this host and it", "ip route; resolvectl status"),
            Cause("its certificate is of an authority of one's own: name that in `ca`", _ADDRESSES),
        ),
    ),
    "external-key": Sign(
        ("external/*",),
        ("external-key-refused", "key-refused"),
        "a server that others run refuses its key",
        (Cause("the key was revoked or has expired: give `api_key` a new one and deploy again", _ADDRESSES),),
    ),
    "external-limited": Sign(
        ("external/*",),
        ("external-limited",),
        "a server that others run says that too much was asked of it",
        (
            Cause("its limit of requests or tokens is used up for now", GATEWAY_LOG),
            Cause("the credit there is used up: see the account", _ADDRESSES),
        ),
    ),
    "external-refuses": Sign(
        ("external/*",),
        ("external-refuses", "request-failed", "backend-unreachable", "backend-timeout", "cooling-down"),
        "a server that others run does not answer as it should",
        (
            Cause("it has an outage", GATEWAY_LOG),
            Cause("it has no model of that name", _ADDRESSES),
        ),
    ),
    "route-external-refuses": Sign(
        ("route/*",),
        ("external-refuses",),
        "a server behind a route that others run does not answer as it should",
        (Cause("see the checks of that server, which say why", GATEWAY_LOG),),
    ),
}
