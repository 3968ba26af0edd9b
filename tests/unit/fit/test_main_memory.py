"""The memory plan of main memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.fit.llama_cpp import Settings
from roles.fit.main_memory import MainPlan, main_plan
from roles.fit.uses import Use
from roles.fit.vllm import VllmSettings
from tests.planned_models import LLAMA_3_1_8B_Q4, QWEN2_5_1_5B_Q4, QWEN2_5_7B_Q4, QWEN2_5_CODER_AWQ

GIB = 1 << 30
RESERVE = GIB + 2 * (330 << 20)
OLLAMA = Use('Ollama "o"', "o", "llama3.1", LLAMA_3_1_8B_Q4, Settings(8192), on_cards=False, at_once=2)
CODER = replace(OLLAMA, model="coder", facts=QWEN2_5_7B_Q4)
SERVER = Use('LlamaServer "s"', "s", "small", QWEN2_5_1_5B_Q4, Settings(8192, parallel=2), on_cards=False)
VLLM = Use('Vllm "v"', "v", "awq", QWEN2_5_CODER_AWQ, VllmSettings(16384), on_cards=False)
STRANGE = replace(SERVER, facts="its size is in no lock")


def plan(*uses: Use, size: int | None = 16 * GIB) -> MainPlan:
    return main_plan(uses, size, gateways=2)


def test_all_servers_and_the_rest_of_the_host_add_up() -> None:
    alone = [plan(use).taken - RESERVE for use in (OLLAMA, SERVER)]
    assert plan(OLLAMA, SERVER).taken == sum(alone) + RESERVE
    assert 5 * GIB < alone[0] < 7 * GIB


def test_ollama_keeps_its_largest_models() -> None:
    one = plan(replace(OLLAMA, at_once=1), replace(CODER, at_once=1))
    assert one.taken == max(plan(OLLAMA).taken, plan(CODER).taken)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    assert plan(OLLAMA, CODER).problem() == ""
    small = plan(OLLAMA, CODER, size=8 * GIB)
    assert not small.fits
    assert "MiB of main memory are planned, and the host has 8192: " in small.problem()
    assert 'let Ollama "o" keep one model at a time (`max_loaded_models=1`)' in small.problem()
    assert small.problem() in small.table()


def test_the_context_that_is_proposed_fits_and_the_next_one_does_not() -> None:
    long = replace(OLLAMA, settings=Settings(131_072))
    found = plan(long).problem()
    tokens = int(found.split("a context of at most ")[1].split()[0])
    assert 8192 < tokens < 131_072
    assert plan(replace(long, settings=Settings(tokens))).fits
    assert not plan(replace(long, settings=Settings(tokens + 256))).fits


def test_a_smaller_cache_is_proposed_where_no_context_would_do() -> None:
    server = replace(SERVER, settings=Settings(256))
    need = plan(server).taken
    assert "KV cache of the type q8_0" in plan(server, size=need - 1).problem()


def test_nothing_that_helps_is_said_too() -> None:
    assert plan(CODER, size=3 * GIB).problem().endswith("take smaller models, or move a server to another host")


@pytest.mark.parametrize("use", [STRANGE, VLLM], ids=["a model without facts", "vLLM"])
def test_what_is_not_known_refuses_nothing(use: Use) -> None:
    assert plan(use, size=GIB).fits
    assert f"not known: {use.server} {use.model}: " in plan(use, size=GIB).table()
    assert "What is known fits." in plan(use, SERVER).table()


def test_of_a_server_on_a_card_the_rest_counts() -> None:
    on_card = replace(OLLAMA, on_cards=True)
    assert RESERVE < plan(on_card).taken < RESERVE + GIB
    assert plan(replace(VLLM, on_cards=True)).unknown == ()


def test_a_host_of_unknown_size_is_planned_without_a_verdict() -> None:
    assert plan(OLLAMA, size=None).fits
    assert "there is" not in plan(OLLAMA, size=None).table()
