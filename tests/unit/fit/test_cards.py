"""The memory plan of a whole card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.fit.cards import CardPlan, card_plans, derived_shares
from roles.fit.llama_cpp import Settings
from roles.fit.table import CONTEXT_OF_CUDA
from roles.fit.uses import Use
from roles.fit.vllm import VllmSettings
from tests.planned_models import LLAMA_3_1_8B_Q4, QWEN2_5_1_5B_Q4, QWEN2_5_7B_Q4, QWEN2_5_CODER_AWQ

GIB = 1 << 30
CARD = 24 * GIB
OLLAMA = Use('Ollama "o"', "o", "llama3.1", LLAMA_3_1_8B_Q4, Settings(8192), at_once=2)
CODER = replace(OLLAMA, model="coder", facts=QWEN2_5_7B_Q4)
SERVER = Use('LlamaServer "s"', "s", "small", QWEN2_5_1_5B_Q4, Settings(8192, parallel=2))
VLLM = Use('Vllm "v"', "v", "awq", QWEN2_5_CODER_AWQ, VllmSettings(16384), share=0.4)
STRANGE = Use('Ollama "x"', "x", "new", "its size is in no lock", Settings(4096))


def plan(*uses: Use, size: int | None = CARD, foreign: int = 0) -> CardPlan:
    (found,) = card_plans(uses, {} if size is None else {"": size}, {"": foreign})
    return found


def test_all_engines_of_a_card_add_up() -> None:
    alone = [plan(use).taken for use in (OLLAMA, SERVER, VLLM)]
    assert plan(OLLAMA, SERVER, VLLM).taken == sum(alone)
    assert plan(OLLAMA, foreign=GIB).taken == alone[0] + GIB


def test_a_share_is_taken_whole() -> None:
    assert plan(VLLM).taken == pytest.approx(0.4 * CARD, abs=1)


def test_ollama_keeps_its_largest_models() -> None:
    both, one = plan(OLLAMA, CODER), plan(replace(OLLAMA, at_once=1), replace(CODER, at_once=1))
    assert both.taken == plan(OLLAMA).taken + plan(CODER).taken
    assert one.taken == max(plan(OLLAMA).taken, plan(CODER).taken)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    small = plan(OLLAMA, CODER, SERVER, size=12 * GIB)
    assert not small.fits
    (problem,) = small.problems()
    assert "MiB of the card are planned, and it has 12288" in problem
    assert 'let Ollama "o" keep one model at a time (`max_loaded_models=1`)' in problem


def test_the_context_that_is_proposed_fits_and_the_next_one_does_not() -> None:
    long = replace(OLLAMA, settings=Settings(131_072))
    (problem,) = plan(long, size=12 * GIB).problems()
    tokens = int(problem.split("a context of at most ")[1].split()[0])
    assert 8192 < tokens < 131_072
    assert plan(replace(long, settings=Settings(tokens)), size=12 * GIB).fits
    assert not plan(replace(long, settings=Settings(tokens + 256)), size=12 * GIB).fits


def test_the_number_of_layers_that_is_proposed_fits() -> None:
    server = replace(SERVER, facts=LLAMA_3_1_8B_Q4, settings=Settings(512))
    (problem,) = plan(server, size=4 * GIB).problems()
    layers = int(problem.split("`gpu_layers=")[1].split("`")[0])
    fewer, more = (replace(server, settings=Settings(512, gpu_layers=count)) for count in (layers, layers + 1))
    assert plan(fewer, size=4 * GIB).fits
    assert not plan(more, size=4 * GIB).fits


def test_a_share_without_room_for_one_request_is_refused() -> None:
    tight = plan(replace(VLLM, share=0.3))
    assert not tight.fits
    assert "one request of its longest context takes 896; raise `gpu_memory_utilization`" in tight.problems()[0]


def test_what_is_not_known_is_said_and_refuses_nothing() -> None:
    table = plan(STRANGE, SERVER).table()
    assert 'not known: Ollama "x" new: its size is in no lock' in table
    assert table.endswith("What is known fits.")
    assert plan(STRANGE, size=GIB).fits


def test_of_an_unknown_architecture_only_the_weights_are_planned() -> None:
    strange = replace(SERVER, facts=replace(QWEN2_5_1_5B_Q4, architecture="mamba", known=False))
    whole = plan(strange)
    assert "the cache of the architecture mamba is not known here" in whole.table()
    assert [(row.parts.cache, row.parts.buffers) for row in whole.rows] == [(0, 0)]
    assert derived_shares([replace(VLLM, share=0.0), strange], CARD) == {}


def test_places_for_adapters_take_what_a_derived_share_would_leave_for_the_cache() -> None:
    settings = VllmSettings(16384, adapters=4, adapter_rank=64)
    with_adapters, without = replace(VLLM, settings=settings, share=0.0), replace(VLLM, provider="w", share=0.0)
    shares = derived_shares([with_adapters, without], CARD)
    assert shares["v"] > shares["w"] + 0.05
    assert "not known" not in plan(replace(with_adapters, share=shares["v"])).table()


def test_adapters_whose_memory_is_not_known_are_said_and_no_share_is_derived() -> None:
    settings = VllmSettings(16384, adapters=1, adapter_rank=16)
    mixture = replace(VLLM, settings=settings, facts=replace(QWEN2_5_CODER_AWQ, architecture="qwen2_moe"))
    assert "the memory of LoRA adapters for the architecture qwen2_moe is not known here" in plan(mixture).table()
    assert derived_shares([replace(mixture, share=0.0)], CARD) == {}
    assert derived_shares([replace(mixture, share=0.0, settings=VllmSettings(16384))], CARD)


def test_a_card_of_unknown_size_refuses_nothing() -> None:
    assert plan(OLLAMA, SERVER, size=None).fits


def test_named_cards_have_their_own_servers() -> None:
    one, other = replace(OLLAMA, uuids=("GPU-1",)), replace(SERVER, uuids=("GPU-2",))
    plans = card_plans([one, other, replace(SERVER, provider="p", on_cards=False)], {"GPU-1": CARD, "GPU-2": CARD})
    assert [[row.use for row in each.rows] for each in plans] == [[one], [other]]


def test_a_model_over_two_cards_is_split() -> None:
    both = replace(OLLAMA, uuids=("GPU-1", "GPU-2"))
    first, second = card_plans([both], {"GPU-1": CARD, "GPU-2": CARD})
    assert first.taken == second.taken
    assert first.rows[0].parts.weights == pytest.approx(plan(OLLAMA).rows[0].parts.weights / 2, abs=1)


def test_derived_shares_make_ollama_llama_cpp_and_two_vllm_fit_one_card() -> None:
    first, second = replace(VLLM, share=0.0), replace(VLLM, share=0.0, provider="w", settings=VllmSettings(4096))
    beside = (replace(OLLAMA, at_once=1), SERVER)
    shares = derived_shares([*beside, first, second], CARD)
    assert shares["v"] > shares["w"] > 0
    whole = plan(*beside, *(replace(use, share=shares[use.provider]) for use in (first, second)))
    assert whole.fits
    assert 0.95 * CARD < whole.taken <= 0.98 * CARD


def test_a_share_that_cannot_be_derived_is_not_guessed() -> None:
    wanting = replace(VLLM, share=0.0)
    assert derived_shares([wanting, STRANGE], CARD) == {}
    assert derived_shares([wanting], None) == {}
    assert derived_shares([wanting, replace(SERVER, uuids=("GPU-1",))], CARD) == {}


def test_what_vllm_keeps_of_its_share_is_said_in_tokens() -> None:
    (row,) = plan(VLLM).rows
    cache = int(0.4 * CARD) - row.parts.weights - row.parts.buffers - CONTEXT_OF_CUDA
    said = plan(VLLM, SERVER).table().split('Vllm "v" has room for ')[1]
    assert int(said.split(" tokens in its KV cache.")[0]) == pytest.approx(cache / (56 << 10), rel=0.001)
    assert "has room for" not in plan(SERVER).table()
