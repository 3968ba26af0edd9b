"""How a host reaches what it fetches, in a plan: for its installers, and for servers that fetch by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from roles.contract.outbound import NEVER_PROXIED, NO_PROXY_VARIABLES, PROXY_VARIABLES
from roles.options import GivenSecret, OptionsError, Outbound
from roles.plan.layout import Layout

_CA_FILE = "outbound/ca.pem"
"""In a generation."""


@dataclass(frozen=True)
class ProxyLogin:
    """The address of a proxy with the login that it wants: a secret."""

    proxy: str
    login: GivenSecret

    def address(self, reveal: Callable[[GivenSecret], str] = lambda secret: secret.reveal()) -> str:
        """
        Raises:
            OptionsError: the secret has another form.
        """
        user, colon, password = reveal(self.login).partition(":")
        if not (user and colon and password):
            raise OptionsError(f"`login` of the proxy: the secret from {self.login.source()} is no `user:password`")
        scheme, _, host = self.proxy.partition("://")
        return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}"


@dataclass(frozen=True)
class OutboundPlan:
    """The same as the options say, with the text of the certificates."""

    proxy: str | ProxyLogin | None
    no_proxy: tuple[str, ...]
    ca: str | None


@dataclass(frozen=True)
class ServerOutbound:
    """What a server that fetches by itself gets of it: variables, secret ones, and files of the generation."""

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, ProxyLogin] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)


def outbound_plan(outbound: Outbound | None) -> OutboundPlan | None:
    """
    Raises:
        OptionsError: as `Outbound.authorities`.
    """
    if outbound is None:
        return None
    proxy = outbound.proxy.rstrip("/") if outbound.proxy else None
    return OutboundPlan(
        proxy=ProxyLogin(proxy, outbound.login) if proxy and outbound.login else proxy,
        no_proxy=tuple(outbound.no_proxy),
        ca=outbound.authorities(),
    )


def server_outbound(outbound: OutboundPlan | None, layout: Layout) -> ServerOutbound:
    if outbound is None:
        return ServerOutbound()
    environment: dict[str, str] = {}
    secrets: dict[str, ProxyLogin] = {}
    if outbound.proxy:
        environment |= dict.fromkeys(NO_PROXY_VARIABLES, ",".join((*NEVER_PROXIED, *outbound.no_proxy)))
    if isinstance(outbound.proxy, ProxyLogin):
        secrets = dict.fromkeys(PROXY_VARIABLES, outbound.proxy)
    elif outbound.proxy:
        environment |= dict.fromkeys(PROXY_VARIABLES, outbound.proxy)
    if outbound.ca:
        environment["SSL_CERT_FILE"] = f"{layout.config}/{_CA_FILE}"
    return ServerOutbound(environment, secrets, {_CA_FILE: outbound.ca} if outbound.ca else {})
