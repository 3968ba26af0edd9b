"""The checks of graphics cards: the real `bin/gpu` on what drivers were recorded to say, and units' processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from roles.contract.verdict import Check
from roles.ollama import plan as ollama_plan
from roles.verify.checks import cards
from roles.verify.checks.cards import card_checks
from roles.verify.generation import PLAIN, CardWeights, Gpus, Provider, Service, Traits
from roles.vllm import plan as vllm_plan
from tests.deployed import context, deployed
from tests.gpu_program import write_gpu_program
from tests.labhost.http_server import QuietHandler, ThreadedServer
from tests.labhost.paths import REPOSITORY
from tests.sparse_gguf import model

RECORDINGS = REPOSITORY / "tests/unit/gpu_recordings"
FIRST, SECOND = "GPU-00000000-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000001"
OURS, ANOTHERS = 700, 800
"""Processes of the provider's unit, and of another."""
H100 = "GPU 0 (NVIDIA H100 80GB HBM3)"
WITHOUT_DEVICE, WITHOUT_LAYERS, ON_THE_CARD = 518, 764, 1184
"""MiB that llama-server held of an H100 with a model of 373 MiB: with `--device none`, with `--n-gpu-layers 0`, and
with all layers on the card (`make gpu`, llama.cpp of llama-cpp-python 0.3.36, driver 580.159.04)."""
GB = 10**9


class Host:
    """A host whose driver says what was recorded, and who holds memory of its cards."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config, self.proc, self._bin = folder / "config", folder / "proc", folder / "path"
        write_gpu_program(self.config)
        self._bin.mkdir()
        monkeypatch.setenv("PATH", f"{self._bin}:/usr/bin:/bin")
        for pid, unit in ((OURS, "engine.service"), (ANOTHERS, "another.service")):
            (self.proc / str(pid)).mkdir(parents=True)
            (self.proc / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")
        self.says("two_cards")

    def says(self, case: str, *holders: str) -> None:
        """`holders`: lines as the driver prints them, card, process, MiB and name."""
        status = RECORDINGS / case / "status"
        (self._bin / "holders").write_text("".join(f"{holder}\n" for holder in holders))
        script = f"""#!/bin/sh
