"""The check of the version that a server says that it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from roles.contract.verdict import Check
from roles.ollama.plan import TRAITS
from roles.verify.checks.versions import version_checks
from roles.verify.generation import Provider, Service
from tests.deployed import context, deployed
from tests.labhost.http_server import QuietHandler, ThreadedServer


class _Says(QuietHandler):
    """A server that says what its class has as `says`."""

    says = b""

    def do_GET(self) -> None:
        assert self.path == "/api/version"
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.says)))
        self.end_headers()
        self.wfile.write(self.says)


def checked(folder: Path, url: str, declared: str) -> list[Check]:
    unit = "ollama.service"
    service = Service(unit, "127.0.0.1", 1, f"{url}/api/version", 1, folder / unit)
    provider = Provider("ollama", service, (), traits=TRAITS, version=declared)

    async def run() -> list[Check]:
        async with httpx.AsyncClient() as client:
            generation = deployed(folder, providers=(provider,))
            return list(await asyncio.gather(*version_checks(context(generation, client))))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("says", "ok", "seen", "code"),
    [
        pytest.param(b'{"version":"0.32.15"}', True, "0.32.15", None, id="the declared one"),
        pytest.param(b'{"version":"0.32.1"}', False, 'it says that it is "0.32.1"', "version-differs", id="older"),
        pytest.param(b'{"version":"0.32.150"}', False, 'it says that it is "0.32.150"', "version-differs", id="longer"),
        pytest.param(b"[]", None, "api/version: TypeError", None, id="something else"),
    ],
)
def test_the_version_that_answers_is_held_against_the_declared_one(
    says: bytes, ok: bool | None, seen: str, code: str | None, tmp_path: Path
) -> None:
    with ThreadedServer("127.0.0.1", type("Handler", (_Says,), {"says": says})) as server:
        (check,) = checked(tmp_path, server.url, "0.32.15")
    assert check.id == "unit/ollama.service/version"
    assert check.ok is ok
    assert seen in check.seen
    assert code is None or check.code == code


def test_a_generation_of_an_earlier_version_does_not_say_what_to_expect(tmp_path: Path) -> None:
    assert checked(tmp_path, "http://127.0.0.1:1", "") == []
