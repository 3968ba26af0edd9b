"""Facts of known models for the memory plan, as their published sizes and shapes make them.

The files cannot be fetched here. Their sizes are those of their pages. A GGUF file's tensors are spread evenly over its
layers, and its token embeddings have the size of their type.
"""

from __future__ import annotations

from roles.fit.checkpoint import facts_of_checkpoint
from roles.fit.facts import Layer, ModelFacts
from roles.fit.stored import Facts
from roles.options import HubFile, HubModel
from roles.plan import LoadSource, not_known
from tests.model_configs import LLAMA_3_1_8B, QWEN2_5_1_5B, QWEN2_5_7B, QWEN2_5_CODER_7B_AWQ, Config, tensors_of

Q4_K, Q6_K = 4.5, 6.5625
"""Bits of a number in these types of ggml. In Q4_K_M the output is of the second, also where it is the embeddings."""


def gguf_of(config: Config, size: int) -> ModelFacts:
    """Facts of a Q4_K_M file of that many bytes."""
    heads, layers = config["num_attention_heads"], config["num_hidden_layers"]
    head = config.get("head_dim", config["hidden_size"] // heads)
    cached, tied = head * config["num_key_value_heads"], config["tie_word_embeddings"]
    numbers = config["vocab_size"] * config["hidden_size"]
    embeddings = int(numbers * (Q6_K if tied else Q4_K) / 8)
    output = 0 if tied else int(numbers * Q6_K / 8)
    each = (size - embeddings - output) // layers
    return ModelFacts(
        architecture=config["model_type"],
        trained=config["max_position_embeddings"],
        width=config["hidden_size"],
        heads=heads,
        queries=heads * head,
        feed_forward=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        layers=(Layer(cached, cached, None, each, 0),) * layers,
        embeddings=embeddings,
        output=output,
        tied=tied,
        cached=True,
        known=True,
    )


LLAMA_3_1_8B_Q4 = gguf_of(LLAMA_3_1_8B, 4_920_753_328)
QWEN2_5_7B_Q4 = gguf_of(QWEN2_5_7B, 4_683_087_561)
QWEN2_5_1_5B_Q4 = gguf_of(QWEN2_5_1_5B, 1_117_320_736)
QWEN2_5_CODER_AWQ = facts_of_checkpoint(QWEN2_5_CODER_7B_AWQ, tensors_of(QWEN2_5_CODER_7B_AWQ))
_KNOWN: dict[str, Facts] = {
    "llama3.1:latest": LLAMA_3_1_8B_Q4,
    "qwen2.5-coder:7b": QWEN2_5_7B_Q4,
    "Qwen/Qwen2.5-Coder-7B-Instruct-AWQ": QWEN2_5_CODER_AWQ,
    "qwen2.5-1.5b-instruct-q4_k_m.gguf": QWEN2_5_1_5B_Q4,
    "qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf": QWEN2_5_7B_Q4,
}


def published(source: LoadSource) -> Facts | str:
    """The facts of the reference stacks' models."""
    match source:
        case HubFile():
            name = source.file
        case HubModel():
            name = source.repository
        case str():
            name = source
        case _:
            return not_known(source)
    return _KNOWN.get(name, not_known(source))