case "$*" in
--query-gpu=*) cat {RECORDINGS / case}/query-gpu; exit {status.read_text().strip() if status.exists() else 0} ;;
--query-compute-apps=*) cat {self._bin}/holders ;;
--version) cat {RECORDINGS / case}/version ;;
esac
"""
        (self._bin / "nvidia-smi").write_text(script)
        (self._bin / "nvidia-smi").chmod(0o755)

    def checks(
        self,
        *uuids: str,
        traits: Traits = PLAIN,
        url: str = "http://127.0.0.1:9/",
        weights: Sequence[CardWeights] = (),
    ) -> dict[str, Check]:
        service = Service("engine.service", "127.0.0.1", 8001, url, 30, Path("/nowhere"))
        provider = Provider("engine", service, (), gpus=Gpus("nvidia", uuids), weights=tuple(weights), traits=traits)
        generation = deployed(self.config, providers=(provider,))

        async def run() -> list[Check]:
            async with httpx.AsyncClient(trust_env=False) as client:
                return list(await asyncio.gather(*card_checks(context(generation, client, proc=self.proc), ())))

        return {check.id: check for check in asyncio.run(run())}

    def memory(self, *uuids: str, **options: Any) -> tuple[object, str]:
        check = self.checks(*uuids, **options)["unit/engine.service/gpu-memory"]
        return check.ok, check.seen


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_host_that_uses_no_cards_is_not_asked_for_any(host: Host) -> None:
    async def checks() -> list[object]:
        async with httpx.AsyncClient() as client:
            return [*card_checks(context(deployed(host.config), client, proc=host.proc), ())]

    assert asyncio.run(checks()) == []


def test_an_engine_that_holds_memory_of_its_card_is_well(host: Host) -> None:
    host.says("two_cards", f"{SECOND}, {OURS}, 4000, llama-server", f"{FIRST}, {ANOTHERS}, 100, other")
    assert host.memory(SECOND) == (True, "GPU 1 (NVIDIA GeForce RTX 3090 Ti): 4.2 GB")
    assert host.memory() == (True, "GPU 1 (NVIDIA GeForce RTX 3090 Ti): 4.2 GB")
    assert host.checks(SECOND)["host/driver"].seen == "kernel unknown, library 595.71"


def test_an_engine_on_a_recorded_card_is_told_from_one_that_left_it(host: Host) -> None:
    (holder,) = (RECORDINGS / "h100_held/query-compute-apps").read_text().splitlines()
    host.says("h100_held", holder.replace(", 491, ", f", {OURS}, "))
    assert host.memory(FIRST) == (True, "GPU 0 (NVIDIA H100 80GB HBM3): 22.0 GB")
    host.says("h100_idle")
    assert host.memory(FIRST)[0] is False


def test_an_engine_that_computes_on_the_processor_is_red(host: Host) -> None:
    host.says("two_cards", f"{FIRST}, {ANOTHERS}, 100, other", f"{SECOND}, {ANOTHERS}, 100, other")
    holds, seen = host.memory(FIRST)
    assert holds is False
    assert seen == "no memory of GPU 0 (NVIDIA GeForce RTX 5090): it computes on the processor, or nothing is loaded"


def test_an_engine_on_a_card_that_is_not_its_own_is_red(host: Host) -> None:
    host.says("two_cards", f"{FIRST}, {OURS}, 4000, llama-server", f"{SECOND}, {OURS}, 300, llama-server")
    assert host.memory(FIRST) == (False, "it also uses memory of GPU 1 (NVIDIA GeForce RTX 3090 Ti)")


def test_vllm_must_be_on_each_of_its_cards_and_the_others_on_one(host: Host) -> None:
    host.says("two_cards", f"{FIRST}, {OURS}, 4000, python")
    assert host.memory(FIRST, SECOND, traits=vllm_plan.TRAITS) == (
        False,
        "no memory of GPU 1 (NVIDIA GeForce RTX 3090 Ti)",
    )
    assert host.memory(FIRST, SECOND)[0] is True


def test_a_driver_that_tells_of_no_process_is_no_fault_where_the_card_is_in_use(host: Host) -> None:
    host.says("two_cards")
    holds, seen = host.memory(FIRST)
    assert holds is True
    assert seen.startswith("the driver does not say whose memory it is; GPU 0 (NVIDIA GeForce RTX 5090): ")


def test_a_card_that_is_gone_is_red(host: Host) -> None:
    host.says("one_card", f"{FIRST}, {OURS}, 4000, llama-server")
    assert host.memory(SECOND) == (False, f"{SECOND} is not on this host")


@pytest.mark.parametrize("case", ["mismatch", "no_driver", "no_devices"])
def test_without_a_driver_that_works_its_own_check_is_red_and_the_rest_unknown(host: Host, case: str) -> None:
    host.says(case)
    checks = host.checks(FIRST)
    assert checks["host/driver"].ok is False
    assert checks["unit/engine.service/gpu-memory"].ok is None
    assert checks["unit/engine.service/gpu-memory"].seen == "the cards cannot be asked, see host/driver"


# What it holds against what its model needs


def on_h100(host: Host, mebibytes: object) -> None:
    """Our engine holds that much, as llama-server did when it was recorded."""
    (holder,) = (RECORDINGS / "h100_llama_server/query-compute-apps").read_text().splitlines()
    host.says("h100_llama_server", holder.replace(", 5023, 1184, ", f", {OURS}, {mebibytes}, "))


@pytest.mark.parametrize("if_free", [True, False])
@pytest.mark.parametrize(("mebibytes", "held"), [(WITHOUT_DEVICE, "543 MB"), (WITHOUT_LAYERS, "801 MB")])
def test_an_engine_on_the_processor_is_red_although_it_holds_a_context(
    host: Host, tmp_path: Path, mebibytes: int, held: str, if_free: bool
) -> None:
    on_h100(host, mebibytes)
    weights = [CardWeights(model(tmp_path / "m.gguf", 4_400_000_000), None, if_free)]
    assert host.memory(FIRST, weights=weights) == (
        False,
        f"it uses {held} of {H100}, and the layers of its model have 4.4 GB: it computes on the processor, "
        "wholly or in part",
    )


@pytest.mark.parametrize("if_free", [True, False])
def test_an_engine_that_holds_its_model_is_well_whatever_the_embeddings_add_to_the_file(
    host: Host, tmp_path: Path, if_free: bool
) -> None:
    on_h100(host, ON_THE_CARD)
    file = model(tmp_path / "m.gguf", 1184 << 20)
    assert file.stat().st_size > 2 * (1184 << 20)
    assert host.memory(FIRST, weights=[CardWeights(file, None, if_free)]) == (True, f"{H100}: 1.2 GB")


def test_a_model_that_is_smaller_than_a_context_cannot_be_told_apart(host: Host, tmp_path: Path) -> None:
    """As was seen: the recorded model had 370 MiB in its layers."""
    on_h100(host, WITHOUT_DEVICE)
    weights = [CardWeights(model(tmp_path / "m.gguf", 368 << 20))]
    assert host.memory(FIRST, weights=weights) == (True, f"{H100}: 543 MB")


def test_only_the_layers_that_are_to_be_on_the_card_are_asked_for(host: Host, tmp_path: Path) -> None:
    """Of 8 layers and the output the last 3: two layers of 500 MB and the output."""
    file = model(tmp_path / "m.gguf", 4 * GB, layers=8)
    on_h100(host, 960)
    assert host.memory(FIRST, weights=[CardWeights(file, 3)])[0] is True
    assert host.memory(FIRST, weights=[CardWeights(file, 4)])[0] is False
    on_h100(host, 940)
    assert host.memory(FIRST, weights=[CardWeights(file, 3)])[0] is False


def test_what_it_holds_of_several_cards_counts_together(host: Host, tmp_path: Path) -> None:
    host.says("two_cards", f"{FIRST}, {OURS}, 2000, llama-server", f"{SECOND}, {OURS}, 3000, llama-server")
    for size, well in ((5_200_000_000, True), (5_300_000_000, False)):
        found, seen = host.memory(FIRST, SECOND, weights=[CardWeights(model(tmp_path / "m.gguf", size))])
        assert found is well
    assert seen.startswith(
        "it uses 2.1 GB of GPU 0 (NVIDIA GeForce RTX 5090) and 3.1 GB of GPU 1 (NVIDIA GeForce RTX 3090 Ti), and"
    )


def test_layers_that_were_left_out_for_lack_of_room_are_missed_where_that_was_not_foreseen(
    host: Host, tmp_path: Path
) -> None:
    """There are 77 GiB free beside what it holds."""
    on_h100(host, 60_000)
    for size, if_free, well in ((82 * GB, True, False), (90 * GB, True, True), (90 * GB, False, False)):
        weights = [CardWeights(model(tmp_path / "m.gguf", size), None, if_free)]
        assert host.memory(FIRST, weights=weights)[0] is well


def test_memory_of_unknown_size_is_compared_with_nothing(host: Host, tmp_path: Path) -> None:
    on_h100(host, "[N/A]")
    weights = [CardWeights(model(tmp_path / "m.gguf", 4 * GB))]
    assert host.memory(FIRST, weights=weights) == (True, f"{H100}: of unknown size")


@pytest.mark.parametrize("content", [None, b"", b"<html>404</html>", b"GGUF"])
def test_what_is_wrong_with_the_models_file_is_for_another_check_to_say(
    host: Host, tmp_path: Path, content: bytes | None
) -> None:
    on_h100(host, WITHOUT_DEVICE)
    file = tmp_path / "m.gguf"
    if content is not None:
        file.write_bytes(content)
    assert host.memory(FIRST, weights=[CardWeights(file)]) == (True, f"{H100}: 543 MB")


def test_of_several_models_the_smallest_counts(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "_PAUSE", 0.0)
    large, small = (CardWeights(model(tmp_path / f"{size}.gguf", size * GB)) for size in (4, 1))
    on_h100(host, 1000)
    assert host.memory(FIRST, weights=[large, small])[0] is True
    on_h100(host, 900)
    assert host.memory(FIRST, weights=[large, small])[0] is False


def test_an_engine_that_is_loading_another_of_its_models_is_looked_at_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def passes(_seconds: float) -> None:
        on_h100(host, 5000)

    weights = [CardWeights(model(tmp_path / f"{size}.gguf", size * GB)) for size in (4, 5)]
    on_h100(host, WITHOUT_DEVICE)
    monkeypatch.setattr(asyncio, "sleep", passes)
    assert host.memory(FIRST, weights=weights) == (True, f"{H100}: 5.2 GB")


@pytest.fixture
def ollama() -> Iterator[tuple[str, list[object]]]:
    """An Ollama's address, and the models that it says it holds in memory."""
    loaded: list[object] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/ps"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"models": loaded}).encode())

    with ThreadedServer("127.0.0.1", Handler) as server:
        yield f"{server.url}/api/version", loaded


