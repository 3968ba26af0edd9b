"""Value types that several options share."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints


def _ipv4(text: str) -> str:
    try:
        IPv4Address(text)
    except ValueError:
        raise ValueError(f'"{text}" is no IPv4 address; give one such as 127.0.0.1, or 0.0.0.0 for all') from None
    return text


def _network(text: str) -> str:
    try:
        IPv4Network(text)
    except ValueError:
        raise ValueError(f'"{text}" is no IPv4 network; give one such as 192.168.7.0/24, or one address') from None
    return text


def _web_address(text: str) -> str:
    if not text.startswith(("http://", "https://")) or any(c.isspace() for c in text):
        raise ValueError(f'"{text}" is no http:// or https:// address')
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
"""Name of a service instance: it becomes part of unit and folder names."""

ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,200}$")]
"""Name of a model as a client or a provider spells it, e.g. `llama3.1:latest`."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1)]
BindAddress = Annotated[str, AfterValidator(_ipv4)]
Network = Annotated[str, AfterValidator(_network)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,100}$")]
"""A commit of a model repository: 40 hexadecimal digits pin it; a branch or tag is resolved when it is fetched."""

Url = Annotated[str, AfterValidator(_web_address)]
MemorySize = Annotated[str, StringConstraints(pattern=r"^[0-9]+[KMGT]$")]
"""A size as systemd writes it: `512M`, `16G`."""
