"""Describes a generation for a report: who serves what, and where this host offers it."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from roles.contract.deployed import Deployed, DeployedProvider, DeployedRoute, Endpoint
from roles.contract.generation import INSTALL_MARK
from roles.verify.generation import Gateway, Generation, Route
from roles.verify.probe.examples import example_request

_EVERYWHERE = ("0.0.0.0", "::")
_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL$", re.MULTILINE)
"""An address of this host, as the kernel's routing table shows it."""


def describe(generation: Generation) -> Deployed:
    """What a generation contains, and where this host offers it."""
    return Deployed(
        scope=generation.scope,
        config=str(generation.config),
        endpoint=_endpoint(generation.gateway, generation) if generation.gateway else None,
        cache=generation.cache.service.unit if generation.cache else None,
        providers=tuple(
            DeployedProvider(each.name, each.kind, each.service.unit, each.api_base, each.models)
            for each in generation.providers
        )
        + tuple(
            DeployedProvider(each.name, each.kind, "", each.api_base, each.models) for each in generation.externals
        ),
        routes=tuple(_route(route) for route in generation.routes),
        installs=_installs(generation.folder),
    )


def _endpoint(gateway: Gateway, generation: Generation) -> Endpoint:
    service = gateway.service
    return Endpoint(
        url=f"{gateway.url}/v1",
        urls=_outside_urls(gateway),
        unit=service.unit,
        instances=tuple(instance.unit for instance in gateway.instances),
        key_file=_lasting_path(gateway.key_file, generation),
        key_variable=gateway.key_variable,
        cooldown=gateway.cooldown,
    )


def _outside_urls(gateway: Gateway) -> tuple[str, ...]:
    """Where other machines reach it."""
    service, reachable = gateway.service, _reachable(gateway.service.bind)
    if gateway.tls:
        return (f"https://{gateway.tls.server_name}:{service.port}/v1",) if reachable else ()
    return tuple(_url(address, service.port) for address in reachable)


def _lasting_path(file: Path, generation: Generation) -> str:
    """A path that stays valid after the next deploy; the verifier itself reads the file from its own generation."""
    if not file.is_relative_to(generation.folder):
        return str(file)
    return str(generation.config / file.relative_to(generation.folder))


def _url(address: str, port: int) -> str:
    return f"http://{f'[{address}]' if ':' in address else address}:{port}/v1"


def _reachable(bind: str) -> list[str]:
    """The addresses at which another machine may reach what is bound there."""
    if bind in _EVERYWHERE:
        return [address for address in _addresses() if bind == "::" or ":" not in address]
    try:
        return [] if ip_address(bind).is_loopback else [bind]
    except ValueError:
        return [] if bind == "localhost" else [bind]


def _addresses(proc: Path = Path("/proc")) -> list[str]:
    """This host's, without loopback and link-local ones; none if the tables cannot be read.

    Read from tables in /proc: the verifier's unit does not allow netlink, which programs normally use.
    """
    found: list[IPv4Address | IPv6Address] = []
    found += [IPv4Address(each) for each in _LOCAL.findall(_table(proc / "net/fib_trie"))]
    found += [IPv6Address(int(line.split()[0], 16)) for line in _table(proc / "net/if_inet6").splitlines()]
    return [str(address) for address in dict.fromkeys(found) if not address.is_loopback and not address.is_link_local]


def _table(file: Path) -> str:
    """Its text; empty if it does not exist, as without IPv6."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _route(route: Route) -> DeployedRoute:
    path, body = example_request(route)
    return DeployedRoute(
        name=route.name,
        aliases=route.aliases,
        mode=route.mode,
        deployments=tuple(deployment.id for deployment in route.deployments),
        fallbacks=route.fallbacks,
        path=path,
        body=body,
    )


def _installs(folder: Path) -> dict[str, str]:
    titles = {}
    for mark in sorted(folder.glob(f"install/*/{INSTALL_MARK}")):
        try:
            titles[mark.parent.name] = str(json.loads(mark.read_text())["title"])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # another check reports whether installs are complete
    return titles
