"""How a host reaches what it fetches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SerializeAsAny, model_validator

from roles.options.base import Many, Options
from roles.options.errors import OptionsError
from roles.options.secrets import GivenSecret
from roles.options.sources import TextFile
from roles.options.spelling import spelled
from roles.options.values import Url

ProxyUrl = Annotated[
    Url,
    spelled(
        r"http://[^/?#]+/?", 'address of a proxy, which speaks http itself, such as "http://proxy.example.com:3128"'
    ),
]
DirectHost = Annotated[
    str,
    spelled(
        r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?",
        'name or address of a host, or the domain of several, such as "mirror.example.com" or "10.1.2.3"',
    ),
]
_PEM = "-----BEGIN CERTIFICATE-----"


def authorities_in(ca: TextFile) -> str:
    """The certificates in the file of an option `ca`, read now.

    Raises:
        OptionsError: it cannot be read, has none, or has a private key, which every user of the host could read.
    """
    text = ca.text()
    if "PRIVATE KEY" in text:
        raise OptionsError(f"`ca`: {ca.path} has a private key in it: give a file with the certificates alone")
    if _PEM not in text:
        raise OptionsError(f"`ca`: {ca.path} has no certificate in PEM form, which begins with {_PEM}")
    return text if text.endswith("\n") else f"{text}\n"


class Outbound(Options):
    """The way of a host to what it fetches: Debian packages, Python packages, archives, sources, models. What the
    host asks of itself never goes that way.
    """

    proxy: ProxyUrl | None = Field(None, examples=['proxy="http://proxy.example.com:3128"'])
    """Address of an HTTP proxy that also takes CONNECT, for https."""
    login: SerializeAsAny[GivenSecret] | None = Field(None, examples=['login=EnvSecret("PROXY_LOGIN")'])
    """User and password for the proxy, as `user:password`: together at least 16 characters."""
    no_proxy: Many[DirectHost] = Field((), examples=['no_proxy=["mirror.example.com"]'])
    """Hosts that are reached without the proxy, by name or address; a domain stands for all hosts in it."""
    ca: TextFile | None = Field(None, examples=['ca=TextFile("~/ai-backend/company-ca.pem")'])
    """Certificates in PEM form of authorities that are trusted beside the host's own, as a proxy needs that looks into
    connections. Nothing else on the host gets to trust them."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Outbound:
        if self.proxy is None and (self.login or self.no_proxy):
            raise ValueError(f"`{'login' if self.login else 'no_proxy'}` is of no use without `proxy`; give that too")
        if self.proxy is None and self.ca is None:
            raise ValueError("give a `proxy`, a `ca`, or both")
        return self

    def authorities(self) -> str | None:
        """The certificates of `ca`, read now.

        Raises:
            OptionsError: as `authorities_in`.
        """
        return authorities_in(self.ca) if self.ca else None