def test_an_ollama_that_nobody_asks_holds_nothing_and_is_well(host: Host, ollama: tuple[str, list[object]]) -> None:
    address, loaded = ollama
    host.says("two_cards", f"{FIRST}, {ANOTHERS}, 100, other")
    assert host.memory(FIRST, traits=ollama_plan.TRAITS, url=address) == (
        True,
        "no model is in memory, as nobody asked for one lately",
    )
    loaded.append({"name": "llama3.1:latest", "size_vram": 0})
    assert host.memory(FIRST, traits=ollama_plan.TRAITS, url=address)[0] is False


def test_the_cards_are_looked_at_after_the_routes_have_been_asked(host: Host) -> None:
    """They load the models: what an engine holds before is not what it works with."""
    host.says("two_cards", f"{FIRST}, {ANOTHERS}, 100, other")
    service = Service("engine.service", "127.0.0.1", 8001, "http://127.0.0.1:9/", 30, Path("/nowhere"))
    provider = Provider("engine", service, (), "llama-server", gpus=Gpus("nvidia", (FIRST,)))
    generation = deployed(host.config, providers=(provider,))

    async def route() -> Check:
        await asyncio.sleep(0.2)
        host.says("two_cards", f"{FIRST}, {OURS}, 4000, llama-server")
        return Check("route/x/chat", "x", "answers", "words", "words", True, 0.2)

    async def run() -> list[Check]:
        async with httpx.AsyncClient(trust_env=False) as client:
            asked = [asyncio.create_task(route())]
            return list(await asyncio.gather(*card_checks(context(generation, client, proc=host.proc), asked)))

    assert [check.ok for check in asyncio.run(run())] == [True, True]
