"""Planned and measured memory side by side: the real `bin/gpu` on what drivers were recorded to say, and processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from roles.contract.manifest import PlannedMemory, PlannedModel
from roles.contract.measured import EngineMemory
from roles.ollama import plan as ollama_plan
from roles.verify.checks.planned_memory import engine_memory
from roles.verify.generation import PLAIN, Gpus, Provider, Service, Traits
from tests.deployed import context, deployed
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.unit.verify.checks.test_cards import FIRST, OURS, SECOND, Host

MIB = 1 << 20
RESIDENT = 1000
"""MiB of main memory that the provider's process has."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path, monkeypatch)
    (host.proc / str(OURS) / "status").write_text(f"Name:\tengine\nVmHWM:\t9 kB\nVmRSS:\t {RESIDENT * 1024} kB\n")
    return host


def plan(card: int | None, main: int | None, **options: Any) -> PlannedMemory:
    """Of one model; sizes in MiB."""
    on_cards, in_main = (None if size is None else size * MIB for size in (card, main))
    return PlannedMemory((PlannedModel("m", on_cards, in_main),), **options)


def measured(
    host: Host,
    memory: PlannedMemory | None,
    *,
    uuids: Sequence[str] | None = (SECOND,),
    traits: Traits = PLAIN,
    url: str = "http://127.0.0.1:9/",
) -> dict[str, EngineMemory]:
    """By the kind of memory."""
    service = Service("engine.service", "127.0.0.1", 8001, url, 30, Path("/nowhere"))
    gpus = None if uuids is None else Gpus("nvidia", tuple(uuids))
    provider = Provider("engine", service, (), gpus=gpus, traits=traits, memory=memory)
    generation = deployed(host.config, providers=(provider,))

    async def run() -> tuple[EngineMemory, ...]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await engine_memory(context(generation, client, proc=host.proc))

    return {each.memory: each for each in asyncio.run(run())}


def test_a_plan_that_is_right_stands_beside_what_is_measured(host: Host) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 4100, llama-server")
    found = measured(host, plan(4000, 300))
    assert found["cards"].numbers == ("4000 MiB", "4100 MiB")
    assert found["main memory"].numbers == ("300 MiB", "1000 MiB")
    assert [each.warning for each in found.values()] == [
        "",
        "engine takes more of main memory than planned: planned 300 MiB, measured 1000 MiB",
    ]


@pytest.mark.parametrize(
    ("planned", "word"),
    [
        pytest.param(4000, "", id="as planned"),
        pytest.param(3700, "", id="a tenth more"),
        pytest.param(3600, "more", id="much more"),
        pytest.param(4500, "", id="a tenth less"),
        pytest.param(4600, "less", id="much less"),
    ],
)
def test_a_card_may_have_a_tenth_more_or_less(host: Host, planned: int, word: str) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 4060, llama-server")
    warning = measured(host, plan(planned, 900))["cards"].warning
    wanted = f"engine takes {word} of its cards than planned: planned {planned} MiB, measured 4060 MiB"
    assert warning == (wanted if word else "")


@pytest.mark.parametrize(
    ("planned", "grows", "warns"),
    [
        pytest.param(500, 0, False, id="a program's own"),
        pytest.param(400, 0, True, id="more than a program's own"),
        pytest.param(400, 200 * MIB, False, id="a cache that grows"),
        pytest.param(1, None, False, id="a cache without an end"),
        pytest.param(9000, 0, False, id="pages that nobody needed"),
    ],
)
def test_main_memory_warns_of_more_alone(host: Host, planned: int, grows: int | None, warns: bool) -> None:
    found = measured(host, plan(None, planned, grows=grows), uuids=None)
    assert list(found) == ["main memory"]
    assert bool(found["main memory"].warning) is warns


def test_what_is_reserved_is_a_share_of_the_real_card(host: Host) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 12000, VLLM::EngineCore")
    found = measured(host, plan(None, None, share=0.5))
    assert found["cards"].numbers == ("12282 MiB", "12000 MiB")
    assert found["cards"].detail == "50% of the card is reserved"
    assert (found["main memory"].planned, found["main memory"].detail) == (None, "m: not planned")


def test_a_model_that_is_not_known_is_measured_all_the_same(host: Host) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 4000, llama-server")
    memory = PlannedMemory((PlannedModel("m", unknown="its size is in no lock"),))
    found = measured(host, memory)
    assert [(each.numbers, each.detail) for each in found.values()] == [
        (("not known", "4000 MiB"), "m: its size is in no lock"),
        (("not known", "1000 MiB"), "m: its size is in no lock"),
    ]


def test_of_models_that_take_turns_any_may_be_loaded(host: Host) -> None:
    models = (PlannedModel("small", 2000 * MIB, 100 * MIB), PlannedModel("large", 4000 * MIB, 900 * MIB))
    for holds in (2000, 4000):
        host.says("two_cards", f"{SECOND}, {OURS}, {holds}, python")
        found = measured(host, PlannedMemory(models, at_once=1))["cards"]
        assert (found.numbers, found.detail, found.warning) == (("4000 MiB", f"{holds} MiB"), "large", "")
    host.says("two_cards", f"{SECOND}, {OURS}, 6000, python")
    assert measured(host, PlannedMemory(models, at_once=1))["cards"].warning


def test_several_cards_without_names_are_measured_alone(host: Host) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 2000, llama-server", f"{FIRST}, {OURS}, 2100, llama-server")
    found = measured(host, plan(4000, 900), uuids=())["cards"]
    assert (found.numbers, found.detail) == (("not known", "4100 MiB"), "several cards, of which it names none")


def test_a_driver_that_does_not_answer_is_said(host: Host) -> None:
    host.says("mismatch")
    found = measured(host, plan(4000, 900))["cards"]
    assert (found.planned, found.measured, found.detail) == (None, None, "the cards cannot be asked")


def test_a_provider_without_a_plan_is_not_there(host: Host) -> None:
    assert measured(host, None) == {}


class _Loaded(QuietHandler):
    answer = ""

    def do_GET(self) -> None:
        body = self.answer.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize(
    ("answer", "planned", "detail"),
    [
        pytest.param({"models": [{"name": "b:latest"}]}, 3000, "b", id="one of two"),
        pytest.param({"models": [{"name": "a:1"}, {"name": "b:latest"}]}, 5000, "a:1, b", id="both"),
        pytest.param(
            {"models": []}, 0, "no model is in memory, as nobody asked for one lately", id="none"
        ),
        pytest.param([], None, "it cannot be asked what it has loaded: TypeError", id="another answer"),
    ],
)  # fmt: skip
def test_ollamas_plan_is_that_of_the_models_it_has_loaded(
    host: Host, answer: object, planned: int | None, detail: str
) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 5000, ollama")
    models = (PlannedModel("a:1", 2000 * MIB, 100 * MIB), PlannedModel("b", 3000 * MIB, 100 * MIB))
    handler = type("Handler", (_Loaded,), {"answer": json.dumps(answer)})
    with ThreadedServer("127.0.0.1", handler) as server:
        memory = PlannedMemory(models, at_once=3)
        found = measured(host, memory, traits=ollama_plan.TRAITS, url=f"{server.url}/")["cards"]
    assert found.planned == (None if planned is None else planned * MIB)
    assert found.detail == detail
