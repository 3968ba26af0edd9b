"""What the memory plan reads of a model in a Hub repository."""

from __future__ import annotations

from typing import Any

import pytest

from roles.fit.checkpoint import facts_of_checkpoint
from tests.model_configs import (
    DEEPSEEK_V3,
    GEMMA_3_4B,
    LLAMA_3_1_8B,
    MIXTRAL_8X7B,
    QWEN2_5_1_5B,
    QWEN2_5_7B,
    QWEN2_5_CODER_7B_AWQ,
    QWEN3_4B,
    Config,
    tensors_of,
)

GIB = 1 << 30


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        # As their pages on the Hub count them.
        pytest.param(LLAMA_3_1_8B, 8.03e9, id="Llama 3.1 8B"),
        pytest.param(QWEN2_5_7B, 7.62e9, id="Qwen2.5 7B"),
        pytest.param(QWEN2_5_1_5B, 1.54e9, id="Qwen2.5 1.5B"),
        pytest.param(QWEN3_4B, 4.02e9, id="Qwen3 4B"),
    ],
)
def test_a_known_model_has_the_published_number_of_weights(config: Config, parameters: float) -> None:
    facts = facts_of_checkpoint(config, tensors_of(config))
    assert facts.wide == pytest.approx(parameters, rel=0.005)
    assert (facts.packed, facts.quantization) == (0, "")


def test_a_quantized_model_has_the_size_that_vllm_says_it_loads() -> None:
    # "Loading model weights took 5.2035 GB" (GiB) stands in published logs of vLLM with this model.
    facts = facts_of_checkpoint(QWEN2_5_CODER_7B_AWQ, tensors_of(QWEN2_5_CODER_7B_AWQ))
    assert (facts.packed + 2 * facts.wide) / GIB == pytest.approx(5.2035, rel=0.005)
    assert facts.quantization == "awq"


def test_an_output_that_is_the_embeddings_is_counted_once() -> None:
    tensors = tensors_of(QWEN2_5_1_5B)
    again = {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]}
    assert facts_of_checkpoint(QWEN2_5_1_5B, again) == facts_of_checkpoint(QWEN2_5_1_5B, tensors)


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        pytest.param(LLAMA_3_1_8B, [None] * 32, id="none"),
        pytest.param(QWEN2_5_7B, [None] * 28, id="one that is not used"),
        pytest.param({**LLAMA_3_1_8B, "model_type": "mistral", "sliding_window": 4096}, [4096] * 32, id="all"),
        pytest.param(GEMMA_3_4B, [None if n % 6 == 5 else 1024 for n in range(34)], id="a pattern"),
        pytest.param(
            {**QWEN2_5_7B, "use_sliding_window": True, "max_window_layers": 21},
            [None] * 21 + [131072] * 7, id="the last layers",
        ),
        pytest.param(
            {**LLAMA_3_1_8B, "num_hidden_layers": 2, "model_type": "gpt_oss", "sliding_window": 128,
             "layer_types": ["sliding_attention", "full_attention"]},
            [128, None], id="a list",
        ),
    ],
)  # fmt: skip
def test_each_layer_has_its_window(config: Config, windows: list[int | None]) -> None:
    facts = facts_of_checkpoint(config, {})
    assert facts.known
    assert list(facts.windows) == windows


def test_latent_attention_caches_one_vector() -> None:
    facts = facts_of_checkpoint(DEEPSEEK_V3, {})
    assert (facts.latent, facts.feed_forward) == (576, 8 * 2048)
    assert facts_of_checkpoint(MIXTRAL_8X7B, {}).latent == 0


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({**LLAMA_3_1_8B, "model_type": "mamba2"}, id="another architecture"),
        pytest.param(
            {**LLAMA_3_1_8B, "sliding_window": 64, "layer_types": ["linear_attention"] * 32}, id="another kind of layer"
        ),
    ],
)
def test_a_cache_that_nobody_looked_at_is_not_known(config: Config) -> None:
    assert not facts_of_checkpoint(config, {}).known


@pytest.mark.parametrize(
    ("config", "tensors", "words"),
    [
        pytest.param({"model_type": "clip"}, {}, "no language model", id="a model of images"),
        pytest.param(LLAMA_3_1_8B, {"a": {"dtype": "F16", "shape": [2]}}, 'tensor "a"', id="a tensor without a size"),
        pytest.param(LLAMA_3_1_8B, {"a": 7}, 'tensor "a"', id="a tensor that is a number"),
    ],
)
def test_what_has_no_facts_is_refused(config: Config, tensors: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        facts_of_checkpoint(config, tensors)
