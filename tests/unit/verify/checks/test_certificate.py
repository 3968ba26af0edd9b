"""The check of what clients get on the TLS side, against a server with that certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from roles.contract.verdict import Check
from roles.verify.checks.certificate import certificate_check
from roles.verify.generation import Scope, Service, Tls
from roles.verify.probe.systemd import UnitState
from tests.certificates import RSA, issue
from tests.deployed import context, deployed

NAME = "ai.example.com"
RENEWAL = "ai-backend-certificate.service"


@dataclass
class Endpoint:
    """What the endpoint serves, and what the host has.

    Attributes:
        pair: the files of certificate and key that it serves; None = it speaks no TLS.
        file: the host's certificate; None = the served one.
        renewal: the state of the unit that renews it.
    """

    pair: tuple[Path, Path] | None
    file: Path | None = None
    renewal: str = "inactive"
    server_name: str = NAME
    warn_days: int = 14
    bind: str = "127.0.0.1"


def checked(endpoint: Endpoint, folder: Path) -> Check:
    async def run() -> Check:
        settings = None
        if endpoint.pair:
            settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            settings.load_cert_chain(*endpoint.pair)
            settings.set_alpn_protocols(["h2"])
        server = await asyncio.start_server(_goodbye, "127.0.0.1", 0, ssl=settings)
        port = server.sockets[0].getsockname()[1]
        service = Service("front.service", endpoint.bind, port, "", 1, folder / "unit")
        file = endpoint.file or (endpoint.pair[0] if endpoint.pair else folder / "none")
        tls = Tls(str(file), endpoint.server_name, endpoint.warn_days, 4003, RENEWAL, "ai-backend-certificate.path")

        async def states(units: Sequence[str], scope: Scope) -> dict[str, UnitState]:
            return {
                unit: UnitState(unit, "loaded", endpoint.renewal, "dead", "success", "static", 0, 0, False)
                for unit in units
            }

        async with server, httpx.AsyncClient() as client:
            return await certificate_check(tls, service, context(deployed(folder), client, read_states=states))

    return asyncio.run(run())


async def _goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if not writer.get_extra_info("ssl_object"):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0"])
def test_a_good_one_passes_and_is_described(tmp_path: Path, bind: str) -> None:
    check = checked(Endpoint(issue(tmp_path, "a", "other", NAME), bind=bind), tmp_path)
    assert check.ok is True, check.seen
    assert check.seen.startswith("a, signed by a, until ")
    assert check.seen.endswith("GMT, 89 days; h2")


def test_a_wildcard_is_for_one_part_of_the_name(tmp_path: Path) -> None:
    good = Endpoint(issue(tmp_path, "a", "*.example.com", kind=RSA))
    assert checked(good, tmp_path).ok is True
    assert checked(replace(good, server_name="x.ai.example.com"), tmp_path).code == "certificate-name"


def test_what_is_wrong_has_a_code_of_its_own(tmp_path: Path) -> None:
    good = issue(tmp_path, "good", NAME)
    endpoints = {
        "certificate-expired": Endpoint(issue(tmp_path, "old", NAME, days=-1)),
        "certificate-early": Endpoint(issue(tmp_path, "early", NAME, not_before="20980101000000Z")),
        "certificate-name": Endpoint(issue(tmp_path, "wrong", "example.com")),
        "certificate-expires": Endpoint(issue(tmp_path, "short", NAME, days=13)),
        "certificate-differs": Endpoint(good, file=issue(tmp_path, "newer", NAME)[0]),
        "certificate-kept": Endpoint(good, renewal="failed"),
        "certificate-unreadable": Endpoint(good, file=tmp_path / "gone"),
        "tls-failed": Endpoint(None),
    }
    found = {code: checked(endpoint, tmp_path) for code, endpoint in endpoints.items()}
    assert {code: (check.ok, check.code) for code, check in found.items()} == {
        code: (False, code) for code in endpoints
    }
    assert "12 days are left" in found["certificate-expires"].seen


def test_a_key_in_the_place_of_the_certificate_is_not_one(tmp_path: Path) -> None:
    good = issue(tmp_path, "good", NAME)
    check = checked(Endpoint(good, file=good[1]), tmp_path)
    assert (check.code, check.seen) == ("certificate-unreadable", f"{good[1]} has no certificate in PEM form")
