"""The check of the endpoint's TLS side: the certificate that clients get.

Who has signed it is reported and not judged: clients may know an authority of their own.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roles.contract.verdict import Check
from roles.verify.context import VerificationContext
from roles.verify.generation import Service, Tls
from roles.verify.verdict.claim import CannotCheck, CheckFailed, Claim
from roles.verify.verdict.quoting import printable

_LONGEST_ANSWER = 10.0
"""Seconds."""
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: what has expired can be read, too."""
_END = "-----END CERTIFICATE-----"
_DAY = 86400


async def certificate_check(tls: Tls, service: Service, context: VerificationContext) -> Check:
    """Whether clients get the certificate of the host's file, and for how long that is good."""
    expected = f"a certificate for {tls.server_name}, that of {tls.certificate}, for more than {tls.warn_days} days"
    claim = Claim("gateway/certificate", "gateway", "has a valid certificate", expected)
    return await claim.check(_certificate(tls, service, context))


async def _certificate(tls: Tls, service: Service, context: VerificationContext) -> str:
    served, protocol = await _served(tls, service)
    shown = await _decoded(served, tls, service)
    _require_now(shown)
    _require_name(shown, tls.server_name)
    if served != await asyncio.to_thread(_of_file, Path(tls.certificate)):
        raise CheckFailed("certificate-differs", f"{_described(shown)}; {tls.certificate} has another one")
    if (await context.state(tls.renewal)).active == "failed":
        raise CheckFailed(
            "certificate-kept", f"{_described(shown)}; {tls.renewal} has failed: what was renewed is not used"
        )
    if (left := _days_left(shown)) < tls.warn_days:
        raise CheckFailed("certificate-expires", f"{_described(shown)}: {left:.0f} days are left")
    return f"{_described(shown)}, {left:.0f} days; {protocol}"


async def _served(tls: Tls, service: Service) -> tuple[bytes, str]:
    """The certificate that clients get, in DER form, and the protocol that is agreed on."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname = False
    settings.verify_mode = ssl.CERT_NONE
    settings.set_alpn_protocols(["h2", "http/1.1"])
    connection = await _connected(settings, tls, service)
    return connection.getpeercert(binary_form=True) or b"", connection.selected_alpn_protocol() or "no ALPN"


async def _decoded(served: bytes, tls: Tls, service: Service) -> Mapping[str, Any]:
    """What is in a certificate. Python shows that of one that it has verified: this one is trusted for it."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname = False
    settings.verify_flags = ssl.VerifyFlags(ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    settings.load_verify_locations(cadata=served)
    return (await _connected(settings, tls, service)).getpeercert() or {}


async def _connected(settings: ssl.SSLContext, tls: Tls, service: Service) -> ssl.SSLObject:
    """A finished handshake, with the connection already closed.

    Raises:
        CheckFailed: there is none.
    """
    address = "127.0.0.1" if service.bind == "0.0.0.0" else service.bind
    try:
        async with asyncio.timeout(_LONGEST_ANSWER):
            _, writer = await asyncio.open_connection(
                address, service.port, ssl=settings, server_hostname=tls.server_name
            )
    except TimeoutError:
        raise CheckFailed("answer-timeout", f"no handshake within {_LONGEST_ANSWER:.0f} s") from None
    except ssl.SSLError as error:
        said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
        raise CheckFailed("tls-failed", f"the handshake fails: {said or error}") from None
    except OSError as error:
        raise CheckFailed("connection-failed", f"{address}:{service.port}: {error.strerror or error}") from None
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return found


def _require_now(shown: Mapping[str, Any]) -> None:
    now = time.time()
    if ssl.cert_time_to_seconds(shown["notAfter"]) <= now:
        raise CheckFailed("certificate-expired", f"{_described(shown)}: it has expired")
    if ssl.cert_time_to_seconds(shown["notBefore"]) > now:
        raise CheckFailed("certificate-early", f"{_described(shown)}: it is valid from {shown['notBefore']} on")


def _require_name(shown: Mapping[str, Any], name: str) -> None:
    names = [value.lower() for kind, value in shown.get("subjectAltName", ()) if kind == "DNS"]
    # A wildcard stands for one whole part of the name, the first one (RFC 6125).
    if not {name, f"*.{name.partition('.')[2]}"} & set(names):
        raise CheckFailed("certificate-name", f"{_described(shown)}: it is for {', '.join(names) or 'no DNS name'}")


def _of_file(file: Path) -> bytes:
    """The file's first certificate, in DER form."""
    try:
        text = file.read_text()
        begin = text.index("-----BEGIN CERTIFICATE-----")
        return ssl.PEM_cert_to_DER_cert(text[begin : text.index(_END, begin) + len(_END)])
    except PermissionError as error:
        raise CannotCheck(f"{file}: {error.strerror}") from None
    except OSError as error:
        raise CheckFailed("certificate-unreadable", f"{file}: {error.strerror}") from None
    except ValueError:
        raise CheckFailed("certificate-unreadable", f"{file} has no certificate in PEM form") from None


def _days_left(shown: Mapping[str, Any]) -> float:
    return (ssl.cert_time_to_seconds(shown["notAfter"]) - time.time()) // _DAY


def _described(shown: Mapping[str, Any]) -> str:
    subject, issuer = (_name(shown.get(role, ())) for role in ("subject", "issuer"))
    return f"{subject}, signed by {issuer}, until {shown['notAfter']}"


def _name(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A subject or an issuer, by its common name or whatever else it has."""
    named = dict(pair for part in parts for pair in part)
    return printable(named.get("commonName") or named.get("organizationName") or "an unnamed one")
