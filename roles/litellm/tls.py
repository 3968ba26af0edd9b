"""TLS on the endpoint: its options, and what keeps the front's certificate the host's own one.

HAProxy runs as a user of its own that cannot read a key of root's. A small program joins certificate and key for it: as
the front starts, and when one of the two files changes. A running front is given the new pair through its socket, and
no connection ends. The last good pair is kept: a renewal that went wrong changes nothing.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from roles.contract.manifest import Tls as ManifestTls
from roles.options import Many, Options, OptionsError, Port, quoted, spelled
from roles.plan import FRONT_USER, Layout, TimerUnit, TriggeredUnit, Unit, render

RENEWAL_UNIT = "ai-backend-certificate.service"
RENEWAL_WATCH = "ai-backend-certificate.path"
JOIN = "bin/join-certificate"
PACKAGES = ("openssl",)

_HOMES = ("/home/", "/root/")
_START_SECONDS = 60


def _no_parent(path: str) -> str:
    if "/." in path:
        raise ValueError(f"{quoted(path)} has a part that begins with a dot; give the whole path without such parts")
    return path


def _origin(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if text != "*" and (scheme not in ("http", "https") or not rest or set(rest) & set("/?#\"'\\ ,%*")):
        raise ValueError(
            f'{quoted(text)} is no web origin; give scheme, host and port as a browser sends them, or "*" for all'
        )
    return text


HostPath = Annotated[
    str,
    spelled("/[A-Za-z0-9._@+/-]+", 'whole path on the host, such as "/etc/ssl/ai.pem"'),
    AfterValidator(_no_parent),
]
"""Absolute path of a file on the host."""
DnsName = Annotated[
    str,
    spelled(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
        'DNS name in lower case, without scheme and port, such as "ai.example.com"',
    ),
]
Origin = Annotated[str, AfterValidator(_origin)]


class Tls(Options):
    """TLS on the endpoint, with a certificate that lies on the host: put there by its owner, or kept by an ACME client.
    A renewed one is used at once, and no request is lost."""

    certificate: HostPath = Field(examples=['certificate="/etc/letsencrypt/live/ai.example.com/fullchain.pem"'])
    """Path on the host of the certificate and what it is signed with, in PEM form, its own one first."""
    key: HostPath = Field(examples=['key="/etc/letsencrypt/live/ai.example.com/privkey.pem"'])
    """Path on the host of its private key, in PEM form and without a passphrase."""
    server_name: DnsName = Field(examples=['server_name="ai.example.com"'])
    """DNS name by which clients know the endpoint: the certificate must be for it."""
    warn_days: Annotated[int, Field(ge=1)] = Field(14, examples=["warn_days=21"])
    """Days before the certificate's end from which on a verification fails."""
    hsts: bool = Field(False, examples=["hsts=True"])
    """Have browsers use this name with TLS alone, for a year (`Strict-Transport-Security`)."""
    local_port: Port | None = Field(None, examples=["local_port=4103"])
    """Loopback port at which the host itself asks without TLS, as the verifier does; none = the one after the
    instances' ports."""

    @model_validator(mode="after")
    def _files_differ(self) -> Tls:
        if self.certificate == self.key:
            raise ValueError(f"`certificate` and `key` are both {self.key}; give each a file of its own")
        return self


class Cors(Options):
    """Which web pages may call the endpoint from a browser. They need a key all the same."""

    origins: Many[Origin] = Field(("*",), examples=['origins=["https://chat.example.com"]'])
    """Origins of those pages, as a browser sends them; `*` = all, an empty list = none."""

    @property
    def for_all(self) -> bool:
        return "*" in self.origins


def joined_file(layout: Layout) -> str:
    """Where certificate and key lie as HAProxy takes them: in a folder that nobody else can enter."""
    return f"{layout.state}/tls/endpoint.pem"


def join_command(tls: Tls, layout: Layout) -> list[str]:
    """What joins them. The path of the front's socket follows, which only systemd can write."""
    user = FRONT_USER if layout.scope == "system" else ""
    program = ["/usr/bin/python3", "-I", "-S", f"{layout.config}/{JOIN}"]
    return [*program, tls.certificate, tls.key, joined_file(layout), user]


def join_program() -> str:
    return (resources.files("roles") / "litellm" / "join_certificate.py").read_text()


def renewal_units(tls: Tls, layout: Layout, socket: str) -> tuple[Unit, ...]:
    """The unit that gives a running front a renewed certificate, and the one that starts it.

    Raises:
        OptionsError: the files are where the verifier cannot look.
    """
    for file in (tls.certificate, tls.key):
        if layout.scope == "system" and file.startswith(_HOMES):
            raise OptionsError(
                f"Tls: {file} is in a home folder, which the host's units cannot see; have it installed elsewhere, "
                "such as in /etc/ssl (`acme.sh --install-cert` does that)"
            )
    files = [tls.certificate, tls.key]
    folders = [file.rpartition("/")[0] or "/" for file in files]
    service = TriggeredUnit(
        name=RENEWAL_UNIT,
        text=render(
            f"litellm/{RENEWAL_UNIT}.j2",
            layout=layout,
            unit=RENEWAL_UNIT,
            command=join_command(tls, layout),
            socket=socket,
        ),
        reads=(JOIN,),
        start_timeout=_START_SECONDS,
    )
    watch = TimerUnit(
        name=RENEWAL_WATCH,
        text=render(
            f"litellm/{RENEWAL_WATCH}.j2",
            layout=layout,
            unit=RENEWAL_WATCH,
            starts=RENEWAL_UNIT,
            paths=list(dict.fromkeys([*files, *folders])),
        ),
        start_timeout=10,
    )
    return (service, watch)


def tls_of(tls: Tls, local_port: int) -> ManifestTls:
    """What the verifier must know of it."""
    return ManifestTls(
        certificate=tls.certificate,
        server_name=tls.server_name,
        warn_days=tls.warn_days,
        local_port=local_port,
        renewal=RENEWAL_UNIT,
        watch=RENEWAL_WATCH,
    )
