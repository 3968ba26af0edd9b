"""Providers of the inventory's other hosts: a gateway asks through to them, and their outage alone fails no host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roles.contract import manifest
from roles.contract.verdict import Check
from roles.verify.checks.asked import asked_checks
from roles.verify.context import gateway_client
from roles.verify.doctor import explained
from roles.verify.generation import Deployment, External, Generation, Mode, Probe, Provider, Route, Service
from roles.verify.staged import verify_staged
from tests.deployed import context, deployed, route
from tests.gateway_double import BASE, KEY, Double, Verified

THEIRS, OWN = "qwen@one/native", "qwen@backend"
ALONE = f"route/{THEIRS}/alone"
REACHED = "external/one/native/reached"
PROBE = Probe("Who are you?", None, 64, timeout=10.0)


@pytest.fixture
def far() -> Iterator[Double]:
    """The provider on the other host."""
    with Double() as server:
        yield server


def routes(*own: Deployment, **options: object) -> tuple[Route, ...]:
    """A route to the other host, and to the servers of this one that are given; and one to this one."""
    theirs = Deployment(THEIRS, BASE, "one/native", weight=3)
    return (
        route("qwen", (theirs, *own), PROBE, **options),
        route("gpt-4o", (Deployment("gpt-4o@backend", BASE, "backend"),), PROBE),
    )


@pytest.fixture
def verified(verified: Verified, double: Double, far: Double, tmp_path: Path) -> Verified:
    key_file = tmp_path / "one.env"
    key_file.write_text(f"KEY={KEY}\n")
    external = External("one/native", "llama-server", f"{far.url}/v1", ("qwen",), False, key_file, "KEY", host="one")
    double.names = ("qwen", "gpt-4o")
    double.spoil("gpt-4o", origin="gpt-4o@backend")
    double.spoil(THEIRS, origin=THEIRS)
    shared = routes(Deployment(OWN, BASE, "backend"), balance=False)
    return replace(verified, generation=replace(verified.generation, externals=(external,), routes=shared))


def stop(far: Double) -> None:
    far.shutdown()
    far.server_close()


def test_they_are_asked_through_each_time(verified: Verified, double: Double) -> None:
    for _ in range(2):
        verdict = verified.verdict(sparing=True)
        assert verdict.status == "pass"
        assert {REACHED, ALONE, "route/qwen/stream"} <= {check.id for check in verdict.checks}
        assert THEIRS in [body["model"] for body in double.bodies]
        double.bodies.clear()


def test_an_outage_is_a_warning_that_names_the_host_while_others_answer(
    verified: Verified, double: Double, far: Double
) -> None:
    stop(far)
    double.spoil(THEIRS, status=500, error="Cannot connect to host")
    verdict = verified.verdict()
    assert verdict.status == "pass"
    seen = {check.id: check.seen for check in verdict.checks}
    assert seen[ALONE].endswith("host one does not answer, and others do")
    (state,) = verdict.externals
    assert state.warning.startswith("one/native: ")
    assert f"{OWN} answers for it" in state.warning


def test_a_share_that_nobody_takes_is_one_too(verified: Verified, double: Double, far: Double) -> None:
    stop(far)
    double.spoil(THEIRS, status=500, error="Cannot connect to host")
    verdict = verified.verdict(routes=routes(Deployment(OWN, BASE, "backend"), balance=True))
    assert verdict.status == "pass"


def test_a_fallback_may_stand_in(verified: Verified, double: Double, far: Double) -> None:
    stop(far)
    double.spoil(THEIRS, status=500, error="Cannot connect to host")
    double.spoil("qwen", origin="gpt-4o@backend", fallbacks="1")
    assert verified.verdict(routes=routes(fallbacks=("gpt-4o",))).status == "pass"


def test_an_outage_that_nobody_stands_in_for_fails_and_names_the_host(
    verified: Verified, double: Double, far: Double
) -> None:
    stop(far)
    double.spoil(THEIRS, "qwen", status=500, error="Cannot connect to host")
    red = verified.red(routes=routes())
    assert red.keys() == {REACHED, "route/qwen/chat", "route/qwen/stream"}


def test_what_fails_on_a_host_that_answers_is_no_outage(verified: Verified, double: Double) -> None:
    double.spoil(THEIRS, status=500, error="broken")
    assert verified.red().keys() == {ALONE}


def test_a_gateway_is_tried_out_without_hosts_that_are_away(verified: Verified, double: Double, far: Double) -> None:
    def staged(generation: Generation) -> dict[str, bool | None]:
        verdict = asyncio.run(verify_staged(generation, double.url, ()))
        return {check.id: check.ok for check in verdict.checks if check.group == "route"}

    tried = {f"route/{id}/staged" for id in (OWN, "gpt-4o@backend")}
    double.spoil("gpt-4o@backend", origin="gpt-4o@backend")
    assert staged(verified.generation) == dict.fromkeys({*tried, f"route/{THEIRS}/staged"}, True)
    stop(far)
    double.spoil(THEIRS, status=500, error="Cannot connect to host")
    assert staged(verified.generation) == dict.fromkeys(tried, True)


def test_a_backend_asks_itself_what_gateways_ask_it(far: Double, tmp_path: Path) -> None:
    def checks() -> tuple[Check, ...]:
        async def made() -> list[Check]:
            async with gateway_client() as client:
                return await asyncio.gather(*asked_checks(context(generation, client)))

        return explained(asyncio.run(made()), generation)

    (tmp_path / "key.env").write_text(f"KEY={KEY}\n")
    modes: dict[str, Mode] = {"qwen": "chat", "vector": "embedding"}
    asked = tuple(
        manifest.AskedModel(model, mode, manifest.Probe("Who?", "double" if mode == "chat" else None, 64, 10.0))
        for model, mode in modes.items()
    )
    service = Service("native.service", "127.0.0.1", far.server_port, f"{far.url}/health", 5, tmp_path / "x")
    provider = Provider("native", service, (), asked=asked, key_file=tmp_path / "key.env", key_variable="KEY")
    generation = deployed(tmp_path, providers=(provider,))
    far.spoil("qwen", words="the double")
    chat, vector = checks()
    assert (chat.id, chat.ok, chat.seen) == ("route/qwen@native/asked-chat", True, '"the double"')
    assert (vector.id, vector.ok) == ("route/vector@native/asked-embedding", True)
    assert {body["model"] for body in far.bodies} == {"qwen", "vector"}
    far.spoil("qwen", words="somebody else")
    chat, _ = checks()
    assert (chat.ok, chat.code) == (False, "wrong-words")
    far.spoil("qwen", status=500, error="out of memory")
    chat, _ = checks()
    assert "native.service refuses it" in chat.causes[0].cause
