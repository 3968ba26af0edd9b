"""What vLLM takes of a card, held against published architectures and the formulas of its sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roles.fit.checkpoint import CheckpointFacts, facts_of_checkpoint
from roles.fit.vllm import VllmSettings, adapter_memory, cached_tokens, least, request_cache, token_cache
from tests.model_configs import (
    DEEPSEEK_V3,
    GEMMA_3_4B,
    LLAMA_3_1_8B,
    LLAMA_3_1_70B,
    MIXTRAL_8X7B,
    QWEN2_5_1_5B,
    QWEN2_5_7B,
    QWEN3_4B,
    Config,
    tensors_of,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CARD = 24 * GIB


def of(config: Config) -> CheckpointFacts:
    return facts_of_checkpoint(config, {})


@pytest.mark.parametrize(
    ("config", "kibibytes"),
    [
        # Layers x 2 x heads x 128 numbers of two bytes, from the models' own config.json.
        pytest.param(LLAMA_3_1_8B, 128, id="Llama 3.1 8B"),
        pytest.param(LLAMA_3_1_70B, 320, id="Llama 3.1 70B"),
        pytest.param(QWEN2_5_7B, 56, id="Qwen2.5 7B"),
        pytest.param(QWEN2_5_1_5B, 28, id="Qwen2.5 1.5B"),
        pytest.param(QWEN3_4B, 144, id="Qwen3 4B"),
        pytest.param(MIXTRAL_8X7B, 128, id="Mixtral 8x7B"),
        # "70.272 KB per token": table 1 of DeepSeek's "Insights into DeepSeek-V3".
        pytest.param(DEEPSEEK_V3, 68.625, id="DeepSeek V3, latent attention"),
        pytest.param({**LLAMA_3_1_8B, "num_key_value_heads": 32}, 512, id="Llama 2 7B's heads, no GQA"),
    ],
)
def test_a_token_of_a_known_model_takes_what_is_published(config: Config, kibibytes: float) -> None:
    facts, settings = of(config), VllmSettings(context=4096)
    assert token_cache(facts, settings) == kibibytes * KIB
    assert request_cache(facts, settings, CARD) == 4096 * kibibytes * KIB
    assert cached_tokens(facts, settings, 10 * 4096 * int(kibibytes * KIB)) == 40_960


def test_a_cache_in_one_byte_holds_twice_the_tokens() -> None:
    facts = of(QWEN2_5_7B)
    half = cached_tokens(facts, VllmSettings(8192), GIB)
    assert cached_tokens(facts, VllmSettings(8192, cache_type="fp8"), GIB) == pytest.approx(2 * half, rel=0.001)


def test_sliding_windows_are_cached_for_a_window_and_a_batch() -> None:
    # 34 layers, of which 29 have a window: groups of 5, 6 of them with the window and 1 without.
    facts, settings = of(GEMMA_3_4B), VllmSettings(context=32_768, batch=2048)
    block = 5 * 16 * 2 * 4 * 256 * 2
    windowed = -(-(1024 - 1 + 2048) // 16) + 1
    assert request_cache(facts, settings, CARD) == (2048 + 6 * windowed) * block


def test_kinds_of_layers_that_are_nearly_as_many_make_groups_of_the_larger_number() -> None:
    config = {**LLAMA_3_1_8B, "model_type": "gpt_oss", "num_hidden_layers": 25, "sliding_window": 128,
              "layer_types": ["sliding_attention"] * 12 + ["full_attention"] * 13}  # fmt: skip
    block = 13 * 16 * 4096
    blocks = 16384 // 16 + -(-(128 - 1 + 2048) // 16) + 1
    assert request_cache(of(config), VllmSettings(16384), CARD) == blocks * block


def test_two_cards_have_half_of_the_weights_and_heads_each() -> None:
    facts = facts_of_checkpoint(LLAMA_3_1_8B, tensors_of(LLAMA_3_1_8B))
    one, two = (least(facts, VllmSettings(8192, tensor_parallel=parts), CARD) for parts in (1, 2))
    assert two.weights == pytest.approx(one.weights / 2, abs=1)
    assert two.cache == one.cache / 2
    latent = replace(facts, latent=576)
    assert request_cache(latent, VllmSettings(8192, tensor_parallel=2), CARD) == request_cache(
        latent, VllmSettings(8192), CARD
    )


def test_the_weights_have_the_type_that_is_asked_for() -> None:
    facts = facts_of_checkpoint(QWEN2_5_1_5B, tensors_of(QWEN2_5_1_5B))
    half, full = (least(facts, VllmSettings(dtype=dtype), CARD).weights for dtype in ("auto", "float32"))
    assert (half, full) == (2 * facts.wide, 4 * facts.wide)


def test_without_graphs_it_takes_less() -> None:
    facts = of(LLAMA_3_1_8B)
    graphs = least(facts, VllmSettings(), CARD).buffers - least(facts, VllmSettings(eager=True), CARD).buffers
    assert graphs == 600 * MIB


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        # "Trainable parameters" of adapters of rank 16 on all linear layers, as logs of PEFT and Unsloth print them.
        pytest.param(LLAMA_3_1_8B, 41_943_040, id="Llama 3.1 8B"),
        pytest.param(QWEN2_5_7B, 40_370_176, id="Qwen2.5 7B"),
    ],
)
def test_a_place_for_an_adapter_takes_what_a_whole_one_has(config: Config, numbers: int) -> None:
    facts = of(config)
    ends = 2 * 16 * (facts.vocabulary + facts.width)
    one = adapter_memory(facts, VllmSettings(adapters=1, adapter_rank=16))
    assert one == 2 * (numbers + ends)
    assert adapter_memory(facts, VllmSettings(adapters=3, adapter_rank=64)) == 12 * one
    assert adapter_memory(facts, VllmSettings(adapters=1, adapter_rank=16, dtype="float32")) == 2 * one
    assert adapter_memory(facts, VllmSettings()) == 0


def test_adapters_are_planned_with_the_weights_and_with_graphs_of_their_own() -> None:
    facts, settings = of(LLAMA_3_1_8B), VllmSettings(8192, adapters=2, adapter_rank=32)
    without, with_them = least(facts, replace(settings, adapters=0), CARD), least(facts, settings, CARD)
    assert with_them.weights - without.weights == adapter_memory(facts, settings)
    assert with_them.buffers - without.buffers == 600 * MIB
    eager = replace(settings, eager=True)
    assert least(facts, eager, CARD).buffers == least(facts, replace(eager, adapters=0), CARD).buffers


def test_over_two_cards_an_adapter_takes_more_than_half_of_each() -> None:
    facts, settings = of(LLAMA_3_1_8B), VllmSettings(adapters=1, adapter_rank=16)
    one, two = adapter_memory(facts, settings), adapter_memory(facts, replace(settings, tensor_parallel=2))
    assert one
    assert two
    assert one / 2 < two < one
    assert adapter_memory(facts, replace(settings, pipeline_parallel=2)) == pytest.approx(one / 2, rel=0.1)


@pytest.mark.parametrize("config", [MIXTRAL_8X7B, DEEPSEEK_V3], ids=["Mixtral 8x7B", "DeepSeek V3"])
def test_adapters_of_a_mixture_of_experts_are_not_known(config: Config) -> None:
    assert adapter_memory(of(config), VllmSettings(adapters=1, adapter_rank=16)) is None


def test_a_large_card_computes_more_at_a_time() -> None:
    facts = of(LLAMA_3_1_8B)
    assert least(facts, VllmSettings(), 80 * GIB).buffers > least(facts, VllmSettings(), CARD).buffers


def test_a_cache_that_is_not_known_is_no_number() -> None:
    facts = replace(of(LLAMA_3_1_8B), known=False)
    assert request_cache(facts, VllmSettings(8192), CARD) == 0
    assert cached_tokens(facts, VllmSettings(8192), GIB) == 0
